"""Answers of several models, cut into sentences with their verdicts.

The rule: the shown questions depend only on the questions, never on the answers, and for every
model the first response is shown. A model without a response is shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annotator.agreement.intervals import Group, name_group
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Document, Question, Verdict
from schemas.scores import score_labels
from schemas.spans import gaps

CUT_NOTE = "cut off at the token limit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a response on the page: a marked sentence, or text between sentences."""

    text: str
    kind: str = ""
    label: str = ""
    reason: str = ""

    @property
    def hint(self) -> str:
        """Label and reason on one line."""
        return f"{self.label}: {self.reason}" if self.reason else self.label


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One model's first response to a question, cut into pieces; `note` if it is incomplete."""

    model: str
    pieces: Sequence[Piece] = ()
    summary: str = ""
    note: str = ""

    @property
    def sentences(self) -> list[Piece]:
        """The pieces with a verdict."""
        return [piece for piece in self.pieces if piece.kind]


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
    if not annotation.text.strip():
        return Answer(model=model, summary="empty", note="an empty response")
    score = score_labels(item.verdict.label for item in annotation.sentences)
    facts = score.num_correct + score.num_hallucinated
    return Answer(
        model=model,
        pieces=mark_sentences(annotation),
        summary=f"{score.num_correct} of {facts} correct" if facts else "no facts",
        note=CUT_NOTE if annotation.finish_reason == "length" else "",
    )


def mark_sentences(annotation: Annotation) -> list[Piece]:
    """The response cut at its sentences, each with its label and the reason for it."""
    text = annotation.text
    pieces: list[tuple[int, Piece]] = []
    for sentence in annotation.sentences:
        verdict = sentence.verdict
        piece = Piece(
            text=text[sentence.start : sentence.end],
            kind=_kind(verdict.label),
            label=verdict.label.value.replace("_", " "),
            reason=_reason(verdict),
        )
        pieces.append((sentence.start, piece))
    spans = [(item.start, item.end) for item in annotation.sentences]
    pieces += [(start, Piece(text=text[start:end])) for start, end in gaps(len(text), spans)]
    return [piece for _, piece in sorted(pieces, key=lambda item: item[0])]


def _reason(verdict: Verdict) -> str:
    parts = []
    if verdict.confidence is not None:
        parts.append(f"confidence {verdict.confidence:.2f} ({verdict.confidence_kind})")
    parts += [part for part in (verdict.reason, verdict.rationale) if part]
    return ", ".join(parts)


def _document_ids(annotation: Annotation) -> list[str]:
    """The documents that a response names; if it names none, those that its verdicts cite."""
    return list(annotation.document_ids) or [
        evidence.document_id
        for sentence in annotation.sentences
        for evidence in sentence.verdict.evidence
    ]


def _kind(label: Label) -> str:
    if label in CORRECT_LABELS:
        return "correct"
    if label in HALLUCINATED_LABELS:
        return "hallucinated"
    return "neutral"
