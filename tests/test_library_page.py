"""docs/python.md and docs/library.md are true: their code runs and prints what they show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structure
from judge_server import ScriptedJudge
from sample_server import Answer, ChatServer, completion
from tiny_models import save_model_folder

import maskdpo

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("python", "library")
}
SERVER = "http://127.0.0.1:8000/v1"
TRUTHS = {
    "Mira Tolvan was born in Karsted in 1902.": (
        "contradicted",
        "Mira Tolvan was born in Karsted in 1901.",
    ),
    "Mira Tolvan was born in Karsted in 1901.": (
        "supported",
        "Mira Tolvan was born in Karsted in 1901.",
    ),
    "She kept two cats.": ("supported", "She kept two cats."),
    "She painted boats.": ("not_mentioned", ""),
}


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """(code, what it prints) of each Python block; the output is the block after it."""
    yield from re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", page, re.S)


def reply(body: dict[str, Any]) -> Answer:
    if body["model"] == "my-model":
        return completion("Mira Tolvan was born in Karsted in 1901.")
    return ScriptedJudge(TRUTHS)(body)


@pytest.mark.parametrize(
    ("name", "num_blocks", "num_calls"),
    # library: each sentence and each response once; python: the four sentences of two texts.
    [("python", 8, 4), ("library", 7, 4 + 2)],
)
def test_the_code_of_the_page_prints_what_it_shows(
    name: str, num_blocks: int, num_calls: int, tmp_path: Path
) -> None:
    """As one script in a process of its own: worker processes import it."""
    page = PAGES[name].replace(trl_section(PAGES[name]), "")  # tests/test_api_trl.py runs that
    parts = list(blocks(page))
    assert len(parts) >= num_blocks
    if name == "python":
        save_model_folder(tmp_path / "my-model")
    marks = [f"\nprint('== block {number}')\n" for number in range(len(parts))]
    with ChatServer(reply) as server:
        script = "".join(mark + code for mark, (code, _) in zip(marks, parts, strict=True))
        assert SERVER in script
        program = tmp_path / "page.py"
        # Worker processes import the script too, and must not run it.
        program.write_text(f"if __name__ == '__main__':\n{indent(script)}", encoding="utf-8")
        text = program.read_text(encoding="utf-8").replace(SERVER, server.base_url)
        program.write_text(text, encoding="utf-8")
        result = subprocess.run(
            [sys.executable, program.name],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        num_asked = len(server.asked)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    printed = re.split(r"== block \d+\n", result.stdout)[1:]
    # Rows come in order of completion.
    assert [sorted(text.splitlines()) for text in printed] == [
        sorted(output.splitlines()) for _, output in parts
    ]
    assert num_asked == num_calls  # the rest is stored


@pytest.mark.parametrize("page", ["README.md", "docs/sentences.md"])
def test_the_code_of_other_pages_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    parts = [part for part in blocks((ROOT / page).read_text(encoding="utf-8")) if part[1]]
    assert parts
    for code, output in parts:
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.stdout, result.stderr) == (output, "")


def trl_section(page: str) -> str:
    """The section on TRL, without its heading; a text that is nowhere, where there is none."""
    _, found, rest = page.partition("\n## TRL in ten lines\n")
    return rest.split("\n## ")[0] if found else "\0"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_code_on_pages_imports_ours_from_maskdpo_alone(page: Path) -> None:
    code = "".join(code for code, _ in blocks(page.read_text(encoding="utf-8")))
    found = re.findall(r"^(?:from|import) ([\w.]+)", code, re.MULTILINE)
    assert {one for one in found if one.split(".")[0] in structure.PACKAGES} <= {"maskdpo"}


def indent(code: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in code.splitlines(True))


@pytest.mark.parametrize("name", maskdpo.__all__)
def test_every_public_name_is_on_the_page_and_can_be_imported(name: str) -> None:
    assert any(f"`{name}`" in page for page in PAGES.values())
    assert getattr(maskdpo, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Annotater'"):
        _ = maskdpo.Annotater


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, maskdpo; print([name for name in sys.modules if 'annotator' in name])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
