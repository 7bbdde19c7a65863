"""skills.json on the terminal, within 80 columns: one row per task, metric and model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from maskdpo.evaluation.words import p_value, percent, points
from schemas.text.terminal import printable

WIDTH = 80
_MAX_CHARS = 18


def print_skills(path: Path) -> None:
    """Print the scores with lm-eval's standard errors, and the differences from the baseline."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    scores = json.loads(path.read_text(encoding="utf-8"))
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for place, heading in enumerate(
        ("task", "metric", "model", "score ± s.e.", "difference [95%]", "p")
    ):
        table.add_column(heading, justify="left" if place < 3 else "right")
    for cells in _rows(scores):
        table.add_row(*(Text(printable(cell)) for cell in cells))
    click.echo("")
    Console(highlight=False, width=WIDTH).print(table)
    first = next(iter(scores["skills"]), "")
    _print(
        f"score ± s.e.: by {scores['harness']}, in percent where it is a share; difference: from "
        f"{first}, document by document; {scores['interval']}; no interval where a score is not "
        "a mean over documents"
    )


def _rows(scores: Mapping[str, Any]) -> list[Sequence[str]]:
    """One row of cells per task, metric, filter and model, the models of a metric together."""
    differences = {(row["model"], *_place(row)): row for row in scores["differences"]}
    by_place: dict[tuple[str, str, str], list[tuple[str, Mapping[str, Any]]]] = {}
    for name, rows in scores["skills"].items():
        for row in rows:
            by_place.setdefault(_place(row), []).append((name, row))
    lines: list[Sequence[str]] = []
    for place, models in by_place.items():
        task, metric, cut = place
        for index, (name, row) in enumerate(models):
            titles = ("", "") if index else (_short(task), _metric(metric, cut))
            lines.append(
                (*titles, _short(name), _score(row), *_change(differences.get((name, *place))))
            )
    return lines


def _score(row: Mapping[str, Any]) -> str:
    if row["score"] is None:
        return "-"
    show = percent if row["is_share"] else _plain
    return show(row["score"]) + (f" ±{show(row['stderr'])}" if row["stderr"] is not None else "")


def _change(row: Mapping[str, Any] | None) -> tuple[str, str]:
    if row is None or row["difference"] is None:
        return "", ""
    show = points if row["is_share"] else _signed
    text = show(row["difference"])
    if row["low"] is not None:
        text += f" [{show(row['low'])}, {show(row['high'])}]"
    return text, p_value(row["p"])


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["task"], row["metric"], row["filter"]


def _metric(metric: str, cut: str) -> str:
    return metric if cut == "none" else f"{metric} {cut}"


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _signed(value: float) -> str:
    return f"{value:+.4g}"


def _short(name: str) -> str:
    return name if len(name) <= _MAX_CHARS else name[: _MAX_CHARS - 1] + "…"


def _print(text: str) -> None:
    click.echo(click.wrap_text(printable(text), WIDTH, subsequent_indent="  "))
