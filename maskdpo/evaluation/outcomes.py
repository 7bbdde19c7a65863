"""The outcome of each requested response of each model.

The rule: a requested response never disappears. It is one of

    answered    at least one sentence was decided to be correct or hallucinated
    undecided   none was, but at least one sentence is undetermined
    abstained   only sentences without a fact, or no text at all
    failed      there is no response, or it could not be judged

A question is answered when at least one of its responses is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from schemas.records import Annotation
from schemas.scores import ResponseScore, score_labels


class Outcome(StrEnum):
    """The outcome of one requested response."""

    ANSWERED = "answered"
    UNDECIDED = "undecided"
    ABSTAINED = "abstained"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionTally:
    """Sums over one model's responses to one question."""

    total: ResponseScore
    num_answers: int

    @property
    def score(self) -> float | None:
        """Correct / (correct + hallucinated) over all its responses; None if not answered."""
        return self.total.score

    @property
    def facts(self) -> float:
        """Decided factual sentences per answer; 0.0 if not answered."""
        return count_facts(self.total) / self.num_answers if self.num_answers else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelTally:
    """Sums over one model's responses to all questions.

    num_asked     requested responses
    num_cut       responses that the token limit cut off
    sentences, characters   of the answered responses
    by_question   by question id, in the order asked; questions without a response are not in it
    """

    num_asked: int
    num_responses: int
    num_cut: int
    sentences: int
    characters: int
    outcomes: Mapping[Outcome, int]
    total: ResponseScore
    by_question: Mapping[str, QuestionTally]

    @property
    def num_answered(self) -> int:
        """Number of answered responses."""
        return self.outcomes[Outcome.ANSWERED]

    @property
    def answered(self) -> float | None:
        """The respond ratio: answered responses / requested responses."""
        return self.per_asked(Outcome.ANSWERED)

    def per_asked(self, outcome: Outcome) -> float | None:
        """Share of the requested responses."""
        return self.outcomes[outcome] / self.num_asked if self.num_asked else None

    def per_answer(self, count: int) -> float | None:
        """A count per answered response."""
        return count / self.num_answered if self.num_answered else None

    @property
    def answered_questions(self) -> dict[str, QuestionTally]:
        """The questions with at least one answered response."""
        return {name: row for name, row in self.by_question.items() if row.num_answers}


def classify(score: ResponseScore) -> Outcome:
    """The outcome of a judged response."""
    if count_facts(score):
        return Outcome.ANSWERED
    return Outcome.UNDECIDED if score.num_undetermined else Outcome.ABSTAINED


def count_facts(score: ResponseScore) -> int:
    """Number of sentences that were decided to be correct or hallucinated."""
    return score.num_correct + score.num_hallucinated


def tally_model(
    annotations: Sequence[Annotation], questions: Sequence[str], num_responses: int
) -> ModelTally:
    """Count one model's annotations; `num_responses` were requested per question."""
    counts: Counter[Outcome] = Counter()
    totals = dict.fromkeys(questions, ResponseScore())
    answers: Counter[str] = Counter()
    seen: set[str] = set()
    sentences = characters = 0
    for annotation in annotations:
        score = score_labels(item.verdict.label for item in annotation.sentences)
        outcome = classify(score)
        counts[outcome] += 1
        question = annotation.question_id
        totals[question] += score
        seen.add(question)
        if outcome is Outcome.ANSWERED:
            answers[question] += 1
            sentences += score.num_sentences
            characters += len(annotation.text.strip())
    num_asked = max(len(questions) * num_responses, len(annotations))
    counts[Outcome.FAILED] = num_asked - len(annotations)
    return ModelTally(
        num_asked=num_asked,
        num_responses=len(annotations),
        num_cut=sum(item.finish_reason == "length" for item in annotations),
        sentences=sentences,
        characters=characters,
        outcomes=counts,
        total=sum(totals.values(), ResponseScore()),
        by_question={
            name: QuestionTally(total=totals[name], num_answers=answers[name])
            for name in questions
            if name in seen
        },
    )
