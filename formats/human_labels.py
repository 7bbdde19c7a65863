"""Human sentence labels: from a row of the file to an annotation and its documents.

The input is JSONL, one response per line, with the sentences that people labelled and the documents
they read. The rule that makes the import correct: nothing is invented. A sentence that a person
left without a label, and text that no person's span covers, become `undetermined: not_labelled`; a
row that contradicts itself is a fault with its line number, and the other rows are kept.

What a row becomes:

    topic        its `group`, so that a group is never divided between splits
    question_id  its `group`; where a group holds several questions (dialogues about one source),
                 the first keeps the group's name and the others add a key of their question. A row
                 without a question is its own question: claims about one source do not answer a
                 common question, and must not be paired
    prompt       the question as one user message; without one, NO_QUESTION_PROMPT
    judge        its `source`, with every verdict's own `source` being "person"
    error_spans  its `spans`, untouched (`formats.human_spans`)

A gap between spans stays one span, even if it holds several sentences: it never trains.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from formats.human_spans import distribute
from schemas.errors import Fault, InputError
from schemas.files.jsonl import Row, scan_rows
from schemas.files.tables import Table, column_names
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import (
    Annotation,
    Document,
    ErrorSpan,
    Identifier,
    Message,
    Record,
    Sentence,
    Verdict,
    WrongLabel,
)
from schemas.spans import Offsets, check_order, gaps, trim
from schemas.validation import describe_errors, show_value

FORMAT_NAME = "human_labels"
NO_QUESTION_PROMPT = "Write a factual statement."
LABELS: dict[str, Label] = {
    "factual": Label.NO_HALLUCINATION,
    "hallucinated": Label.HALLUCINATED,
    "no_fact": Label.NO_FACT,
}
WRONG_LABELS: dict[str, WrongLabel] = {
    "contradictory": Label.CONTRADICTORY,
    "unverifiable": Label.UNVERIFIABLE,
    "hallucinated": Label.HALLUCINATED,
}
QUESTION_KEY_CHARS = 12


class HumanSpan(Record):
    """A labelled place: `response[start:end]`.

    A null label is a value that does not correspond to one of our labels.
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: Literal["factual", "hallucinated", "no_fact"] | None


class HumanErrorSpan(Record):
    """The very words that people marked as wrong: `response[start:end]`, in one sentence or more.

    label    the kind of hallucination, where they chose one
    kind     what the source calls the error; null as in a table's missing field
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    label: Literal["contradictory", "unverifiable", "hallucinated"] | None = None
    kind: str | None = None


class HumanDocument(Record):
    """A text that the people saw; an id has one text in the whole file."""

    id: Identifier
    text: str


class HumanRow(Record):
    """One line: a response, people's labels of its sentences, and the documents they read."""

    id: Identifier
    source: Identifier
    language: str = ""
    # Space for the key of a question, within the length of an Identifier.
    group: Annotated[str, Field(min_length=1, max_length=512 - 1 - QUESTION_KEY_CHARS)]
    question: str = ""
    documents: list[HumanDocument]
    response: str
    generator: str = ""
    sentences: list[HumanSpan]
    spans: list[HumanErrorSpan] | None = None  # null as in a table's missing field


@dataclass(frozen=True, kw_only=True)
class HumanLabels:
    """Everything one file of human labels holds, in file order."""

    annotations: list[Annotation]
    documents: list[Document]


@dataclass(frozen=True, kw_only=True)
class ImportedRow:
    """A valid line: its annotation, and those of its documents that no earlier line held."""

    line: int
    annotation: Annotation
    documents: list[Document]
    has_question: bool


@dataclass(frozen=True, kw_only=True)
class BadRow:
    """A line that cannot be imported; `id` is the row's id where it could be read."""

    line: int
    id: str
    faults: Sequence[Fault]


def read_human_labels(path: str | Path | Table) -> HumanLabels:
    """All rows, or an InputError with every fault in them. A source without a row is a fault."""
    rows: list[ImportedRow] = []
    faults: list[Fault] = []
    for item in scan_human_labels(path):
        if isinstance(item, BadRow):
            faults.extend(item.faults)
        else:
            rows.append(item)
    if faults:
        raise InputError(faults)
    refuse_empty(path, rows)
    return HumanLabels(
        annotations=[row.annotation for row in rows],
        documents=[document for row in rows for document in row.documents],
    )


def scan_human_labels(path: str | Path | Table) -> Iterator[ImportedRow | BadRow]:
    """Valid and bad rows in file order, streamed."""
    name = path.name if isinstance(path, Table) else str(path)
    seen = _Seen()
    unreadable: list[Fault] = []  # the faults of one line, which are yielded together
    for item in _scan_table(path) if isinstance(path, Table) else scan_rows(path, HumanRow):
        if unreadable and (not isinstance(item, Fault) or item.line != unreadable[0].line):
            yield _unreadable_row(unreadable)
            unreadable = []
        if isinstance(item, Fault):
            unreadable.append(item)
            continue
        messages = [*seen.faults_of(item.record), *_faults_of_text(item.record)]
        if messages:
            faults = [Fault(path=name, line=item.line, message=text) for text in messages]
            yield BadRow(line=item.line, id=item.record.id, faults=faults)
            continue
        yield seen.accept(item.line, item.record)
    if unreadable:
        yield _unreadable_row(unreadable)


def _scan_table(table: Table) -> Iterator[Row[HumanRow] | Fault]:
    """Rows and faults of a split of a data set; other columns are ignored.

    Parquet and Arrow hold a null where a row leaves a field out.
    """
    needed = [name for name, field in HumanRow.model_fields.items() if field.is_required()]
    table.require(needed, what="human labels", advice=_advice(table))
    for number, values in table.rows():
        try:
            if isinstance(values, ValueError):
                raise values
            if not isinstance(values, dict):
                raise ValueError(f"a row must be an object, found {show_value(values)}")
            known = {
                name: value
                for name, value in values.items()
                if name in HumanRow.model_fields and value is not None
            }
            yield Row(line=number, record=HumanRow.model_validate_json(json.dumps(known)))
        except ValidationError as error:
            for message in describe_errors(error, HumanRow):
                yield Fault(path=table.name, line=number, message=message)
        except (ValueError, TypeError, RecursionError) as error:
            yield Fault(path=table.name, line=number, message=str(error))


def _advice(table: Table) -> str:
    """What to do with a data set that holds pairs, and no labels of people."""
    found = column_names(table.files[0], name=table.label(table.files[0]))
    is_pairs = {"chosen", "rejected"} <= set(found)
    return "; it holds pairs: import them with --format trl" if is_pairs else ""


@dataclass(kw_only=True)
class _Seen:
    """What the valid lines so far hold; a bad line changes nothing in it."""

    line_of_id: dict[str, int] = field(default_factory=dict)
    document_texts: dict[str, tuple[int, str]] = field(default_factory=dict)
    first_question: dict[str, str] = field(default_factory=dict)

    def faults_of(self, row: HumanRow) -> list[str]:
        """Contradictions between this row and the ones before it."""
        messages = []
        if row.id in self.line_of_id:
            messages.append(
                f"duplicate id {row.id!r}, first used on line {self.line_of_id[row.id]}; "
                "ids must be unique in a file"
            )
        own: dict[str, str] = {}
        for document in row.documents:
            line, text = self.document_texts.get(document.id, (0, document.text))
            place = f"on line {line}" if line else "earlier on this line"
            if own.setdefault(document.id, text) != document.text:
                messages.append(
                    f"document {document.id!r} has a different text than {place}; one id must mean "
                    "one text"
                )
        return messages

    def accept(self, line: int, row: HumanRow) -> ImportedRow:
        """Remember a valid row, and make its records."""
        self.line_of_id[row.id] = line
        fresh = {
            document.id: document
            for document in row.documents
            if document.id not in self.document_texts
        }
        self.document_texts.update((key, (line, new.text)) for key, new in fresh.items())
        return ImportedRow(
            line=line,
            annotation=make_annotation(row, question_id=self._question_id(row)),
            documents=[_document(document, row) for document in fresh.values()],
            has_question=bool(row.question.strip()),
        )

    def _question_id(self, row: HumanRow) -> str:
        if not row.question.strip():
            return row.id
        if self.first_question.setdefault(row.group, row.question) == row.question:
            return row.group
        return f"{row.group}#{content_key(row.question)[:QUESTION_KEY_CHARS]}"


def make_annotation(row: HumanRow, *, question_id: str) -> Annotation:
    """The annotation of one valid row: its spans in order, with the gaps between them."""
    document_ids = list(dict.fromkeys(document.id for document in row.documents))
    return Annotation(
        id=row.id,
        question_id=question_id,
        topic=row.group,
        language=row.language,
        document_ids=document_ids,
        prompt=[
            Message(
                role="user", content=row.question if row.question.strip() else NO_QUESTION_PROMPT
            )
        ],
        text=row.response,
        model=row.generator,
        sentences=_sentences(row),
    )


def _sentences(row: HumanRow) -> list[Sentence]:
    labels: dict[Offsets, str | None] = {
        (span.start, span.end): span.label for span in row.sentences
    }
    for start, end in gaps(len(row.response), sorted(labels)):
        place = trim(row.response, start, end)
        if place is not None:
            labels[place] = None
    places = sorted(labels)
    of_sentence = distribute(row.response, places, [_error_span(span) for span in row.spans or ()])
    return [
        Sentence(start=place[0], end=place[1], verdict=_verdict(labels[place], row.source, errors))
        for place, errors in zip(places, of_sentence, strict=True)
    ]


def _error_span(span: HumanErrorSpan) -> ErrorSpan:
    return ErrorSpan(
        start=span.start,
        end=span.end,
        label=WRONG_LABELS[span.label] if span.label else None,
        kind=span.kind or "",
    )


def _verdict(label: str | None, judge: str, error_spans: list[ErrorSpan]) -> Verdict:
    return Verdict(
        label=LABELS[label] if label else Label.UNDETERMINED,
        reason=None if label else "not_labelled",
        error_spans=error_spans,
        source="person",
        judge=judge,
    )


def _document(document: HumanDocument, row: HumanRow) -> Document:
    return Document(
        id=document.id,
        text=document.text,
        topic=row.group,
        language=row.language,
        source=row.source,
    )


def _faults_of_text(row: HumanRow) -> list[str]:
    """What is wrong with the response and the spans over it."""
    if not row.response.strip():
        return ["'response' is empty or only white space; there is no sentence in it to label"]
    messages = []
    for index, span in enumerate(row.sentences):
        try:
            check_order(row.response, [(span.start, span.end)])
        except ValueError as error:
            reason = str(error).removeprefix("span 0 ")
            messages.append(f"sentences[{index}] {reason}")
            continue
        if not row.response[span.start : span.end].strip():
            messages.append(f"sentences[{index}] [{span.start}, {span.end}) is only white space")
    ordered = sorted(enumerate(row.sentences), key=lambda item: (item[1].start, item[1].end))
    for (left, before), (right, after) in pairwise(ordered):
        if after.start < before.end:
            messages.append(
                f"sentences[{left}] [{before.start}, {before.end}) and sentences[{right}] "
                f"[{after.start}, {after.end}) overlap; a character can have one label only"
            )
    return messages + _faults_of_error_spans(row)


def _faults_of_error_spans(row: HumanRow) -> list[str]:
    messages = []
    for index, span in enumerate(row.spans or ()):
        try:
            check_order(row.response, [(span.start, span.end)])
        except ValueError as error:
            messages.append(f"spans[{index}] {str(error).removeprefix('span 0 ')}")
    return messages


def _unreadable_row(faults: list[Fault]) -> BadRow:
    line = faults[0].line or 0
    return BadRow(line=line, id=f"line-{line}", faults=faults)


def refuse_empty(path: str | Path | Table, rows: Sequence[ImportedRow]) -> None:
    """Raise InputError for a file without a row."""
    if not rows:
        name = path.name if isinstance(path, Table) else path
        raise InputError.of(name, "holds no rows; it should hold one labelled response per line")
