"""Answers of several models, cut into sentences with their verdicts.

The rule: the shown questions depend only on the questions, never on the answers, and for every
model the first response is shown. A model without a response is shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotator.agreement.intervals import Group, name_group
from maskdpo.show.marks import Mark, Piece, cut, marks_of
from maskdpo.show.summary import note_on, summarise
from schemas.records import Annotation, Document, Question


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One model's first response to a question, cut into pieces; `note` if it is incomplete."""

    model: str
    pieces: Sequence[Piece] = ()
    summary: str = ""
    note: str = ""

    @property
    def sentences(self) -> list[Mark]:
        """The marks of the sentences, in order."""
        return [piece.mark for piece in self.pieces if piece.mark]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A question, what the documents say, and what each model answered."""

    question: str
    topic: str
    documents: Sequence[str]
    answers: Sequence[Answer]


def make_examples(
    annotations: Mapping[str, Sequence[Annotation]],
    questions: Sequence[Question],
    documents: Mapping[str, Document],
    count: int,
) -> list[Example]:
    """The first response of every model to `count` questions of different topics."""
    first: dict[str, dict[str, Annotation]] = {}
    for model, items in annotations.items():
        for item in items:
            first.setdefault(item.question_id, {}).setdefault(model, item)
    examples = []
    for question in choose_questions(questions, count):
        row = first.get(question.id, {})
        ids = list(dict.fromkeys(name for item in row.values() for name in _document_ids(item)))
        examples.append(
            Example(
                question=question.messages[-1].content,
                topic=question.topic,
                documents=[
                    documents[name].text
                    for name in ids or question.document_ids
                    if name in documents
                ],
                answers=[show_answer(model, row.get(model)) for model in annotations],
            )
        )
    return examples


def choose_questions(questions: Sequence[Question], count: int) -> list[Question]:
    """At most `count` questions, in the order asked: one of every topic, then a second of each.

    If a round has more questions than are still needed, some are taken at even distances.
    """
    rounds: list[list[int]] = []
    seen: dict[Group, int] = {}
    for place, question in enumerate(questions):
        group = name_group(question.topic, question.id)
        number = seen.get(group, 0)
        seen[group] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(place)
    chosen: list[int] = []
    for places in rounds:
        left = min(count - len(chosen), len(places))
        chosen += [places[(2 * index + 1) * len(places) // (2 * left)] for index in range(left)]
    return [questions[place] for place in sorted(chosen)]


def show_answer(model: str, annotation: Annotation | None) -> Answer:
    """A response with its counts; a note if there is none."""
    if annotation is None:
        return Answer(model=model, summary="no response", note="no response")
    return Answer(
        model=model,
        pieces=cut(annotation.text, marks_of(annotation)),
        summary=summarise(annotation),
        note=note_on(annotation),
    )


def _document_ids(annotation: Annotation) -> list[str]:
    """The documents that a response names; if it names none, those that its verdicts cite."""
    return list(annotation.document_ids) or [
        evidence.document_id
        for sentence in annotation.sentences
        for evidence in sentence.verdict.evidence
    ]
