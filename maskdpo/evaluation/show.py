"""The scores table on the terminal."""

from __future__ import annotations

import json
from pathlib import Path


def print_scores(path: Path) -> None:
    """Print the table of a scores.json, models side by side, in percent."""
    from rich.console import Console
    from rich.table import Table

    scores = json.loads(path.read_text(encoding="utf-8"))
    table = Table(
        "model", "score", "95% interval", f"against {scores['baseline']}", "coverage",
        "correct/resp.", "halluc./resp.", "sentences", "responses",
        title=f"Score: {scores['score']} (%)",
    )  # fmt: skip
    for name, row in scores["models"].items():
        gap = scores["differences"].get(name)
        table.add_row(
            name,
            _percent(row["score"]),
            f"{_percent(row['low'])} to {_percent(row['high'])}",
            "-" if gap is None else _difference(gap),
            _percent(row["coverage"]),
            _number(row["correct_per_response"]),
            _number(row["hallucinated_per_response"]),
            str(row["num_sentences"]),
            str(row["num_responses"]),
        )
    console = Console()
    console.print(table)
    console.print(f"Intervals: {scores['interval']}", highlight=False)


def _difference(gap: dict[str, float | None]) -> str:
    if gap["difference"] is None:
        return "-"
    return f"{100 * gap['difference']:+.1f} ({_percent(gap['low'])} to {_percent(gap['high'])})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
