"""How well people agree with each other, and blind decisions with the judge, as they go.

The rule: only decisions that people made on their own count, never one that resolves a conflict. A
sentence whose parts have different labels is left out, and `undetermined` ("undecided") is not a
label. With the same decisions, the figures are those of `maskdpo agreement`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from schemas.labels import HALLUCINATED_LABELS, Label

Decided = Mapping[str, Label | None]  # of one sentence: each person's label
_LABELS = [label for label in Label if label is not Label.UNDETERMINED]


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


def measure_agreement(table: Iterable[Decided]) -> Agreement:
    """The figures of sentences that several people decided."""
    from annotator.agreement.alpha import nominal_alpha

    counts: list[list[int]] = []
    pairs: defaultdict[tuple[str, str], Counter[tuple[Label, Label]]] = defaultdict(Counter)
    for decided in table:
        labels = {
            who: label
            for who, label in sorted(decided.items())
            if label is not None and label is not Label.UNDETERMINED
        }
        if len(labels) < 2:
            continue
        tally = Counter(labels.values())
        counts.append([tally[label] for label in _LABELS])
        for one, two in combinations(labels, 2):
            pairs[one, two][labels[one], labels[two]] += 1
    wrong = [label in HALLUCINATED_LABELS for label in _LABELS]
    binary = [
        [sum(n for n, bad in zip(row, wrong, strict=True) if bad is side) for side in (True, False)]
        for row in counts
    ]
    return Agreement(
        num_sentences=len(counts),
        alpha=nominal_alpha(counts) if counts else None,
        alpha_binary=nominal_alpha(binary) if counts else None,
        pairs=tuple(_pair(one, two, found) for (one, two), found in sorted(pairs.items())),
    )


def measure_judge(labels: Iterable[tuple[Label, Label]]) -> WithJudge:
    """The figures of (a person's blind label, the judge's label)."""
    counts: Counter[tuple[bool, bool]] = Counter()
    num_undetermined = 0
    for person, judge in labels:
        if person is Label.UNDETERMINED:
            continue
        if judge is Label.UNDETERMINED:
            num_undetermined += 1
            continue
        counts[person in HALLUCINATED_LABELS, judge in HALLUCINATED_LABELS] += 1
    bad = counts[True, True] + counts[True, False]
    good = counts[False, True] + counts[False, False]
    recalls = (counts[True, True] / bad, counts[False, False] / good) if bad and good else None
    return WithJudge(
        num_compared=bad + good,
        num_same=counts[True, True] + counts[False, False],
        num_undetermined=num_undetermined,
        num_hallucinated=bad,
        balanced_accuracy=sum(recalls) / 2 if recalls else None,
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
