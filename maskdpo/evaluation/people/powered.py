"""Prediction-powered estimates: the judge's mean over all questions, corrected by people's reviews.

The rule: people's labels decide the value, and the judge only makes the interval narrower. Whatever
errors the judge makes, the estimate is that of people, as long as the reviewed answers were chosen
without looking at them: at random, or whole topics at random.

Statistical contract (Angelopoulos et al. 2023, arXiv 2301.09633; power tuning: PPI++, Angelopoulos,
Duchi and Zrnic 2023, arXiv 2311.01453):

unit        a question with a score of the judge, judge_q. It is reviewed when people have a score
            for it, people_q; `checked_q` is then the judge's score of the same responses
figure      theta = lambda * mean of judge_q over all units
                    + mean over reviewed units of (people_q - lambda * checked_q)
            (PPI++ takes the first mean over the N units without a review, here it is over all
            n + N: the same estimate, with their lambda times 1 + n / N)
lambda      between 0 and 1, the value that makes the linearised variance over groups smallest:
            with a_g, b_g a group's part in the two means' errors, sum a_g b_g / sum b_g^2. 1: the
            judge's errors are the same everywhere; 0: its scores say nothing about people's
difference  of two models: the same with the differences of both, one lambda. Units are questions
            that the judge scored for both. Where both are reviewed on the same question, the two
            are paired; a model's other reviews count, too
interval    the project's (annotator/agreement/intervals.py): jackknife over groups (topics), with
            and without reviews, of the whole estimate, lambda included. Its effective number of
            groups is the smaller of that of all units and that of the reviewed ones
range       estimates outside the range of a score (or difference) are set to its nearest end

A question for which people found no fact at all has no people_q, and is left out, of the
judge's mean too. So the estimate is for questions on which judge and people both find facts.

Degenerate cases:

- no reviewed unit: no value; one reviewed group: people's mean over it (lambda 0), no interval;
- all units reviewed, with all their responses: exactly people's own mean and interval (lambda 0);
- a judge that is always right: lambda 1, the judge's mean; one with the same score everywhere:
  lambda 0, people's mean over the reviewed units;
- equal models with equal reviews: a difference of exactly 0, interval [0, 0], p = 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from annotator.agreement.intervals import (
    DIFFERENCE,
    SHARE,
    Group,
    Interval,
    Scale,
    effective_groups,
    find_interval,
    leave_one_out,
)

Floats = NDArray[np.float64]
_ROUNDING = 1e-12  # a sum of squares this small, relative to its terms, is rounding


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """One model's scores for one question, 0 to 1.

    judge     the judge's score of all its responses
    people    people's score of the reviewed responses; None where nothing was reviewed
    checked   the judge's score of those reviewed responses; None with `people`
    """

    judge: float
    people: float | None = None
    checked: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Powered:
    """An estimate with its interval. `power`: lambda. None where there are too few reviews."""

    value: float | None = None
    interval: Interval = field(default_factory=Interval)
    power: float | None = None
    num_units: int = 0
    num_groups: int = 0
    num_reviewed: int = 0
    num_reviewed_groups: int = 0


def estimate_mean(units: Mapping[str, Unit], groups: Mapping[str, Group]) -> Powered:
    """The prediction-powered mean of one model; `units` and `groups` by question."""
    return _estimate([_Side(sign=1.0, units=units)], groups, SHARE)


def estimate_difference(
    units: Mapping[str, Unit], others: Mapping[str, Unit], groups: Mapping[str, Group]
) -> Powered:
    """The prediction-powered mean of `units` minus that of `others`, over their common questions.

    `num_reviewed` counts the questions that are reviewed for both.
    """
    both = [name for name in units if name in others]
    sides = [
        _Side(sign=1.0, units={name: units[name] for name in both}),
        _Side(sign=-1.0, units={name: others[name] for name in both}),
    ]
    return _estimate(sides, groups, DIFFERENCE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    sign: float
    units: Mapping[str, Unit]

    def table(self, names: Sequence[Group], groups: Mapping[str, Group]) -> Floats:
        """Sums [G, 5] over a group's questions: people, checked, reviewed, judge, questions."""
        row_of = {name: row for row, name in enumerate(names)}
        table = np.zeros((len(names), len(_COLUMNS)))
        for question, unit in sorted(self.units.items()):  # so that their order changes no digit
            row = table[row_of[groups[question]]]
            row += (0.0, 0.0, 0.0, unit.judge, 1.0)
            if unit.people is not None and unit.checked is not None:
                row += (unit.people, unit.checked, 1.0, 0.0, 0.0)
        return table


_COLUMNS = _PEOPLE, _CHECKED, _REVIEWED, _JUDGE, _ALL = range(5)


def _estimate(sides: Sequence[_Side], groups: Mapping[str, Group], scale: Scale) -> Powered:
    names = sorted({groups[question] for question in sides[0].units})
    tables = [side.table(names, groups) for side in sides]
    signs = [side.sign for side in sides]
    reviewed = [table[:, _REVIEWED] for table in tables]
    together = {
        question
        for question in sides[0].units
        if all(side.units[question].people is not None for side in sides)
    }
    counts = Powered(
        num_units=len(sides[0].units),
        num_groups=len(names),
        num_reviewed=len(together),
        num_reviewed_groups=len({groups[question] for question in together}),
    )
    if not all(sizes.any() for sizes in reviewed):
        return counts
    is_complete = all(
        unit.people is not None and unit.checked == unit.judge
        for side in sides
        for unit in side.units.values()
    )
    whole, left_out = _values(tables, signs, use_judge=not is_complete)
    values = np.clip(np.append(whole[0], left_out), scale.low, scale.high)
    effective = min(effective_groups(table[:, _ALL], table[:, _REVIEWED]) for table in tables)
    interval = find_interval(float(values[0]), values[1:], scale, num_groups=effective)
    return replace(counts, value=float(values[0]), interval=interval, power=whole[1])


def _values(
    tables: Sequence[Floats], signs: Sequence[float], *, use_judge: bool
) -> tuple[tuple[float, float], Floats]:
    """(figure, lambda) over all groups, and the figure [G] without each group (nan: undefined)."""
    columns = np.hstack(tables)
    products = columns[:, :, None] * columns[:, None, :]
    sums = np.vstack([columns.sum(axis=0), leave_one_out(columns)])
    moments = np.concatenate([products.sum(axis=0)[None], products.sum(axis=0) - products])
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            _errors(part, sign)
            for part, sign in zip(np.split(sums, len(tables), axis=1), signs, strict=True)
        ]
        people, judge = (np.hstack(items) for items in zip(*parts, strict=True))
        mean, correction = _means(sums, signs)
        covariance = np.einsum("gi,gij,gj->g", people, moments, judge)
        variance = np.einsum("gi,gij,gj->g", judge, moments, judge)
        powers = np.clip(covariance / variance, 0.0, 1.0)
    # Where the judge's scores do not vary, there is nothing to learn lambda from.
    terms = np.einsum("gi,gii->g", judge**2, moments)
    powers = np.where(use_judge & (variance > _ROUNDING * terms), powers, 0.0)
    figures = mean - np.where(powers > 0, powers * correction, 0.0)
    return (float(figures[0]), float(powers[0])), figures[1:]


def _errors(sums: Floats, sign: float) -> tuple[Floats, Floats]:
    """Weights [R, 5] of a group's sums in a_g (people) and b_g (judge), for each row of sums."""
    people, judge = np.zeros_like(sums), np.zeros_like(sums)
    num_reviewed, num_all = sums[:, _REVIEWED], sums[:, _ALL]
    people[:, _PEOPLE] = sign / num_reviewed
    people[:, _REVIEWED] = -sign * sums[:, _PEOPLE] / num_reviewed**2
    judge[:, _CHECKED] = sign / num_reviewed
    judge[:, _REVIEWED] = -sign * sums[:, _CHECKED] / num_reviewed**2
    judge[:, _JUDGE] = -sign / num_all
    judge[:, _ALL] = sign * sums[:, _JUDGE] / num_all**2
    return people, judge


def _means(sums: Floats, signs: Sequence[float]) -> tuple[Floats, Floats]:
    """People's mean [R], and the judge's mean of the reviewed minus that of all [R]."""
    mean, correction = np.zeros(len(sums)), np.zeros(len(sums))
    for part, sign in zip(np.split(sums, len(signs), axis=1), signs, strict=True):
        mean += sign * part[:, _PEOPLE] / part[:, _REVIEWED]
        of_reviewed = part[:, _CHECKED] / part[:, _REVIEWED]
        correction += sign * (of_reviewed - part[:, _JUDGE] / part[:, _ALL])
    return mean, correction
