"""The scores table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path


def print_scores(path: Path) -> None:
    """Print the table of a scores.json, models side by side, in percent; fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    scores = json.loads(path.read_text(encoding="utf-8"))
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, title_justify="left")
    table.add_column("model", no_wrap=True)
    gain = f"gain on {scores['baseline']}"
    for heading in ("score [95%]", gain, "cover", "right", "wrong", "sent.", "resp."):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in scores["models"].items():
        gap = scores["differences"].get(name)
        table.add_row(
            escape(name),
            f"{_percent(row['score'])} [{_percent(row['low'])}, {_percent(row['high'])}]",
            "" if gap is None else _difference(gap),
            _percent(row["coverage"]),
            _number(row["correct_per_response"]),
            _number(row["hallucinated_per_response"]),
            str(row["num_sentences"]),
            str(row["num_responses"]),
        )
    console = Console(highlight=False)
    console.print(table)
    console.print(f"score: {scores['score']}, in percent; {scores['interval']}")
    console.print(
        "cover: coverage, the share of sentences that were decided; right, wrong: sentences a "
        "response; sent., resp.: how many were judged"
    )


def _difference(gap: dict[str, float | None]) -> str:
    if gap["difference"] is None:
        return "-"
    return f"{100 * gap['difference']:+.1f} [{_percent(gap['low'])}, {_percent(gap['high'])}]"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
