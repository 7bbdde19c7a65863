"""The score of a response: one function for selecting pairs and for evaluating models.

    score     correct / (correct + hallucinated); None when no sentence was decided either way
    coverage  share of sentences a judge decided at all (not `undetermined`)
    anah      1 - hallucinated / all, the score of arXiv 2407.04693, where no-fact sentences
              count as fine; over the sentences that were decided, since what is unknown is not
              fine; reported under its own name, never used for selection

`no_fact` sentences are neither correct nor hallucinated: a response cannot raise its score with
small talk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseScore:
    """Sentence counts of one response, or of many added up."""

    num_correct: int = 0
    num_hallucinated: int = 0
    num_no_fact: int = 0
    num_undetermined: int = 0

    @property
    def num_sentences(self) -> int:
        """All sentences, whatever their label."""
        return self.num_correct + self.num_hallucinated + self.num_no_fact + self.num_undetermined

    @property
    def score(self) -> float | None:
        """Correct / (correct + hallucinated), 0 to 1; None where no sentence was decided."""
        decided = self.num_correct + self.num_hallucinated
        return self.num_correct / decided if decided else None

    @property
    def coverage(self) -> float | None:
        """Share of sentences that are not undetermined, 0 to 1; None without sentences."""
        if not self.num_sentences:
            return None
        return 1.0 - self.num_undetermined / self.num_sentences

    @property
    def anah(self) -> float | None:
        """1 - hallucinated / all that are not undetermined, as arXiv 2407.04693 counts; a sentence
        without a fact counts as correct. None where all are undetermined."""
        judged = self.num_sentences - self.num_undetermined
        return 1.0 - self.num_hallucinated / judged if judged else None

    def __add__(self, other: ResponseScore) -> ResponseScore:
        return ResponseScore(
            num_correct=self.num_correct + other.num_correct,
            num_hallucinated=self.num_hallucinated + other.num_hallucinated,
            num_no_fact=self.num_no_fact + other.num_no_fact,
            num_undetermined=self.num_undetermined + other.num_undetermined,
        )


def score_labels(labels: Iterable[Label]) -> ResponseScore:
    """Count the labels of one response's sentences."""
    correct = hallucinated = no_fact = undetermined = 0
    for label in labels:
        correct += label in CORRECT_LABELS
        hallucinated += label in HALLUCINATED_LABELS
        no_fact += label is Label.NO_FACT
        undetermined += label is Label.UNDETERMINED
    return ResponseScore(
        num_correct=correct,
        num_hallucinated=hallucinated,
        num_no_fact=no_fact,
        num_undetermined=undetermined,
    )
