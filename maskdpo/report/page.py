"""The report: one self-contained HTML page that opens without a network.

Everything a model or a document says is escaped by the template engine; the page forbids
scripts and outside loads altogether, so that nothing in a response can run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskdpo.report.plots import plot_scores, plot_sentences, plot_topics
from maskdpo.report.training_plots import draw_training_curves
from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Document
from schemas.spans import gaps
from schemas.writing import atomic_writer

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a response as the page shows it: a marked sentence, or text between."""

    text: str
    kind: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One model's response to one question, cut into pieces."""

    model: str
    pieces: Sequence[Piece]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A question, what the documents say, and what each model answered."""

    question: str
    documents: Sequence[str]
    answers: Sequence[Answer]


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What the page shows. `training_logs`: training_log.jsonl by model name."""

    title: str
    scores: Mapping[str, Any]
    annotations: Mapping[str, Sequence[Annotation]]
    documents: Mapping[str, Document]
    training_logs: Mapping[str, Path]
    notes: Sequence[str]
    num_examples: int


def write_report(path: Path, inputs: ReportInputs) -> None:
    """Draw and write the page, atomically."""
    page = render_report(inputs)
    with atomic_writer(path) as handle:
        handle.write(page)


def render_report(inputs: ReportInputs) -> str:
    """The page as HTML text."""
    models = inputs.scores["models"]
    return page_template("report.html.jinja").render(
        title=inputs.title,
        scores=inputs.scores,
        models=models,
        figures=[plot_scores(models), plot_sentences(models), plot_topics(models)],
        curves=draw_training_curves(inputs.training_logs, list(models)),
        examples=make_examples(inputs.annotations, inputs.documents, inputs.num_examples),
        notes=inputs.notes,
    )


def page_template(name: str) -> Template:
    """A template of this room; everything it is given is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("maskdpo.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["percent"] = _percent
    environment.filters["number"] = _number
    environment.filters["figure"] = _figure
    return environment.get_template(name)


def make_examples(
    annotations: Mapping[str, Sequence[Annotation]],
    documents: Mapping[str, Document],
    count: int,
) -> list[Example]:
    """The first response of every model to the first `count` questions all of them answered."""
    first: dict[str, dict[str, Annotation]] = {}
    for model, items in annotations.items():
        for item in items:
            first.setdefault(item.question_id, {}).setdefault(model, item)
    shared = [question for question, row in first.items() if len(row) == len(annotations)]
    examples = []
    for question in shared[:count]:
        row = first[question]
        one = next(iter(row.values()))
        examples.append(
            Example(
                question=one.prompt[-1].content,
                documents=[documents[i].text for i in _document_ids(one) if i in documents],
                answers=[
                    Answer(model=model, pieces=mark_sentences(item)) for model, item in row.items()
                ],
            )
        )
    return examples


def mark_sentences(annotation: Annotation) -> list[Piece]:
    """The response cut at its sentences; each carries its label and why it was given."""
    text = annotation.text
    pieces: list[tuple[int, Piece]] = []
    for sentence in annotation.sentences:
        verdict = sentence.verdict
        hint = [verdict.label.value.replace("_", " ")]
        if verdict.confidence is not None:
            hint.append(f"confidence {verdict.confidence:.2f} ({verdict.confidence_kind})")
        hint.extend(part for part in (verdict.reason, verdict.rationale) if part)
        piece = Piece(
            text=text[sentence.start : sentence.end],
            kind=_kind(verdict.label),
            hint=", ".join(hint),
        )
        pieces.append((sentence.start, piece))
    spans = [(item.start, item.end) for item in annotation.sentences]
    pieces += [(start, Piece(text=text[start:end])) for start, end in gaps(len(text), spans)]
    return [piece for _, piece in sorted(pieces, key=lambda item: item[0])]


def _document_ids(annotation: Annotation) -> list[str]:
    """The documents a response names; where it names none, those its verdicts rest on."""
    named = annotation.document_ids or [
        evidence.document_id
        for sentence in annotation.sentences
        for evidence in sentence.verdict.evidence
    ]
    return list(dict.fromkeys(named))


def _kind(label: Label) -> str:
    if label in CORRECT_LABELS:
        return "correct"
    if label in HALLUCINATED_LABELS:
        return "hallucinated"
    return "neutral"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
