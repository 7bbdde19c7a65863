"""The structure: who may import whom, no cycles, small folders, short functions, light imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import structure
from structure import PACKAGES, ROOT, imported_names, paths_of

ALLOWED = {
    "schemas": {"schemas"},
    "formats": {"schemas", "formats"},
    "annotator": {"schemas", "formats", "annotator"},
    "dataset_builder": {"schemas", "formats", "dataset_builder"},
    "trainer": {"schemas", "formats", "trainer"},
    "maskdpo": set(PACKAGES),
}
# Inside annotator, lowest first: a part may import itself and the parts it lists.
ANNOTATOR_PARTS = {
    "text": (),
    "documents": ("text",),
    "models": ("text",),
    "calls": ("models", "text"),
    "sampling": ("calls", "models", "documents", "text"),
    "judging": ("sampling", "calls", "models", "documents", "text"),
    "agreement": ("judging", "sampling", "calls", "models", "documents", "text"),
    "service": ("judging", "sampling", "calls", "models", "documents", "text"),
    "scale": ("judging", "sampling", "calls", "models", "documents", "text"),
}
HEAVY = {"torch", "transformers", "vllm", "datasets", "spacy", "nltk", "openai", "matplotlib"}


# Folders with more files than the rule allows, each with its reason.
LARGE_FOLDERS = {"trainer": "keeps its structure until its own parts (batches, loop, ...) are made"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_the_rules_allow(package: str) -> None:
    assert paths_of(package), f"no modules in {package}"
    for path in paths_of(package):
        names = imported_names(ast.parse(path.read_text()), for_types=True)
        found = {name.split(".")[0] for name in names}
        wrong = (found & set(PACKAGES)) - ALLOWED[package]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("part", ANNOTATOR_PARTS)
def test_parts_of_the_annotator_point_one_way(part: str) -> None:
    allowed = {part, *ANNOTATOR_PARTS[part]}
    paths = sorted((ROOT / "annotator" / part).rglob("*.py"))
    assert paths, f"no modules in annotator/{part}"
    for path in paths:
        names = imported_names(ast.parse(path.read_text()), for_types=True)
        found = {name.split(".")[1] for name in names if name.startswith("annotator.")}
        assert found <= allowed, f"{path.relative_to(ROOT)} imports {found - allowed}"


def test_no_relative_import_is_hidden_from_the_rules() -> None:
    for package in PACKAGES:
        for path in paths_of(package):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_no_module_imports_itself_through_others() -> None:
    assert structure.cycles(structure.import_graph(structure.read_trees())) == []


def test_folders_are_small() -> None:
    found = structure.files_per_folder()
    large = {folder for folder, number in found.items() if number > structure.MAX_FILES}
    assert large == LARGE_FOLDERS.keys()


def test_functions_are_short() -> None:
    found = structure.functions()
    long = {item.where for item in found if item.lines > structure.MAX_LINES}
    assert not long
    assert structure.percentile(found, 0.9) <= structure.MAX_P90


@pytest.mark.parametrize(
    ("library", "owners"),
    [
        ("ruamel.yaml", {"schemas.files.yaml_files"}),
        ("yaml", {"maskdpo.data_sets.cards"}),  # reads a card exactly as `datasets` does
        ("py3langid", {"schemas.text.language"}),
    ],
)
def test_a_library_with_one_set_up_has_one_owner(library: str, owners: set[str]) -> None:
    users = {
        name
        for name, tree in structure.read_trees().items()
        if any(f"{one}.".startswith(f"{library}.") for one in imported_names(tree))
    }
    assert users == owners


def test_contributing_names_what_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("## Packages")[1].split("Who may import whom")[0]
    listed, package = set(), ""
    for indent, name in re.findall(r"^    (    )?([a-z_]+)/ ", tree, re.MULTILINE):
        package = package if indent else name
        listed.add(f"{package}/{name}" if indent else name)
    assert {folder for folder in listed if not (ROOT / folder).is_dir()} == set()
    assert listed >= set(PACKAGES) | {f"annotator/{part}" for part in ANNOTATOR_PARTS}

    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| `(.+?):(.+?)` \|$", text, re.MULTILINE)
    assert len(rows) > 8
    for what, folder, path, name in rows:
        assert path.rpartition("/")[0] == folder, what
        assert name in names_in(ast.parse((ROOT / path).read_text(encoding="utf-8"))), what


def names_in(tree: ast.Module) -> set[str]:
    """Functions of a module, and methods as `Class.method`."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = {f"{one.name}.{node.name}" for one in classes for node in defined(one.body)}
    return methods | {node.name for node in defined(tree.body)}


def defined(body: list[ast.stmt]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A tree of the six packages with these files, by module path."""

    def make(**files: str) -> Path:
        for package in PACKAGES:
            (tmp_path / package).mkdir(exist_ok=True)
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("back", "is_cycle"),
    [
        ("from trainer import one", True),
        ("from trainer.one import thing", True),
        ("import trainer.one", True),
        ("def f():\n    from trainer.one import thing", True),
        ("import importlib\nimportlib.import_module('trainer.one')", True),
        ("import importlib\ndef f(x): importlib.import_module(f'trainer.{x}')", True),
        ("if TYPE_CHECKING:\n    from trainer.one import thing", False),
        ("if not TYPE_CHECKING:\n    from trainer.one import thing", True),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    from trainer.one import thing", True),
        ("text = 'trainer.one'", False),
    ],
)
def test_what_is_a_cycle(write: Write, back: str, is_cycle: bool) -> None:
    root = write(
        trainer__one="from trainer.two import thing",
        trainer__two="import trainer.three",
        trainer__three=back,
    )
    graph = structure.import_graph(structure.read_trees(root))
    expected = [["trainer.one", "trainer.three", "trainer.two"]] if is_cycle else []
    assert structure.cycles(graph) == expected


def test_how_functions_and_files_are_counted(write: Write) -> None:
    root = write(
        schemas__a="@wraps\ndef one():\n    def inner():\n        pass\n    return inner",
        schemas__b="class B:\n    async def two(self):\n        pass",
        schemas__sub__c="",
    )
    found = {item.where: item.lines for item in structure.functions(root)}
    assert found == {"schemas/a.py:one": 4, "schemas/a.py:inner": 2, "schemas/b.py:two": 2}
    assert structure.files_per_folder(root) == {"schemas": 2, "schemas/sub": 1}


def test_help_of_every_verb_imports_nothing_heavy() -> None:
    """One process, every command's --help, then a look at what was imported."""
    script = f"""
import sys
from click.testing import CliRunner
from maskdpo.cli.main import COMMANDS, cli
for arguments in [["--help"], *([verb, "--help"] for verb in COMMANDS)]:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    assert "Usage:" in result.output
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_packages_are_listed_one_by_one() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(config["tool"]["setuptools"]["packages"])
    present = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert listed == present
