"""Extras: what is missing is one sentence with the command that works, before anything is paid."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import schemas.packages
from schemas.errors import MissingPackageError
from schemas.packages import (
    explain_missing,
    find_extra,
    install_command,
    is_installed,
    missing_packages,
    require,
)

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What no command of the base may import, by the names that are imported.
EXTRAS = (
    "matplotlib scipy spacy nltk datasets huggingface_hub pandas torch transformers accelerate "
    "peft safetensors tensorboard vllm datasketch openai trl sklearn yaml "
    "fastapi starlette uvicorn uvloop httptools schemathesis ray lm_eval evaluate gguf"
).split()


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """As in an installed wheel: no clone around, and metadata as setuptools writes it."""
    lines = [*PROJECT["dependencies"]]
    for extra, requirements in PROJECT["optional-dependencies"].items():
        lines += [f'{line.split("#")[0]}; extra == "{extra}"' for line in requirements]
    monkeypatch.setattr(schemas.packages, "_ROOT", tmp_path)
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    schemas.packages._extras.cache_clear()
    yield
    schemas.packages._extras.cache_clear()


@pytest.mark.usefixtures("wheel")
def test_a_wheel_is_told_the_extra_of_a_package() -> None:
    assert install_command("matplotlib") == "pip install 'maskdpo[report]'"
    assert install_command("spacy") == "pip install 'maskdpo[splitters]'"
    assert install_command("huggingface_hub") == "pip install 'maskdpo[hub]'"
    assert install_command("torch") == "pip install 'maskdpo[train]'"
    assert install_command("fastapi") == "pip install 'maskdpo[serve]'"
    assert install_command("prometheus_client") == install_command("pyarrow")
    assert install_command("sklearn") == "pip install 'maskdpo[dev]'"
    assert install_command("pyarrow") == install_command("markdown_it") == "pip install maskdpo"
    assert install_command("vllm").startswith("pip install 'maskdpo[vllm]'   (in an environment of")
    assert install_command("mlflow") == "pip install mlflow"
    assert explain_missing("peft.tuners").endswith("get it with: pip install 'maskdpo[train]'")


def test_a_clone_is_told_the_command_that_keeps_the_pinned_versions() -> None:
    assert install_command("torch") == "pip install -c constraints.txt -e '.[train]'"
    assert install_command("trl") == "pip install -c constraints.txt -e '.[dev]'"
    assert install_command("aiohttp") == "pip install -c constraints.txt -e ."
    assert install_command("vllm").startswith("make setup-vllm")
    assert "'.[train]'" in explain_missing("peft.tuners")


def test_one_sentence_names_all_packages_and_each_command_once() -> None:
    with pytest.raises(MissingPackageError) as error:
        require("json", "no_such_one", "no_such_two", needed_for="evaluate")
    assert str(error.value) == (
        "evaluate needs the packages 'no_such_one' and 'no_such_two', which are not installed; get "
        "them with: pip install no_such_one no_such_two   (maskdpo doctor lists all packages)"
    )
    require("json", "pyarrow", needed_for="evaluate")


@pytest.mark.usefixtures("wheel")
def test_packages_of_several_extras_are_installed_by_one_command() -> None:
    text = str(missing_packages(["torch", "peft", "scipy"], needed_for="demo"))
    assert "needs the packages 'torch', 'peft' and 'scipy', which" in text
    assert "get them with: pip install 'maskdpo[train,report]'   (" in text
    text = str(missing_packages(["vllm", "pyarrow", "mlflow"], needed_for="sample"))
    assert text.count("pip install") == 3
    assert "pip install maskdpo and pip install 'maskdpo[vllm]'   (in an environment" in text
    assert "and pip install mlflow   (maskdpo doctor" in text


def test_a_mere_folder_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_a_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.util.find_spec("only_a_folder") is not None
    assert not is_installed("only_a_folder") and is_installed("json")


def test_the_base_brings_nothing_of_the_extras() -> None:
    assert {name: find_extra(name) for name in EXTRAS if find_extra(name) == ""} == {}
    (everything,) = PROJECT["optional-dependencies"]["all"]
    rest = [name for name in PROJECT["optional-dependencies"] if name not in ("all", "dev", "vllm")]
    assert everything == f"maskdpo[{','.join(rest)}]"


# ---------------------------------------------------------------- the base alone

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Block(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.split(".")[0])

BLOCKED = set(sys.argv[1].split())
sys.meta_path.insert(0, Block())
sys.argv = ["maskdpo", *sys.argv[2:]]
from maskdpo.cli.main import main
main()
"""


class Base:
    """`maskdpo ARGUMENTS` in a folder, where no package of an extra can be imported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED, " ".join(EXTRAS), *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A folder with documents and two responses to each of a few questions."""
    folder = tmp_path_factory.mktemp("base")
    documents, responses = [], []
    for topic in ("mira", "tove", "ines", "ruth"):
        text = f"{topic.title()} keeps a goat. {topic.title()} was born in 1950 in Karsted."
        documents.append({"id": topic, "topic": topic, "text": text})
        wrong = f"{topic.title()} keeps a horse in Paris since 1990."
        for number, said in enumerate((text, wrong)):
            row = {"id": f"{topic}-{number}", "question_id": topic, "topic": topic, "text": said}
            row |= {"document_ids": [topic]}
            row |= {"prompt": [{"role": "user", "content": f"Who is {topic}?"}]}
            responses.append(row)
    write_rows(folder / "documents.jsonl", documents)
    write_rows(folder / "responses.jsonl", responses)
    (folder / "papers").mkdir()
    (folder / "papers" / "a.md").write_text("# Mira\n\nMira keeps a goat.\n", encoding="utf-8")
    return Base(folder)


@pytest.mark.slow
def test_the_base_annotates_builds_validates_and_exports(base: Base) -> None:
    base("ingest", "papers", "--output", "ingested.jsonl")
    files = ("--responses", "responses.jsonl", "--documents", "documents.jsonl")
    base("annotate", *files, "--output", "annotations.jsonl")
    said = base("build", "--annotations", "annotations.jsonl", "--output", "dataset")
    assert "the card gets no plots: matplotlib is not installed" in said
    assert (base.folder / "dataset" / "README.md").exists()
    assert not list((base.folder / "dataset").rglob("*.png"))
    assert "dataset is valid" in base("validate", "dataset", "--statistics")
    base("export", "dataset", "--format", "trl", "--output", "trl")
    base("domain", "check", "medical", "--dry-run")
    base("recipes")
    base("doctor")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        ("build --annotations annotations.jsonl --output d2 --plots", "matplotlib", "report"),
        ("agreement --gold gold.jsonl", "scipy", "report"),
        ("evaluate --model a=x --questions q.jsonl --documents documents.jsonl", "scipy", "report"),
        ("skills --model a=x --task gsm8k", "lm_eval", "skills,train,report"),
        ("demo", "torch", "train,report"),
        ("serve", "fastapi", "serve"),
        ("train --dataset responses.jsonl --model x", "torch", "train"),
        ("validate org/name", "huggingface_hub", "hub"),
        (
            "annotate --responses responses.jsonl --documents documents.jsonl --output o.jsonl "
            "--set annotate.text.splitter=spacy",
            "spacy",
            "splitters",
        ),
    ],
    ids=lambda value: value.split()[0],
)
def test_what_needs_an_extra_is_refused_with_one_sentence(
    base: Base, arguments: str, package: str, extra: str
) -> None:
    write_rows(base.folder / "gold.jsonl", [{"id": "x"}])
    question = {"id": "q", "question": "Who is Mira?", "document_ids": ["mira"]}
    write_rows(base.folder / "q.jsonl", [question])
    said = base(*arguments.split(), code=2)
    assert f"'{package}'" in said and f"'.[{extra}]'" in said
    assert said.count("error:") == 1
    # Checked by name before the import; the Hub's package is missed by the import itself.
    assert ("needs the package" in said) == (package != "huggingface_hub")
    for name in ("d2", "runs", "o.jsonl"):
        assert not (base.folder / name).exists()
