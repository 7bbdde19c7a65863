"""A mean over questions with its interval over topics, as used by every score here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from annotator.agreement.intervals import (
    Group,
    Interval,
    Scale,
    effective_groups,
    find_interval,
    leave_one_out,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean over questions; None without any. `interval`: see annotator/agreement/intervals.py."""

    value: float | None
    interval: Interval
    num_questions: int
    num_groups: int


def mean_over_questions(
    values: Mapping[str, float], groups: Mapping[str, Group], scale: Scale
) -> Mean:
    """The mean of one value per question; `groups` names the group of each question."""
    rows: dict[Group, list[float]] = {}
    for question, value in values.items():
        row = rows.setdefault(groups[question], [0.0, 0.0])
        row[0] += value
        row[1] += 1.0
    if not rows:
        return Mean(value=None, interval=Interval(), num_questions=0, num_groups=0)
    # Sorted, so that the order of questions changes no digit.
    table = np.array([rows[name] for name in sorted(rows)])
    mean = float(table[:, 0].sum() / table[:, 1].sum())
    interval = Interval()
    if len(table) >= 2:
        left_out = leave_one_out(table)
        interval = find_interval(
            mean,
            left_out[:, 0] / left_out[:, 1],
            scale,
            num_groups=effective_groups(table[:, 1]),
        )
    return Mean(value=mean, interval=interval, num_questions=len(values), num_groups=len(rows))
