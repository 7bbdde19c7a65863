"""The result in scores.json, in words: for the terminal, the report and the demo.

The rule: a difference is called clear only if its 95% interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def conclude(scores: Mapping[str, Any]) -> list[str]:
    """Which model is best, and how the others compare with it; the most important comes first."""
    models = {name: row for name, row in scores["models"].items() if row["score"] is not None}
    if not models:
        return ["There is no score: no question was answered by every model."]
    best = max(models, key=lambda name: models[name]["score"])
    row = models[best]
    base = f"{scores['num_common_questions']} of {scores['num_questions']} questions"
    value = f"{percent(row['score'])}%"
    if row["low"] is not None:
        value += f" (95% interval {percent(row['low'])} to {percent(row['high'])})"
    if len(models) == 1:
        return [f"{best} scores {value}, over {base}."]
    against = [find_pair(scores, best, other) for other in models if other != best]
    unclear = [view["compared_with"] for view in against if not is_clear(view)]
    if not unclear and row["has_warning"]:
        first = (
            f"{best} has the highest score, {value}, over the {base} that every model answered, "
            "but it says less than others: read the warnings first."
        )
    elif not unclear:
        first = f"{best} is best: it scores {value}, over the {base} that every model answered."
    else:
        first = (
            f"No model is clearly best. {best} has the highest score, {value}, over the {base} "
            f"that every model answered, but there is no clear difference from "
            f"{', '.join(unclear)}."
        )
    return [first, *(describe_pair(view) for view in against)]


def describe_pair(pair: Mapping[str, Any]) -> str:
    """One sentence about a pair: the difference with its interval, and what it shows."""
    model, other, value = pair["model"], pair["compared_with"], pair["difference"]
    if value is None:
        return f"No question was answered by both {model} and {other}."
    on = f"on {pair['num_questions']} questions"
    if pair["low"] is None:
        return f"{model} - {other}: {points(value)} points, {on}; too few topics for an interval."
    if not is_clear(pair):
        return (
            f"There is no clear difference between {model} and {other}: {points(value)} points "
            f"(95% interval {points(pair['low'])} to {points(pair['high'])}), {on}."
        )
    way = "higher" if value > 0 else "lower"
    low, high = sorted(abs(pair[end]) for end in ("low", "high"))
    return (
        f"{model} scores {percent(abs(value))} points {way} than {other} (95% interval "
        f"{percent(low)} to {percent(high)}), {on}."
    )


def judge_pair(pair: Mapping[str, Any]) -> str:
    """The same in a few words, for a table."""
    if pair["difference"] is None:
        return "no common question"
    if pair["low"] is None:
        return "too few topics"
    if not is_clear(pair):
        return "no clear difference"
    return "clearly higher" if pair["difference"] > 0 else "clearly lower"


def find_pair(scores: Mapping[str, Any], model: str, compared_with: str) -> dict[str, Any]:
    """The pair as `model` minus `compared_with`, in whichever order scores.json has it."""
    for pair in scores["pairs"]:
        if (pair["model"], pair["compared_with"]) == (model, compared_with):
            return dict(pair)
        if (pair["model"], pair["compared_with"]) == (compared_with, model):
            return {
                **pair,
                "model": model,
                "compared_with": compared_with,
                "difference": _minus(pair["difference"]),
                "low": _minus(pair["high"]),
                "high": _minus(pair["low"]),
            }
    raise KeyError(f"{model} and {compared_with}")


def is_clear(pair: Mapping[str, Any]) -> bool:
    """Whether the interval of the difference excludes zero."""
    low, high = pair["low"], pair["high"]
    return low is not None and high is not None and (low > 0 or high < 0)


def percent(value: float | None) -> str:
    """A share in percent, without the sign: 45.7."""
    return "-" if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points: +2.6."""
    # Rounded first: a difference that rounds to zero is +0.0, never -0.0.
    return "-" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"


def p_value(value: float | None) -> str:
    """A p value: two digits, never 0."""
    if value is None:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value
