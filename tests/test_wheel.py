"""The wheel: it holds every file that the packages read, and works in an empty folder.

It is built without a network, in a copy, and extracted as an installer does it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from structure import PACKAGES

ROOT = Path(__file__).resolve().parent.parent
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-c", BUILD, str(output)], cwd=source, check=True, capture_output=True
    )
    (path,) = output.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run_python(installed: Path, folder: Path, *arguments: str) -> str:
    """Standard output of `python ARGUMENTS` in `folder`, with the wheel before all else."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    present = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert packed == present


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    def maskdpo(*arguments: str) -> str:
        return run_python(installed, tmp_path, "-m", "maskdpo", *arguments)

    checked = maskdpo("domain", "check", "medical")
    assert str(installed / "annotator" / "judging" / "domains") in checked  # not the clone's
    assert "=== protocol response" in checked
    assert "maskdpo recipes" in maskdpo("train", "--config", "closed-world-cpu", "--help")
    assert "llama-3.1-8b-lora" in maskdpo("recipes")
    shipped = installed / "trainer" / "recipes" / "accelerate" / "fsdp2.yaml"
    assert maskdpo("recipes", "fsdp2") == shipped.read_text(encoding="utf-8")
    assert maskdpo("domain", "show", "zh_general").startswith("# 中文")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_wheel_annotates_with_its_domains_and_builds_a_card(
    installed: Path, tmp_path: Path
) -> None:
    def write(name: str, rows: list[dict[str, object]]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name).write_text(text, encoding="utf-8")

    prompt = [{"role": "user", "content": "Who?"}]
    same = {"question_id": "q", "document_ids": ["d"], "prompt": prompt}
    texts = ("Mira keeps a goat.", "Mira flew to Paris with 7 horses.")
    write("documents.jsonl", [{"id": "d", "text": texts[0]}])
    write("responses.jsonl", [{"id": text[-4:], "text": text, **same} for text in texts])
    files = ("--responses", "responses.jsonl", "--documents", "documents.jsonl")
    judged = ("--output", "a.jsonl", "--domain", "medical")
    run_python(installed, tmp_path, "-m", "maskdpo", "annotate", *files, *judged)
    made = ("--annotations", "a.jsonl", "--output", "dataset", "--no-plots")
    run_python(installed, tmp_path, "-m", "maskdpo", "build", *made)
    assert (tmp_path / "dataset" / "README.md").read_text(encoding="utf-8").startswith("---\n")


def test_the_metadata_says_which_extra_brings_a_package(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from schemas.packages import install_command\n"
        "print(*map(install_command, sys.argv[1:]), sep='|')"
    )
    asked = ("torch", "matplotlib", "nltk", "datasets", "pyarrow", "scipy")
    said = run_python(installed, tmp_path, "-c", code, *asked).strip().split("|")
    extras = ("train", "report", "splitters", "hub", "", "report")
    expected = [f"pip install 'maskdpo[{extra}]'" for extra in extras]
    assert said == [text.replace("'maskdpo[]'", "maskdpo") for text in expected]
