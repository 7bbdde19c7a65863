"""The figures of agreement and their intervals: plain arithmetic over counted sentences.

One function turns counts into figures, for the estimate and for every resample alike, so that an
interval is always that of the figure beside it.

Two classes. `hallucinated`, and `factual` for all that is not (people's and judges' `no_fact`
too). Counts are of sentences that people labelled:

    TP  both say hallucinated            FN  people say hallucinated, the judge factual
    TN  both say factual                 FP  people say factual, the judge hallucinated
    UN  the judge left it undetermined

Every figure but `coverage` is over the decided sentences, TP + FN + FP + TN.

| figure              | what it is                              | not defined (None) when          |
|---------------------|-----------------------------------------|----------------------------------|
| balanced_accuracy   | mean of both recalls; 0.5 is chance     | people name only one class       |
| precision_CLASS     | share of the judge's CLASS that is so   | the judge never says CLASS       |
| recall_CLASS        | share of people's CLASS that it finds   | people never say CLASS           |
| f1_CLASS            | harmonic mean of the two                | neither side ever says CLASS     |
| kappa               | Cohen's: agreement beyond chance, as a  | chance alone would agree always: |
|                     | share of what chance leaves             | both name one class, the same    |
| coverage            | decided / all                           | there is no sentence             |

With nothing decided, all but `coverage` (then 0.0) are None. `f1_CLASS` is 0.0, not None, when
one side alone says CLASS. scikit-learn says 0.0 or nan where we say None.

Intervals are 95% percentile intervals of a bootstrap over groups: sentences about one text are
not independent, groups are taken to be. A group is drawn whole, its undetermined sentences too.
None with fewer than two groups that the figure rests on, and when fewer than half of the
resamples define the figure. With some ten groups or fewer such intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
INTERVAL = (2.5, 97.5)
_CELLS_A_BATCH = 4_000_000  # draws held at once: memory stays flat however many groups there are

Counts = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure with its 95% interval; None where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def count_groups(rows: Iterable[tuple[str, bool, bool | None]]) -> Counts:
    """Counts [G, 5] of (group, people say hallucinated, the judge does: None = undetermined).

    Groups are sorted by name, so that the order of sentences moves no interval.
    """
    column = {(True, True): TP, (True, False): FN, (False, True): FP, (False, False): TN}
    counts: dict[str, list[int]] = {}
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
    recall_hallucinated, recall_factual = _ratio(tp, tp + fn), _ratio(tn, fp + tn)
    return {
        "balanced_accuracy": (recall_hallucinated + recall_factual) / 2,
        "precision_hallucinated": _ratio(tp, tp + fp),
        "recall_hallucinated": recall_hallucinated,
        "f1_hallucinated": _ratio(2 * tp, 2 * tp + fn + fp),
        "precision_factual": _ratio(tn, fn + tn),
        "recall_factual": recall_factual,
        "f1_factual": _ratio(2 * tn, 2 * tn + fn + fp),
        "kappa": _ratio((tp + tn) * decided - agreed_by_chance, decided**2 - agreed_by_chance),
        "coverage": _ratio(decided, decided + un),
    }


def estimate_figures(counts: Counts, *, seed: int, num_resamples: int) -> dict[str, Figure]:
    """Each of FIGURES with its interval, from counts [G, 5] by group."""
    values = compute_figures(counts.sum(axis=0))
    resamples = [
        compute_figures(sums)
        for sums in resample_sums(counts, seed=seed, num_resamples=num_resamples)
    ]
    num_decided = int((counts[:, :UN].sum(axis=1) > 0).sum())
    figures = {}
    for name in FIGURES:
        num_groups = len(counts) if name == "coverage" else num_decided
        low, high = None, None
        if num_groups >= 2:
            low, high = percentile_interval(np.concatenate([item[name] for item in resamples]))
        figures[name] = Figure(value=to_float(values[name]), low=low, high=high)
    return figures


def resample_sums(counts: Counts, *, seed: int, num_resamples: int) -> Iterator[Counts]:
    """Sums [r, C] over groups drawn with replacement from counts [G, C], in batches.

    The draws depend on G, the seed and the number alone: tables of the same groups in the same
    order are resampled in pairs. Without groups the sums are zero.
    """
    num_groups = len(counts)
    if not num_groups:
        yield np.zeros((num_resamples, counts.shape[1]))
        return
    generator = np.random.default_rng(seed)
    share = np.full(num_groups, 1 / num_groups)
    batch = max(1, _CELLS_A_BATCH // num_groups)
    for start in range(0, num_resamples, batch):
        size = min(batch, num_resamples - start)
        draws = generator.multinomial(num_groups, share, size)
        yield draws.astype(np.float64) @ counts


def percentile_interval(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The 95% percentile interval of resampled values [R]; None when half of them are nan."""
    defined = values[np.isfinite(values)]
    if not len(defined) or 2 * len(defined) < len(values):
        return None, None
    low, high = np.percentile(defined, INTERVAL)
    return float(low), float(high)


def to_float(value: NDArray[np.float64] | float) -> float | None:
    """A number of numpy's as ours: nan, which JSON cannot hold, is None."""
    return float(value) if np.isfinite(value) else None


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        quotient: NDArray[np.float64] = np.where(below > 0, above / below, np.nan)
    return quotient
