"""How well people agree with each other, and blind decisions with the judge, as they go.

The rule: only decisions that people made on their own count, never one that resolves a conflict. A
sentence whose parts have different labels is left out, and `undetermined` ("undecided") is not a
label. With the same decisions, the figures are those of `maskdpo agreement`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from schemas.labels import HALLUCINATED_LABELS, Label

Codes = npt.NDArray[np.int8]
_ALL = tuple(Label)
_COUNTED = [at for at, label in enumerate(_ALL) if label is not Label.UNDETERMINED]
_WRONG = np.array([_ALL[at] in HALLUCINATED_LABELS for at in _COUNTED])


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFigures:
    """Two people on the sentences that both decided; kappa of hallucinated or not."""

    one: str
    two: str
    num_both: int
    num_same: int
    kappa: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """All people on the sentences that two or more decided; alpha is Krippendorff's, nominal."""

    num_sentences: int = 0
    alpha: float | None = None
    alpha_binary: float | None = None
    pairs: tuple[PairFigures, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WithJudge:
    """Blind decisions compared with the judge, hallucinated or not.

    num_same             the same class, of `num_compared`
    num_undetermined     decisions on sentences that the judge left open, not compared
    balanced_accuracy    mean of the judge's recall of both classes; None where people name one
    """

    num_compared: int = 0
    num_same: int = 0
    num_undetermined: int = 0
    num_hallucinated: int = 0
    balanced_accuracy: float | None = None
    kappa: float | None = None


def measure_agreement(own: Mapping[str, Codes]) -> Agreement:
    """The figures of the sentences that several people decided.

    own   by person, for each sentence the number of the label in `Label`; below 0: none, or parts
          of the sentence have different ones
    """
    from annotator.agreement.alpha import nominal_alpha

    people = sorted(own)
    size = len(own[people[0]]) if people else 0
    counts = np.zeros((size, len(_COUNTED)), dtype=np.int64)
    for codes in own.values():
        for column, code in enumerate(_COUNTED):
            counts[:, column] += codes == code
    counts = counts[counts.sum(axis=1) > 1]
    binary = np.stack([counts[:, _WRONG].sum(axis=1), counts[:, ~_WRONG].sum(axis=1)], axis=1)
    pairs = [
        (one, two, tally)
        for one, two in combinations(people, 2)
        if (tally := _count_both(own[one], own[two]))
    ]
    return Agreement(
        num_sentences=len(counts),
        alpha=nominal_alpha(counts),
        alpha_binary=nominal_alpha(binary),
        pairs=tuple(_pair(one, two, tally) for one, two, tally in pairs),
    )


def _count_both(one: Codes, two: Codes) -> Counter[tuple[Label, Label]]:
    """How often each two labels occur together, where both people have one that counts."""
    chosen = np.isin(one, _COUNTED) & np.isin(two, _COUNTED)
    both = one[chosen].astype(np.int64) * len(_ALL) + two[chosen]
    numbers, times = np.unique(both, return_counts=True)
    found = zip(map(int, numbers), map(int, times), strict=True)
    return Counter({(_ALL[at // len(_ALL)], _ALL[at % len(_ALL)]): n for at, n in found})


def measure_judge(labels: Mapping[tuple[Label, Label], int]) -> WithJudge:
    """The figures of the counts of (a person's blind label, the judge's label)."""
    counts: Counter[tuple[bool, bool]] = Counter()
    num_undetermined = 0
    for (person, judge), times in labels.items():
        if person is Label.UNDETERMINED:
            continue
        if judge is Label.UNDETERMINED:
            num_undetermined += times
            continue
        counts[person in HALLUCINATED_LABELS, judge in HALLUCINATED_LABELS] += times
    bad = counts[True, True] + counts[True, False]
    good = counts[False, True] + counts[False, False]
    recalls = (counts[True, True] / bad, counts[False, False] / good) if bad and good else None
    return WithJudge(
        num_compared=bad + good,
        num_same=counts[True, True] + counts[False, False],
        num_undetermined=num_undetermined,
        num_hallucinated=bad,
        balanced_accuracy=sum(recalls) / 2 if recalls else None,
        kappa=cohens_kappa(counts),
    )


def _pair(one: str, two: str, found: Counter[tuple[Label, Label]]) -> PairFigures:
    both = Counter[tuple[bool, bool]]()
    for (first, second), count in found.items():
        both[first in HALLUCINATED_LABELS, second in HALLUCINATED_LABELS] += count
    return PairFigures(
        one=one,
        two=two,
        num_both=found.total(),
        num_same=sum(count for (first, second), count in found.items() if first is second),
        kappa=cohens_kappa(both),
    )


def cohens_kappa(counts: Counter[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa of two classes; None where chance alone would agree always."""
    total = counts.total()
    first = counts[True, True] + counts[True, False]
    second = counts[True, True] + counts[False, True]
    chance = first * second + (total - first) * (total - second)
    if total**2 == chance:
        return None
    same = counts[True, True] + counts[False, False]
    return (same * total - chance) / (total**2 - chance)
