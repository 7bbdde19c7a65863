"""The figures of agreement and their intervals: plain arithmetic over counted sentences.

One function turns counts into figures, both for the estimate and for every leave-one-out value, so
that an interval always belongs to the figure it is printed with.

Two classes. `hallucinated`, and `factual` for all that is not (people's and judges' `no_fact`
too). Counts are of sentences that people labelled:

    TP  both say hallucinated            FN  people say hallucinated, the judge factual
    TN  both say factual                 FP  people say factual, the judge hallucinated
    UN  the judge left it undetermined

Every figure but `coverage` is over the decided sentences, TP + FN + FP + TN.

| figure              | what it is                              | not defined (None) when          |
|---------------------|-----------------------------------------|----------------------------------|
| balanced_accuracy   | mean of both recalls; 0.5 is chance     | people name only one class       |
| precision_CLASS     | share of the judge's CLASS that is true | the judge never says CLASS       |
| recall_CLASS        | share of people's CLASS that it finds   | people never say CLASS           |
| f1_CLASS            | harmonic mean of the two                | neither side ever says CLASS     |
| kappa               | Cohen's: agreement beyond chance, as a  | chance alone would agree always: |
|                     | share of what chance leaves             | both name one class, the same    |
| coverage            | decided / all                           | there is no sentence             |

With nothing decided, all but `coverage` (then 0.0) are None. `f1_CLASS` is 0.0, not None, when
one side alone says CLASS. scikit-learn returns 0.0 or nan where this module returns None.

Intervals: annotator/agreement/intervals.py, the jackknife over groups. A figure depends on the
groups that have sentences in each of its denominators (`_RESTS_ON`); with fewer than two of them in
any, it has no interval: balanced accuracy has none where one group holds all hallucinated
sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from annotator.agreement.intervals import (
    BALANCED,
    DIFFERENCE,
    SHARE,
    Group,
    Interval,
    Scale,
    effective_groups,
    find_interval,
    leave_one_out,
)

FIGURES = (
    "balanced_accuracy",
    "precision_hallucinated",
    "recall_hallucinated",
    "f1_hallucinated",
    "precision_factual",
    "recall_factual",
    "f1_factual",
    "kappa",
    "coverage",
)
TP, FN, FP, TN, UN = range(5)
NUM_COUNTS = 5

_RESTS_ON: Mapping[str, Sequence[Sequence[int]]] = {
    "balanced_accuracy": ((TP, FN), (FP, TN)),
    "precision_hallucinated": ((TP, FP),),
    "recall_hallucinated": ((TP, FN),),
    "f1_hallucinated": ((TP, FN, FP),),
    "precision_factual": ((FN, TN),),
    "recall_factual": ((FP, TN),),
    "f1_factual": ((FN, FP, TN),),
    "kappa": ((TP, FN, FP, TN),),
    "coverage": ((TP, FN, FP, TN, UN),),
}
_SCALES: Mapping[str, Scale] = {"balanced_accuracy": BALANCED, "kappa": DIFFERENCE}

GroupT = TypeVar("GroupT", str, Group)
Counts = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure with its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def count_groups(rows: Iterable[tuple[GroupT, bool, bool | None]]) -> Counts:
    """Counts [G, 5] of (group, people say hallucinated, the judge does: None = undetermined).

    Groups are sorted by name, so that the order of sentences does not change an interval.
    """
    column = {(True, True): TP, (True, False): FN, (False, True): FP, (False, False): TN}
    counts: dict[GroupT, list[int]] = {}
    for group, person, judged in rows:
        row = counts.setdefault(group, [0] * NUM_COUNTS)
        row[UN if judged is None else column[person, judged]] += 1
    return np.array([counts[name] for name in sorted(counts)], dtype=np.float64).reshape(
        -1, NUM_COUNTS
    )


def compute_figures(counts: Counts) -> dict[str, NDArray[np.float64]]:
    """Each of FIGURES, [...], of counts [..., 5]; nan where it is not defined."""
    tp, fn, fp, tn, un = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    decided = tp + fn + fp + tn
    agreed_by_chance = (tp + fn) * (tp + fp) + (fp + tn) * (fn + tn)  # times decided ** 2
    recall_hallucinated, recall_factual = ratio(tp, tp + fn), ratio(tn, fp + tn)
    return {
        "balanced_accuracy": (recall_hallucinated + recall_factual) / 2,
        "precision_hallucinated": ratio(tp, tp + fp),
        "recall_hallucinated": recall_hallucinated,
        "f1_hallucinated": ratio(2 * tp, 2 * tp + fn + fp),
        "precision_factual": ratio(tn, fn + tn),
        "recall_factual": recall_factual,
        "f1_factual": ratio(2 * tn, 2 * tn + fn + fp),
        "kappa": ratio((tp + tn) * decided - agreed_by_chance, decided**2 - agreed_by_chance),
        "coverage": ratio(decided, decided + un),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class FigureKind:
    """Figures that are computed from counts [..., C] alone.

    compute    the figures, [...], by name; nan where one is not defined
    rests_on   the denominators of each figure, as columns of counts added up
    scales     of figures that are not shares
    """

    compute: Callable[[Counts], dict[str, NDArray[np.float64]]]
    rests_on: Mapping[str, Sequence[Sequence[int]]]
    scales: Mapping[str, Scale] = field(default_factory=dict)


OF_SENTENCES = FigureKind(compute=compute_figures, rests_on=_RESTS_ON, scales=_SCALES)


def estimate_figures(counts: Counts, kind: FigureKind = OF_SENTENCES) -> dict[str, Figure]:
    """Each figure of a kind with its interval, from counts [G, C] by group."""
    values = kind.compute(counts.sum(axis=0))
    left_out = kind.compute(leave_one_out(counts))
    figures = {}
    for name in kind.rests_on:
        kept, num_groups = groups_behind(name, counts, kind)
        found = find_interval(
            float(values[name]),
            left_out[name][kept],
            kind.scales.get(name, SHARE),
            num_groups=num_groups,
        )
        figures[name] = Figure(value=to_float(values[name]), low=found.low, high=found.high)
    return figures


def estimate_difference(
    name: str, first: Counts, second: Counts, kind: FigureKind = OF_SENTENCES
) -> Interval:
    """The paired interval and p of one figure, first less second; the same groups [G, C]."""
    value = kind.compute(first.sum(axis=0))[name] - kind.compute(second.sum(axis=0))[name]
    left_out = kind.compute(leave_one_out(first))[name] - kind.compute(leave_one_out(second))[name]
    kept, num_groups = groups_behind(name, first, kind)
    other_kept, other_num_groups = groups_behind(name, second, kind)
    return find_interval(
        float(value),
        left_out[kept | other_kept],
        DIFFERENCE,
        num_groups=min(num_groups, other_num_groups),
    )


def groups_behind(
    name: str, counts: Counts, kind: FigureKind = OF_SENTENCES
) -> tuple[NDArray[np.bool_], float]:
    """Which groups [G] a figure depends on, and their effective number."""
    parts = [counts[:, list(columns)].sum(axis=1) for columns in kind.rests_on[name]]
    kept: NDArray[np.bool_] = np.sum(parts, axis=0) > 0
    return kept, effective_groups(*parts)


def to_float(value: NDArray[np.float64] | float) -> float | None:
    """A numpy number as a float: nan, which JSON cannot hold, becomes None."""
    return float(value) if np.isfinite(value) else None


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """`above / below`; nan where `below` is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: NDArray[np.float64] = np.where(below > 0, above / below, np.nan)
    return quotient
