"""Two judges on the same sentences: which of them agrees better with people?

Statistical contract. Only sentences that both judges decided are compared; a judge that leaves hard
sentences undetermined is not compared on them, so look at `num_first_only`, `num_second_only` and
the coverages too. Every difference is the first judge minus the second: swapping the two changes
the sign of `difference`, mirrors its interval, and leaves both p values unchanged.

difference          balanced accuracy of the first minus that of the second. None unless people
                    name both classes among the compared sentences
low, high, p        its 95% interval and two-sided p of "no difference", from the jackknife over
                    groups, the same groups for both judges (annotator/agreement/intervals.py). None
                    where fewer than two groups hold either class
num_first_better    sentences that the first judge alone has right (its wins); num_second_better
                    the other way; both_right and both_wrong say nothing about a difference
mcnemar_p           exact McNemar test: were the judges equally good, each sentence on which they
                    disagree would be a fair coin, so the wins are Binomial(wins + losses, 1/2),
                    two-sided. 1.0 without a disagreement, None when nothing is compared. It assumes
                    independent sentences, which they are not within a group, so it is too
                    small where groups are large; it weights sentences, not classes, so it may have
                    another sign than `difference`
spans               `char_f1` of both on the compared sentences, with the paired interval and p of
                    the difference (annotator/agreement/span_figures.py). None where people gave no
                    error spans
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annotator.agreement.figures import (
    compute_figures,
    count_groups,
    estimate_difference,
    to_float,
)
from annotator.agreement.gold_verdicts import JudgedSentence
from annotator.agreement.span_figures import (
    SpanDifference,
    compare_characters,
    count_characters,
    span_sentences,
)

CLUSTER_NOTE = (
    "the interval respects groups; McNemar's test assumes independent sentences, which they are "
    "not within a group, and weights every sentence equally, so it may favour the other judge "
    "where one class is rare"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The first judge against the second (contract: the module's docstring)."""

    num_compared: int
    num_groups: int
    num_first_only: int
    num_second_only: int
    num_neither: int
    num_both_right: int
    num_first_better: int
    num_second_better: int
    num_both_wrong: int
    first_balanced_accuracy: float | None
    second_balanced_accuracy: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    mcnemar_p: float | None
    spans: SpanDifference | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with the reason why the two p values may differ."""
        values = asdict(self) | {"note": CLUSTER_NOTE}
        if self.spans is None:
            del values["spans"]
        return values


def compare_judges(
    first: Sequence[JudgedSentence],
    second: Sequence[JudgedSentence],
) -> Comparison:
    """Compare two judges' verdicts on the same sentences, given in the same order."""
    pairs = list(zip(first, second, strict=True))
    both = [(a, b) for a, b in pairs if a.judged is not None and b.judged is not None]
    first_counts = count_groups((a.group, a.is_hallucinated, a.judged) for a, _ in both)
    second_counts = count_groups((b.group, b.is_hallucinated, b.judged) for _, b in both)
    first_value, second_value = (
        to_float(compute_figures(counts.sum(axis=0))["balanced_accuracy"])
        for counts in (first_counts, second_counts)
    )
    difference = None
    if first_value is not None and second_value is not None:
        difference = first_value - second_value
    found = estimate_difference("balanced_accuracy", first_counts, second_counts)
    wins = sum(bool(a.is_right) and not b.is_right for a, b in both)
    losses = sum(bool(b.is_right) and not a.is_right for a, b in both)
    return Comparison(
        num_compared=len(both),
        num_groups=len(first_counts),
        num_first_only=sum(a.judged is not None and b.judged is None for a, b in pairs),
        num_second_only=sum(a.judged is None and b.judged is not None for a, b in pairs),
        num_neither=sum(a.judged is None and b.judged is None for a, b in pairs),
        num_both_right=sum(bool(a.is_right) and bool(b.is_right) for a, b in both),
        num_first_better=wins,
        num_second_better=losses,
        num_both_wrong=sum(not a.is_right and not b.is_right for a, b in both),
        first_balanced_accuracy=first_value,
        second_balanced_accuracy=second_value,
        difference=difference,
        low=found.low,
        high=found.high,
        p=found.p,
        mcnemar_p=exact_mcnemar(wins, losses) if both else None,
        spans=_compare_spans([a for a, _ in both], [b for _, b in both]),
    )


def _compare_spans(
    first: Sequence[JudgedSentence], second: Sequence[JudgedSentence]
) -> SpanDifference | None:
    rows = span_sentences(first), span_sentences(second)
    return compare_characters(*map(count_characters, rows)) if rows[0] else None


def exact_mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact p of McNemar's test; 1.0 without a discordant pair."""
    if not wins + losses:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5).pvalue)
