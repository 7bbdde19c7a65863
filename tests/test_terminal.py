"""Nothing that a terminal would obey is printed, wherever a text comes from."""

import json
from pathlib import Path

import pytest
from build_rows import questions, write_annotations
from command_line import make_run
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.config import BuildConfig
from maskdpo.publishing.dataset import build_dataset
from schemas.text.terminal import one_line, printable

OBEYED = "\x1b[31m\x07\u202e\u2066\x9b"


def test_text_on_one_line() -> None:
    assert one_line("a\nb\tc\u3000d", 24) == "a b c d"
    assert one_line("\x1b]0;x\x07\u200b\u202e", 24) == "?]0;x???"
    assert one_line("米拉[/bold]", 24) == "米拉[/bold]"
    assert one_line("x" * 30, 10) == "x" * 7 + "..."
    assert printable("a\n\x1bb\r\tc") == "a\n?b  c"


@given(st.text())
def test_what_is_printed_is_printable(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(letter == "\n" or letter.isprintable() for letter in shown)
    assert printable(shown) == shown
    assert "\n" not in one_line(text, 20) and len(one_line(text, 20)) <= 20


def all_of(done: tuple[int, str, str]) -> str:
    """All that a command printed."""
    return done[1] + done[2]


def test_errors_and_findings_hold_nothing_that_a_terminal_obeys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(monkeypatch, capsys)
    missing = tmp_path / f"{OBEYED}.jsonl"
    printed = all_of(run("build", "--annotations", missing))
    assert "?[31m???" in printed and "not found" in printed
    assert not set(OBEYED) - set("[31m") & set(printed)
    source = write_annotations(tmp_path / "annotations.jsonl", questions(3))
    folder = build_dataset(
        BuildConfig(test_share=0.0), annotations=source, output=tmp_path / "dataset"
    ).output
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][f"{OBEYED}.png"] = {"sha256": "", "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    printed = all_of(run("validate", folder))
    assert "?[31m???" in printed and "missing" in printed
    assert not set(OBEYED) - set("[31m") & set(printed)
