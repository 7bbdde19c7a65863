"""The words of progress in a log."""

from __future__ import annotations

import pytest

from maskdpo.cli.progress import Progress
from schemas.events import Advanced, Ended, Started


@pytest.mark.parametrize(
    ("unit", "words"),
    [("reply", "2 of 3 replies in"), ("response", "2 of 3 responses in"), ("file", "2 of 3 files")],
)
def test_units_are_counted_in_the_plural(
    unit: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress()
    for event in (
        Started(stage="work", total=3, unit=unit),
        Advanced(stage="work", count=2),
        Ended(stage="work"),
    ):
        progress(event)
    assert capsys.readouterr().err.startswith(f"work: {words}")
