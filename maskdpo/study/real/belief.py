"""How much of what a model says is true, from exact verdicts.

The rule: the share is over sentences that state something; a garbled sentence is not true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS
from schemas.records import Annotation


def count_sentences(annotations: Iterable[Annotation]) -> dict[str, int]:
    """The number of true sentences and of wrong ones."""
    labels = [item.verdict.label for row in annotations for item in row.sentences]
    return {
        "true": sum(label in CORRECT_LABELS for label in labels),
        "wrong": sum(label in HALLUCINATED_LABELS for label in labels),
    }


def share_true(counts: Mapping[str, int]) -> float:
    """The share of true sentences; 0.0 where a model says nothing."""
    total = counts["true"] + counts["wrong"]
    return counts["true"] / total if total else 0.0
