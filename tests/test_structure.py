"""The door rule: who may import whom, and what may be imported at the top of a module."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("schemas", "formats", "annotator", "dataset_builder", "trainer", "maskdpo")
ALLOWED = {
    "schemas": {"schemas"},
    "formats": {"schemas", "formats"},
    "annotator": {"schemas", "formats", "annotator"},
    "dataset_builder": {"schemas", "formats", "dataset_builder"},
    "trainer": {"schemas", "formats", "trainer"},
    "maskdpo": set(ROOMS),
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
}
HEAVY = {"torch", "transformers", "vllm", "datasets", "spacy", "nltk", "openai", "matplotlib"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported_names(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_through_their_doors(room: str) -> None:
    assert modules(room), f"no modules in {room}"
    for path in modules(room):
        found = {name.split(".")[0] for name in imported_names(ast.parse(path.read_text()))}
        wrong = (found & set(ROOMS)) - ALLOWED[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("part", ANNOTATOR_PARTS)
def test_parts_of_the_annotator_point_one_way(part: str) -> None:
    allowed = {part, *ANNOTATOR_PARTS[part]}
    paths = sorted((ROOT / "annotator" / part).rglob("*.py"))
    assert paths, f"no modules in annotator/{part}"
    for path in paths:
        names = imported_names(ast.parse(path.read_text()))
        found = {name.split(".")[1] for name in names if name.startswith("annotator.")}
        assert found <= allowed, f"{path.relative_to(ROOT)} imports {found - allowed}"


def test_no_relative_imports_hide_from_the_rule() -> None:
    for room in ROOMS:
        for path in modules(room):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_help_of_every_verb_imports_nothing_heavy() -> None:
    """One process, every verb's --help, then a look at what was imported."""
    script = f"""
import sys
from click.testing import CliRunner
from maskdpo.cli.main import VERBS, cli
for arguments in [["--help"], *([verb, "--help"] for verb in VERBS)]:
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
    import tomllib

    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(config["tool"]["setuptools"]["packages"])
    present = {
        str(path.parent.relative_to(ROOT)).replace("/", ".")
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert listed == present
