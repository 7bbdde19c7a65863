"""The results of the study as Markdown tables.

The rule: every figure is one of results.json; a figure that does not exist is shown as "-".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def render_table(results: Mapping[str, Any]) -> str:
    """Scores, seeds that are left out, differences and the cost of each stage."""
    left_out = [line for row in results["left_out"] for line in ("", describe_left_out(row))]
    parts = [*_scores(results), *left_out, "", *_pairs(results), "", *_costs(results)]
    return "\n".join(parts) + "\n"


def describe_left_out(row: Mapping[str, Any]) -> str:
    """Why a seed has no figures."""
    limits = f"{100 * row['low']:.0f} to {100 * row['high']:.0f}%"
    return (
        f"Seed {row['seed']} is left out: {_percent(row['share_true'])}% of its base model's "
        f"sentences are true, and {limits} counts as half."
    )


def _scores(results: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, row in results["pooled"]["models"].items():
        values = [seed["values"][f"score-{name}"] for seed in results["seeds"]]
        own = [seed["models"][name]["score"] for seed in results["seeds"]]
        kl = [value["kl"] for value in values if value["kl"] is not None]
        true = sum(value["true_facts"] for value in values)
        false = sum(value["false_facts"] for value in values)
        rows.append(
            [
                name,
                _range(row["score"], row["low"], row["high"]),
                ", ".join(_percent(value) for value in own),
                _percent(true / (true + false) if true + false else None),
                _number(row["facts_per_answer"]),
                _number(sum(kl) / len(kl) if kl else None),
            ]
        )
    head = [
        "model",
        "true sentences, % (95% interval over people)",
        "each seed",
        "true facts, %",
        "sentences per answer",
        "KL from base, nats",
    ]
    return _table(head, rows)


def _pairs(results: Mapping[str, Any]) -> list[str]:
    over = {(row["model"], row["compared_with"]): row for row in results["over_seeds"]["pairs"]}
    rows = []
    for pair in results["pooled"]["pairs"]:
        seeds = over[pair["model"], pair["compared_with"]]
        rows.append(
            [
                f"{pair['model']} - {pair['compared_with']}",
                _range(pair["difference"], pair["low"], pair["high"], signed=True),
                _p(pair["p"]),
                _range(seeds["mean"], seeds["low"], seeds["high"], signed=True),
                _p(seeds["p"]),
            ]
        )
    head = ["difference, points", "over people", "p", "over seeds", "p"]
    return _table(head, rows)


def _costs(results: Mapping[str, Any]) -> list[str]:
    by_stage: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for seed in results["seeds"]:
        for row in seed["usage"]:
            by_stage[row["stage"]].append(row)
    rows = [_cost(name, found) for name, found in by_stage.items()]
    rows.append(_cost("all", [row for found in by_stage.values() for row in found]))
    return _table(["stage, all seeds", "wall, min", "CPU, min", "peak memory, MiB"], rows)


def _cost(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    wall, cpu = (sum(row[key] for row in rows) / 60 for key in ("wall_s", "cpu_s"))
    return [name, f"{wall:.1f}", f"{cpu:.1f}", f"{max(row['peak_mb'] for row in rows):,}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _range(
    value: float | None, low: float | None, high: float | None, *, signed: bool = False
) -> str:
    if low is None or high is None:
        return _percent(value, signed=signed)
    ends = f"{_percent(low, signed=signed)} to {_percent(high, signed=signed)}"
    return f"{_percent(value, signed=signed)} ({ends})"


def _percent(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"
