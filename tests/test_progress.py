"""What the command line shows of a run's events: whole lines in a log, a bar on a terminal."""

import io
import sys
import threading

import pytest

from maskdpo.cli.progress import Progress
from schemas.events import Advanced, Ended, Noted, Started, Usage


class Log(io.StringIO):
    """Standard error of a program whose output goes to a file; sets `printed` at a line."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self.printed = threading.Event()
        self.is_terminal = is_terminal
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        written = super().write(text)
        self.printed.set()
        return written

    def isatty(self) -> bool:
        return self.is_terminal


def test_a_log_gets_lines_while_no_call_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    monkeypatch.setattr(sys, "stderr", log)
    show = Progress(log_every_s=0.01)
    show(Started(stage="annotate", total=1200, unit="response"))
    assert log.printed.wait(30)  # no event has come since
    show(Advanced(stage="annotate", count=300, usage=Usage(asked=2000, failures={"timeout": 2})))
    log.printed.clear()
    assert log.printed.wait(30)
    show(Noted(text="a note"))
    show(Ended(stage="annotate"))
    text = log.getvalue()
    assert "annotate: 0 of 1,200 responses in 0 s\n" in text
    assert "annotate: 300 of 1,200 responses in 0 s, about 0 s left | calls 2,000 | failed" in text
    last = "annotate: 300 of 1,200 responses in 0 s | calls 2,000 | failed: timeout 2\n"
    assert text.endswith(last) and "note: a note\n" in text  # nothing is left of a run that ended
    assert "\r" not in text
    lines = [piece for piece in log.writes if piece.startswith("annotate:")]
    assert all(piece.endswith("\n") for piece in lines)  # a line and its end are one write
    assert not [item for item in threading.enumerate() if "_keep_printing" in item.name]


@pytest.mark.parametrize(("unit", "units"), [("file", "files"), ("reply", "replies")])
def test_a_log_is_short_when_the_run_is(
    monkeypatch: pytest.MonkeyPatch, unit: str, units: str
) -> None:
    log = Log()
    monkeypatch.setattr(sys, "stderr", log)
    show = Progress()
    show(Started(stage="ingest", total=None, unit=unit))
    for _ in range(1000):
        show(Advanced(stage="ingest", count=1))
    show(Ended(stage="ingest"))
    assert log.getvalue() == f"ingest: 1,000 {units} in 0 s\n"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", log)
    show = Progress()
    show(Started(stage="annotate", total=4, unit="response"))
    show(Advanced(stage="annotate", count=4, usage=Usage(asked=4)))
    show(Noted(text="a note"))
    show(Ended(stage="annotate"))
    text = log.getvalue()
    assert "\rannotate: 100%" in text and "calls 4" in text and "a note\n" in text
