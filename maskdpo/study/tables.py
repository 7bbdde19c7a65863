"""The result of an experiment as Markdown: the same text for the terminal and for the page.

The rule: a table is made from the experiment's JSON alone, so it cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from maskdpo.evaluation.words import p_value, percent, points
from maskdpo.study.experiments.plan import BASE
from maskdpo.study.experiments.results import EQUAL_KL, TRUE_FACTS

Values = Mapping[str, Any]


def make_tables(result: Values) -> str:
    """All tables of an experiment, with what they mean."""
    worlds = len(result["worlds"])
    parts = [
        f"# {result['experiment']}",
        result["question"],
        f"{worlds} {'world' if worlds == 1 else 'worlds'}, {_hours(result['core_hours'])}. Scores "
        "are in percent of correct sentences, differences in points; brackets are 95% intervals "
        "over worlds.",
        _table(
            ("arm", "steps", "rate", "score", "true facts", "KL, nats", "facts", "answered"),
            map(_arm_cells, result["arms"]),
        ),
        _table(
            ("difference", "at", "points", "95%", "p", "worlds"),
            map(_comparison_cells, result["comparisons"]),
        ),
    ]
    if result.get("best_of"):
        parts += [
            "Expected score of the best of n responses to a question, chosen by the truth:",
            _best_of_table(result["best_of"]),
        ]
    if result["paper"]:
        parts.append(f"Published: {result['paper']}")
    parts += conclude(result)
    return "\n\n".join(parts) + "\n"


def make_rate_table(tuning: Values) -> str:
    """The grid of learning rates, and the chosen ones."""
    rates = list(next(iter(tuning["grid"].values())))
    rows = (
        (name, *(percent(row[rate]["value"]) for rate in rates), f"{tuning['rates'][name]:g}")
        for name, row in tuning["grid"].items()
    )
    return _table(("method", *rates, "chosen"), rows) + "\n"


def conclude(result: Values) -> list[str]:
    """One sentence per comparison: what it shows, and how sure that is."""
    return [_describe(row, len(result["worlds"])) for row in result["comparisons"]]


def _describe(row: Values, num_worlds: int) -> str:
    found = row["difference"]
    what, at = f"{row['ours']} minus {row['theirs']}", _place(row)
    if found["value"] is None:
        return f"{what}, {at}: no world has a score of both."
    size = f"{points(found['value'])} points"
    missing = num_worlds - len(found["worlds"])
    lacks = f"; {missing} of {num_worlds} worlds lack a score" if missing else ""
    if found["low"] is None:
        return f"{what}, {at}: {size}; one world gives no interval{lacks}."
    interval = f"95% interval {points(found['low'])} to {points(found['high'])}"
    p = f"p {_equation(found['p'])}"
    if found["low"] <= 0 <= found["high"]:
        return f"{what}, {at}: no clear difference, {size} ({interval}, {p}{lacks})."
    return f"{what}, {at}: {size} ({interval}, {p}{lacks})."


def _equation(p: float | None) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"


def _place(row: Values) -> str:
    if row["at"] != EQUAL_KL:
        place = "at equal steps" if row["theirs"] != BASE else "after training"
        return f"true facts {place}" if row["at"] == TRUE_FACTS else place
    kl = row["kl"]["value"]
    return "at equal KL" if kl is None else f"at equal KL ({kl:.1f} nats)"


def _arm_cells(row: Values) -> Sequence[str]:
    return (
        row["name"],
        str(row["steps"]) if row["steps"] else "-",
        "-" if row["rate"] is None else f"{row['rate']:g}",
        _with_interval(row["score"]),
        percent(row["true_share"]["value"]),
        _number(row["kl"]["value"]),
        _number(row["mean_facts"]["value"]),
        percent(row["respond_ratio"]["value"]),
    )


def _comparison_cells(row: Values) -> Sequence[str]:
    found = row["difference"]
    return (
        f"{row['ours']} - {row['theirs']}",
        row["at"] if row["at"] != EQUAL_KL else f"KL {_number(row['kl']['value'])}",
        points(found["value"]),
        "-" if found["low"] is None else f"{points(found['low'])} to {points(found['high'])}",
        p_value(found["p"]),
        str(len(found["worlds"])),
    )


def _best_of_table(curves: Mapping[str, Mapping[str, Values]]) -> str:
    counts = list(next(iter(curves.values())))
    rows = ((name, *(percent(row[n]["value"]) for n in counts)) for name, row in curves.items())
    return _table(("arm", *(f"n = {n}" for n in counts)), rows)


def _with_interval(figure: Values) -> str:
    if figure["value"] is None:
        return "no answer"
    if figure["low"] is None:
        return percent(figure["value"])
    return f"{percent(figure['value'])} [{percent(figure['low'])}, {percent(figure['high'])}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _hours(value: float) -> str:
    return f"{value:.2f} core-hours"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
