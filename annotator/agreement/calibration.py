"""Is a judge as sure as it is right? Calibration and ranking of its confidence.

`Verdict.confidence` is the judge's confidence in its own label. A sentence is right when judge
and people agree on hallucinated or not, so a judge that is sure of `contradictory` where people
say `hallucinated` is right, whichever kind they mean.

Statistical contract, over the decided sentences that carry a confidence c, right or wrong r:

expected_calibration_error  ten bins of equal width, [0, 0.1) to [0.9, 1]; the mean over bins,
                            weighted by their sentences, of |mean c - mean r| (arXiv 1706.04599).
                            0 is best. It depends on the bins and is biased upwards when few
                            sentences are in a bin, by more the fewer sentences there are, so it
                            gets no interval
brier_score                 mean of (c - r)^2; 0 is best, and always saying 0.5 gives 0.25
auroc                       chance that a right verdict has a higher confidence than a wrong one,
                            ties counting half; 0.5: the confidence does not rank. None unless
                            right and wrong both occur
area_under_risk_coverage    keep the k surest verdicts: their share of wrong ones, averaged over
                            k = 1..n (arXiv 1805.08206). Lower is better; a confidence that does not
                            rank gives the overall share of wrong ones. Verdicts of equal confidence
                            count as if in random order, so that the order of rows does not change
                            it

The confidence of the lexical judge ranks its verdicts and is not a probability: with `is_ranking`
the first two figures are None and there are no bins.

A judge without confidences has no calibration: None, never 0. Verdicts without one, where others
have it (a judge may give none where a rule decides), are counted and left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityBin:
    """Verdicts of confidence in [low, high) ([0.9, 1] for the last); the last two fields are None
    for a bin without verdicts."""

    low: float
    high: float
    num_sentences: int
    mean_confidence: float | None
    share_right: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Figures of one judge's confidence (contract: the module's docstring).

    risk_coverage  share of wrong verdicts among the k surest, k = 1..num_sentences
    """

    num_sentences: int
    num_without_confidence: int
    is_ranking: bool
    share_right: float
    mean_confidence: float
    expected_calibration_error: float | None
    brier_score: float | None
    auroc: float | None
    area_under_risk_coverage: float
    bins: Sequence[ReliabilityBin]
    risk_coverage: Sequence[float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with the reliability table; the curve, one number per sentence, is left out."""
        values = {name: getattr(self, name) for name in self.__slots__}
        del values["risk_coverage"]
        return values | {"bins": [asdict(item) for item in self.bins]}


def measure_calibration(
    verdicts: Sequence[tuple[float | None, bool]], *, is_ranking: bool = False
) -> Calibration | None:
    """Calibration of (confidence, right) of each decided sentence; None without confidences.

    is_ranking   the confidences order the verdicts and are not probabilities
    """
    scored = [(confidence, right) for confidence, right in verdicts if confidence is not None]
    if not scored:
        return None
    confidence = np.array([item[0] for item in scored], dtype=np.float64)
    right = np.array([item[1] for item in scored], dtype=np.float64)
    bins = [] if is_ranking else bin_confidences(confidence, right)
    curve = risk_coverage_curve(confidence, right)
    return Calibration(
        num_sentences=len(scored),
        num_without_confidence=len(verdicts) - len(scored),
        is_ranking=is_ranking,
        share_right=float(right.mean()),
        mean_confidence=float(confidence.mean()),
        expected_calibration_error=None if is_ranking else _calibration_error(bins),
        brier_score=None if is_ranking else float(((confidence - right) ** 2).mean()),
        auroc=_area_under_roc(confidence, right),
        area_under_risk_coverage=float(curve.mean()),
        bins=bins,
        risk_coverage=curve.tolist(),
    )


def bin_confidences(confidence: Floats, right: Floats) -> list[ReliabilityBin]:
    """The reliability table: NUM_BINS bins of equal width, empty ones too."""
    # A product, not a comparison with edges: 3 * 0.1 > 0.3, yet int(0.3 * 10) is 3.
    place = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    bins = []
    for number in range(NUM_BINS):
        here = place == number
        count = int(here.sum())
        bins.append(
            ReliabilityBin(
                low=number / NUM_BINS,
                high=(number + 1) / NUM_BINS,
                num_sentences=count,
                mean_confidence=float(confidence[here].mean()) if count else None,
                share_right=float(right[here].mean()) if count else None,
            )
        )
    return bins


def risk_coverage_curve(confidence: Floats, right: Floats) -> Floats:
    """[N] expected share of wrong verdicts among the k surest, k = 1..N.

    Worked example: c = 0.9, 0.8, 0.8 with the first right and one of the tied two wrong. The
    second place holds half a wrong verdict: 0 / 1, 0.5 / 2, 1 / 3.
    """
    order = np.argsort(-confidence, kind="stable")
    wrong = 1.0 - right[order]
    # A verdict weighs as much as the mean of those it is tied with.
    _, tie, count = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    expected = (np.bincount(tie, weights=wrong) / count)[tie]
    curve: Floats = np.cumsum(expected) / np.arange(1, len(wrong) + 1)
    return curve


def _calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    total = sum(item.num_sentences for item in bins)
    return sum(
        item.num_sentences / total * abs(item.mean_confidence - item.share_right)
        for item in bins
        if item.mean_confidence is not None and item.share_right is not None
    )


def _area_under_roc(confidence: Floats, right: Floats) -> float | None:
    """By ranks (Mann-Whitney), ties at their mean rank."""
    num_right, num_wrong = int(right.sum()), int((1 - right).sum())
    if not num_right or not num_wrong:
        return None
    _, tie, count = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[tie]
    above = float(ranks[right == 1.0].sum()) - num_right * (num_right + 1) / 2
    return above / (num_right * num_wrong)
