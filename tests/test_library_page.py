"""docs/library.md is true: its code runs, in order, and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_server import ScriptedJudge
from sample_server import Answer, ChatServer, completion

import maskdpo

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
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


def test_the_code_of_the_page_prints_what_it_shows(tmp_path: Path) -> None:
    """As one script in a process of its own: worker processes import it."""
    parts = list(blocks(PAGE))
    assert len(parts) >= 7
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
    assert num_asked == 4 + 2  # each sentence and each response once; the rest is stored


def indent(code: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in code.splitlines(True))


@pytest.mark.parametrize("name", maskdpo.__all__)
def test_every_public_name_is_on_the_page_and_can_be_imported(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert getattr(maskdpo, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Annotater'"):
        _ = maskdpo.Annotater


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, maskdpo; print([name for name in sys.modules if 'annotator' in name])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
