"""From scores of worlds to differences between methods: means, intervals and p values.

The rule: the world is the unit. A world gives one number per method, a comparison is the mean over
worlds of the paired differences, and its interval and p value are those of the whole project
(annotator/agreement/intervals.py) with worlds as groups: a paired t test, with fewer degrees of
freedom where few worlds decide the variance.

Degenerate cases: a world without an answer gives no number and is counted; one world gives no
interval; equal models differ by exactly 0 with p = 1; the same difference in every world has no p.
No figure is ever nan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from annotator.agreement.intervals import CHANGE, SHARE, Scale
from maskdpo.evaluation.means import mean_over_questions


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A mean over worlds with its 95% interval; `worlds` has the value of each, by its number.

    `value` is None without any world, `low`, `high` and `p` with fewer than two.
    """

    value: float | None
    low: float | None
    high: float | None
    p: float | None
    worlds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


def mean_over_worlds(values: Mapping[int, float | None], scale: Scale = SHARE) -> Figure:
    """The mean of one value per world, in the order of the worlds' numbers."""
    known = {str(world): value for world, value in sorted(values.items()) if value is not None}
    mean = mean_over_questions(known, {name: ("world", name) for name in known}, scale)
    return Figure(
        value=mean.value,
        low=mean.interval.low,
        high=mean.interval.high,
        p=mean.interval.p,
        worlds=known,
    )


def difference_over_worlds(
    ours: Mapping[int, float | None], theirs: Mapping[int, float | None]
) -> Figure:
    """The mean of `ours` minus `theirs` over the worlds that have both."""
    paired: dict[int, float | None] = {}
    for world, value in ours.items():
        other = theirs.get(world)
        paired[world] = None if value is None or other is None else value - other
    return mean_over_worlds(paired, CHANGE)


def score_at_kl(points: Sequence[tuple[float, float]], kl: float) -> float | None:
    """The score at a KL divergence from the base, by straight lines over the root of the KL.

    Over the root, because a score grows with it nearly in proportion, and not with the KL itself
    (Gao et al. 2023, arXiv 2210.10760). A straight line over the KL runs below the curve, which
    would count against the method that moved further, as it is read between two of its points.

    points  (KL in nats per response, score) of one method in one world, the base at (0, score)
            among them, in any order; of points with the same KL the mean counts
    kl      where to read; None is returned beyond the last point

    A path may turn: after its optimum a model moves on while its score falls. Points are read in
    the order of their KL, whatever the number of steps.
    """
    by_kl: dict[float, list[float]] = {}
    for place, score in points:
        by_kl.setdefault(max(place, 0.0), []).append(score)
    line = [(place, sum(scores) / len(scores)) for place, scores in sorted(by_kl.items())]
    for (left, below), (right, above) in pairwise(line):
        if left <= kl <= right:
            # (sqrt(kl) - sqrt(left)) / (sqrt(right) - sqrt(left)), for neighbouring floats, too
            spread = (math.sqrt(right) + math.sqrt(left)) / (math.sqrt(kl) + math.sqrt(left) or 1.0)
            return below + (above - below) * (kl - left) / (right - left) * spread
    return line[0][1] if line and kl == line[0][0] else None


def shared_kl(paths: Mapping[str, Sequence[tuple[float, float]]]) -> float | None:
    """The largest KL that every method reached in a world; None without methods."""
    reached = [max((kl for kl, _ in points), default=0.0) for points in paths.values()]
    return max(min(reached), 0.0) if reached else None
