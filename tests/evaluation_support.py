"""Annotations and scores for the tests of evaluation and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskdpo.evaluation.scores import compare_models
from schemas.labels import Label
from schemas.records import Annotation, Message, Question, Sentence, Verdict

GOOD, BAD, OPEN, EMPTY = (
    Label.NO_HALLUCINATION,
    Label.CONTRADICTORY,
    Label.UNDETERMINED,
    Label.NO_FACT,
)
Answers = dict[str, list[Annotation]]


def annotation(question: str, index: int, labels: Sequence[Label]) -> Annotation:
    """A response with one short sentence per label."""
    return Annotation(
        id=f"{question}-{index}",
        question_id=question,
        topic=f"topic of {question}",
        document_ids=["d"],
        prompt=[Message(role="user", content=f"Ask <b>{question}</b>?")],
        text=" ".join("Aa." for _ in labels),
        sentences=[
            Sentence(
                start=4 * place,
                end=4 * place + 3,
                verdict=Verdict(label=label, reason="test" if label is OPEN else None),
            )
            for place, label in enumerate(labels)
        ],
    )


def make_questions(names: Sequence[str]) -> list[Question]:
    return [
        Question(
            id=name,
            topic=f"topic of {name}",
            messages=[Message(role="user", content=f"Ask <b>{name}</b>?")],
        )
        for name in names
    ]


def compare(models: Mapping[str, list[Annotation]], questions: Sequence[str], **more: Any) -> Any:
    topics = {question: f"topic of {question}" for question in questions}
    return compare_models(models, questions, topics=topics, **more)


QUESTIONS = [f"q{index:02}" for index in range(12)]


def example_answers() -> Answers:
    """Two models, 12 questions, 3 responses each; the second is better."""
    rng = np.random.default_rng(0)

    def draw(share: float) -> list[Annotation]:
        return [
            annotation(question, index, [GOOD if rng.random() < share else BAD for _ in range(5)])
            for question in QUESTIONS
            for index in range(3)
        ]

    return {"base": draw(0.4), "mask_dpo": draw(0.7)}
