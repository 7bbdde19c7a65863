"""The statistics of a data set as a table on the terminal, one column per split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.text.terminal import one_line

MAX_NAME_CHARS = 40
Values = Mapping[str, Any]


def print_statistics(statistics: Values) -> None:
    """Print what `compute_statistics` returned; fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    columns = {**statistics["splits"], "all": statistics["all"]}
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for heading, show in _rows(statistics["all"]).items():
        table.add_row(heading, *(show(values) for values in columns.values()))
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "label: share of all judged sentences; score, margin, length, active: medians; active: "
        "share of a response's text that trains; length bias: chosen longer than rejected"
        + ("; wrong words: share of a marked sentence" if "pieces" in statistics["all"] else "")
    )


def _rows(overall: Values) -> dict[str, Callable[[Values], str]]:
    """The table's rows in order: heading -> the cell of one split."""
    rows: dict[str, Callable[[Values], str]] = {
        "pairs": lambda values: f"{values['num_pairs']:,}",
        "sentences": lambda values: f"{values['num_sentences']:,}",
        "topics": lambda values: f"{values['num_topics']:,}",
    }
    for label in overall["labels"]["all"]:
        rows[f"label {label}"] = _label_share(label)
    for side in ("chosen", "rejected"):
        rows[f"score {side}"] = _median(f"score_{side}", "{:.2f}")
    rows["margin"] = _median("margin", "{:.2f}")
    for side in ("chosen", "rejected"):
        rows[f"length {side}, characters"] = _median(f"length_{side}", "{:,.0f}")
    for side in ("chosen", "rejected"):
        rows[f"active {side}"] = _median(f"active_share_{side}", "{:.2f}")
    for side in overall.get("pieces", {}):
        rows[f"wrong words {side}"] = _wrong_share(side)
    rows["length bias"] = _length_bias
    for language in overall["languages"]:
        rows[f"pairs in {_shown(language) or 'no named language'}"] = _language_pairs(language)
    return rows


def _label_share(label: str) -> Callable[[Values], str]:
    def show(values: Values) -> str:
        total = values["num_sentences"]
        return f"{100 * values['labels']['all'].get(label, 0) / total:.1f}%" if total else "-"

    return show


def _median(name: str, pattern: str) -> Callable[[Values], str]:
    def show(values: Values) -> str:
        median = values[name]["median"]
        return "-" if median is None else pattern.format(median)

    return show


def _wrong_share(side: str) -> Callable[[Values], str]:
    def show(values: Values) -> str:
        counted = values.get("pieces", {}).get(side)
        return f"{counted['wrong_share']['median']:.2f}" if counted else "-"

    return show


def _length_bias(values: Values) -> str:
    if not values["num_pairs"]:
        return "-"
    return f"{100 * values['length_bias']['chosen_longer'] / values['num_pairs']:.1f}%"


def _language_pairs(language: str) -> Callable[[Values], str]:
    def show(values: Values) -> str:
        return f"{values['languages'].get(language, {}).get('pairs', 0):,}"

    return show


def _shown(text: str) -> str:
    """A name from data without control characters and without rich markup."""
    from rich.markup import escape

    return escape(one_line(text, MAX_NAME_CHARS))
