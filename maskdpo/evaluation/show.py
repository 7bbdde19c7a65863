"""The scores on the terminal, within 80 columns: three tables, warnings and a conclusion.

The rule: what a model did not answer is printed directly below its score. With people's reviews,
two tables of corrected scores follow; the best of n is printed where it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from maskdpo.evaluation.factscore.show import (
    HEADINGS,
    PAIR_HEADINGS,
    explain,
    pair_rows,
    score_rows,
)
from maskdpo.evaluation.words import conclude, p_value, percent, points
from schemas.text.terminal import printable

WIDTH = 80
MAX_NAME_CHARS = 18


def print_scores(path: Path, *, best_of: bool = False) -> None:
    """Print the tables of a scores.json, in percent and percentage points."""
    scores = json.loads(path.read_text(encoding="utf-8"))
    models: Mapping[str, Mapping[str, Any]] = scores["models"]
    _print_table(
        ("model", "score [95%]", "answered", "own score", "questions", "ANAH", "cover"),
        (_score_cells(name, row) for name, row in models.items()),
    )
    _print(f"score: {scores['score']}, in percent; {scores['interval']}")
    _print("answered: percent of the requested responses with a fact that could be judged")
    _print("own score: over all questions that the model itself answered, with their number")
    if any(row["anah_flag"] for row in models.values()):
        _print("*: not comparable, because the model answered less than the baseline")
    _print_table(
        ("model", "abst.", "undec.", "failed", "facts", "sent.", "chars", "no-fact"),
        (_answer_cells(name, row) for name, row in models.items()),
    )
    _print(
        "abst., undec., failed: number of the other responses; facts, sent., chars: per answer; "
        "no-fact: percent of sentences"
    )
    if scores["pairs"]:
        _print_table(
            ("difference, in points", "[95%]", "p", "questions"), map(_pair_cells, scores["pairs"])
        )
    if "factscore" in scores:
        _print_factscores(scores)
    if best_of:
        _print_best_of(models)
    if "people" in scores:
        _print_people(scores["people"], models)
    click.echo("")
    for text in scores["warnings"]:
        _print(f"warning: {text}")
    for text in conclude(scores)[:1]:
        _print(text)


def _print_best_of(models: Mapping[str, Mapping[str, Any]]) -> None:
    curves = {name: row["best_of"] for name, row in models.items() if row["best_of"]}
    if not curves:
        click.echo("")
        _print("best of n: there is one response per question; set num_responses to more")
        return
    steps = sorted({point["n"] for curve in curves.values() for point in curve["points"]})
    _print_table(
        ("best of n", *(f"n = {n}" for n in steps), "no fact"),
        (_best_of_cells(name, curve, steps) for name, curve in curves.items()),
    )
    _print(
        "best of n: expected score of the best of n responses, in percent, over all questions; a "
        "response without a decided fact counts as 0 (no fact: their number)"
    )


def _best_of_cells(name: str, curve: Mapping[str, Any], steps: Sequence[int]) -> Sequence[str]:
    found = {point["n"]: percent(point["score"]) for point in curve["points"]}
    return (
        _short(name),
        *(found.get(n, "") for n in steps),
        str(curve["num_without_fact"]),
    )


def _print_people(people: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> None:
    _print_table(
        ("with people", "score [95%]", "people alone", "judge", "reviewed"),
        (_people_cells(name, row, models[name]) for name, row in people["models"].items()),
    )
    _print(
        f"score: {people['score']}. {people['condition']} reviewed: number of questions, of "
        f"{people['num_common_questions']}"
    )
    if people["pairs"]:
        _print_table(
            ("difference, with people", "[95%]", "p", "both reviewed"),
            map(_people_pair_cells, people["pairs"]),
        )
    for text in people["notes"]:
        _print(f"note: {text}")


def _people_cells(name: str, row: Mapping[str, Any], judged: Mapping[str, Any]) -> Sequence[str]:
    return (
        _short(name),
        f"{percent(row['score'])} [{percent(row['low'])}, {percent(row['high'])}]",
        f"{percent(row['people_score'])} [{percent(row['people_low'])}, "
        f"{percent(row['people_high'])}]",
        percent(judged["score"]),
        str(row["num_reviewed_questions"]),
    )


def _people_pair_cells(pair: Mapping[str, Any]) -> Sequence[str]:
    return (*_pair_cells(pair)[:3], str(pair["num_reviewed_questions"]))


def _print_factscores(scores: Mapping[str, Any]) -> None:
    _print_table(HEADINGS, score_rows(scores["models"]))
    for text in explain(scores):
        _print(text)
    if scores["factscore"]["pairs"]:
        _print_table(PAIR_HEADINGS, pair_rows(scores["factscore"]["pairs"]))


def _score_cells(name: str, row: Mapping[str, Any]) -> Sequence[str]:
    return (
        _short(name),
        f"{percent(row['score'])} [{percent(row['low'])}, {percent(row['high'])}]",
        percent(row["answered"]),
        percent(row["own_score"]),
        str(row["own_num_questions"]),
        percent(row["anah_score"]) + ("*" if row["anah_flag"] else ""),
        percent(row["coverage"]),
    )


def _answer_cells(name: str, row: Mapping[str, Any]) -> Sequence[str]:
    return (
        _short(name),
        str(row["num_abstained"]),
        str(row["num_undecided"]),
        str(row["num_failed"]),
        _number(row["facts_per_answer"]),
        _number(row["sentences_per_answer"]),
        "-" if row["characters_per_answer"] is None else f"{row['characters_per_answer']:.0f}",
        percent(row["no_fact_share"]),
    )


def _pair_cells(pair: Mapping[str, Any]) -> Sequence[str]:
    return (
        f"{_short(pair['model'])} - {_short(pair['compared_with'])}",
        f"{points(pair['difference'])} [{points(pair['low'])}, {points(pair['high'])}]",
        p_value(pair["p"]),
        str(pair["num_questions"]),
    )


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if place else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*(escape(printable(cell)) for cell in cells))
    click.echo("")
    Console(highlight=False, width=WIDTH).print(table)


def _print(text: str) -> None:
    click.echo(click.wrap_text(printable(text), WIDTH, subsequent_indent="  "))


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_CHARS else name[: MAX_NAME_CHARS - 1] + "…"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
