"""Best of n in the study: the curves of each model over the worlds.

The rule: a world's value at n is the mean over its questions of the expected best of n, without
bias (`maskdpo.best_of_n`), where the score of a response is its share of correct sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from maskdpo.study.figures import mean_over_worlds
from maskdpo.study.lab.tasks import Result

COUNTS = (1, 2, 4, 8, 16, 32, 64)


def best_of_curves(
    names: Sequence[str], worlds: Sequence[int], results: Sequence[Result]
) -> dict[str, dict[str, Any]]:
    """For each model and n the figure over worlds; the three arguments belong together."""
    values: dict[str, dict[int, dict[int, float | None]]] = {}
    for name, world, result in zip(names, worlds, results, strict=True):
        curve = world_curve(result.values["responses"])
        for n, value in curve.items():
            values.setdefault(name, {}).setdefault(n, {})[world] = value
    return {
        name: {str(n): mean_over_worlds(row).as_json() for n, row in sorted(by_n.items())}
        for name, by_n in values.items()
    }


def world_curve(responses: dict[str, Sequence[float | None]]) -> dict[int, float | None]:
    """The mean over questions of the expected best of n, for each n that all questions have."""
    from maskdpo import best_of_n

    least = min((len(scores) for scores in responses.values()), default=0)
    curve: dict[int, float | None] = {}
    for n in COUNTS:
        if n <= least:
            found = [best_of_n(scores, n) for scores in responses.values()]
            curve[n] = sum(found) / len(found)
    return curve
