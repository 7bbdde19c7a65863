"""Best of n in the study: the curves of each model over the worlds.

The rule: a world's value at n is the mean over its questions of the expected best of n, without
bias (`maskdpo.best_of_n`). A response's score is its share of correct sentences, and that of a
response without a fact is 0: silence is never the best answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from maskdpo.study.figures import mean_over_worlds
from maskdpo.study.lab.results import read_all
from maskdpo.study.lab.score import ROWS, ResponseRow
from maskdpo.study.lab.task import Result

COUNTS = (1, 2, 4, 8, 16)


def best_of_curves(
    names: Sequence[str], worlds: Sequence[int], results: Sequence[Result]
) -> dict[str, dict[str, Any]]:
    """For each model and n the figure over worlds; the three arguments belong together."""
    values: dict[str, dict[int, dict[int, float | None]]] = {}
    for name, world, result in zip(names, worlds, results, strict=True):
        if not result.impossible:
            for n, value in world_curve(read_all(result.folder / ROWS, ResponseRow)).items():
                values.setdefault(name, {}).setdefault(n, {})[world] = value
    return {
        name: {str(n): mean_over_worlds(row).as_json() for n, row in sorted(by_n.items())}
        for name, by_n in values.items()
    }


def world_curve(rows: Iterable[ResponseRow]) -> dict[int, float | None]:
    """The mean over questions of the expected best of n, for each n that all questions have."""
    from maskdpo import best_of_n

    questions: dict[str, list[float]] = {}
    for row in rows:
        decided = row.correct + row.hallucinated
        score = row.correct / decided if decided else 0.0
        questions.setdefault(row.question_id, []).append(score)
    least = min(map(len, questions.values()), default=0)
    curve: dict[int, float | None] = {}
    for n in (count for count in COUNTS if count <= least):
        found = [best_of_n(scores, n) for scores in questions.values()]
        curve[n] = sum(found) / len(found)
    return curve
