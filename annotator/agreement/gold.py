"""Reads people's labels, in any of the three forms they come in.

    human labels   JSONL of labelled responses, each with its own documents
                   (docs/dataset-format.md), or a split of a data set with the same columns
    annotations    annotations.jsonl whose verdicts are of people (`source` is "person"), as
                   `maskdpo import` writes it, with a documents.jsonl
    reviews        reviews.jsonl of checked sheets (docs/formats.md), or the corrections.jsonl of an
                   earlier version, with the annotations that were checked and their documents.jsonl

The rule: only a person's verdict is a label, and only where no other person contradicts it. A
program's verdict in the file becomes `undetermined: not_labelled` here, and is counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotator.agreement.reviewers import (
    PeopleFigures,
    are_of_several,
    entries_by_text,
    measure_people,
)
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import read_lines, read_records
from schemas.files.sidecar import describe_files
from schemas.files.tables import Table
from schemas.labels import Label
from schemas.records import Annotation, Document, Sentence, Verdict

if TYPE_CHECKING:
    from formats.reviews.decisions import Decision
    from formats.reviews.log import Logged

# A key that every row of the one form has and no row of the other.
_KEY_OF_ANNOTATIONS = "prompt"
_KEY_OF_REVIEWS = "text_sha256"
_NOT_LABELLED = Verdict(label=Label.UNDETERMINED, reason="not_labelled", source="person")


@dataclass(frozen=True, kw_only=True)
class Gold:
    """People's labels and the documents they go with; `inputs` are the files they came from.

    people     figures of the reviews; None where the labels do not come from reviews
    table      the split of a data set that holds the labels; None for a file
    decisions  each person's own, by response id, where several decided on the same characters;
               empty where no review has error spans
    """

    annotations: Sequence[Annotation]
    documents: Sequence[Document]
    inputs: Sequence[Path]
    num_not_by_people: int = 0
    num_refused: int = 0
    people: PeopleFigures | None = None
    table: Table | None = None
    decisions: Mapping[str, Sequence[Decision]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the labels, without a folder of this machine."""
        return self.table.name if self.table else self.inputs[0].name

    def describe(self) -> dict[str, dict[str, Any]]:
        """The inputs, hashed, for a sidecar."""
        return self.table.describe() if self.table else describe_files(self.inputs)

    def notes(self) -> list[str]:
        """Notes for the user."""
        notes = []
        if self.num_refused:
            notes.append(
                f"{self.num_refused:,} reviews of {self.name} do not belong to the "
                f"responses in {self.inputs[1].name} as they are now, and are left out."
            )
        if self.people is not None:
            notes += self.people.notes()
        if self.num_not_by_people:
            notes.append(
                f"{self.num_not_by_people:,} verdicts of {self.name} are not a person's "
                "and count as not labelled."
            )
        return notes


def read_gold(
    path: Path | Table,
    *,
    documents: Path | None,
    default_documents: Path,
    annotations: Path | None = None,
) -> Gold:
    """The labels of `path`, whichever form it has.

    documents          given by the user; refused with human labels, which hold their own
    default_documents  read for annotations and reviews when `documents` is None
    annotations        what was reviewed; needed for reviews alone

    Raises InputError with every fault of the files, and when no verdict is a person's.
    """
    if isinstance(path, Table):
        return _read_table(path, documents)
    if annotations is not None and _first_row_has(path, _KEY_OF_REVIEWS):
        return _read_reviews(path, annotations, documents or default_documents)
    if not _first_row_has(path, _KEY_OF_ANNOTATIONS):
        if documents is not None:
            raise ConfigError(
                f"--documents {documents}: goes with annotations; {path} already contains its "
                "documents"
            )
        from formats.human_labels import read_human_labels

        labels = read_human_labels(path)
        return Gold(annotations=labels.annotations, documents=labels.documents, inputs=[path])
    known = documents or default_documents
    if not known.exists():
        raise InputError.of(
            known,
            f"not found; {path} holds annotations, so name the documents file: --documents FILE",
        )
    return _read_annotations(path, known)


def _read_table(table: Table, documents: Path | None) -> Gold:
    """Human labels of a data set, which hold their documents themselves."""
    from formats.human_labels import read_human_labels

    if documents is not None:
        raise ConfigError(
            f"--documents {documents}: goes with annotations; {table.name} holds its documents"
        )
    labels = read_human_labels(table)
    return Gold(
        annotations=labels.annotations,
        documents=labels.documents,
        inputs=list(table.files),
        table=table,
    )


def _first_row_has(path: Path, key: str) -> bool:
    """Whether the first row has `key`; invalid JSON is reported by its reader."""
    for _, line in read_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return isinstance(row, dict) and key in row
    return False


def _read_reviews(path: Path, annotations: Path, documents: Path) -> Gold:
    """People's verdicts on the responses of `annotations` that they reviewed; no others.

    As in a build, identical answers to one question share their reviews; here each counts as gold
    once.
    """
    from formats.reviews.apply import apply_reviews
    from formats.reviews.decisions import own_decisions
    from formats.reviews.log import read_reviews

    for needed in (annotations, documents):
        if not needed.exists():
            raise InputError.of(
                needed, f"not found; {path} holds reviews of annotations, so set run.dir"
            )
    texts = read_records(documents, Document)
    by_response: defaultdict[str, list[Logged]] = defaultdict(list)
    for entry in read_reviews(path):
        by_response[entry.review.response_id].append(entry)
    of_question: defaultdict[str, list[Annotation]] = defaultdict(list)
    for annotation in read_records(annotations, Annotation):
        of_question[annotation.question_id].append(annotation)
    num_refused = sum(len(items) for items in by_response.values())
    found: dict[tuple[str, str], Annotation] = {}
    decisions: list[Sequence[Decision]] = []
    of_several: dict[str, Sequence[Decision]] = {}
    num_conflicts = 0
    for question_id, rows in of_question.items():
        reviewed = apply_reviews(rows, by_response)
        num_refused -= sum(len(by_response[row.id]) for row in rows if row.id in by_response)
        num_refused += len(reviewed.refused)
        num_conflicts += len(reviewed.conflicts)
        by_text = {
            text: own_decisions(entries, text)
            for text, entries in entries_by_text(rows, by_response).items()
        }
        decisions += by_text.values()
        for row in reviewed.rows:
            if reviewed.replaced.get(row.id):
                first = found.setdefault((question_id, row.text), _people_only(row))
                if are_of_several(by_text.get(row.text, ())):
                    of_several[first.id] = by_text[row.text]
    has_error_spans = any(item.error_spans for items in decisions for item in items)
    if not found:
        raise InputError.of(path, f"no review has a label of a response in {annotations}")
    return Gold(
        annotations=list(found.values()),
        documents=texts,
        inputs=[path, annotations, documents],
        num_refused=num_refused,
        people=measure_people(decisions, num_conflicts=num_conflicts),
        decisions=of_several if has_error_spans else {},
    )


def _read_annotations(path: Path, documents: Path) -> Gold:
    texts = read_records(documents, Document)
    annotations = []
    num_not_by_people = num_by_people = 0
    for annotation in read_records(path, Annotation):
        by_people = sum(_is_by_person(item) for item in annotation.sentences)
        num_by_people += by_people
        num_not_by_people += len(annotation.sentences) - by_people
        annotations.append(_people_only(annotation))
    if not num_by_people:
        raise InputError.of(
            path,
            "holds no verdict of a person (source 'person'); convert people's labels into "
            "annotations with: maskdpo import",
        )
    return Gold(
        annotations=annotations,
        documents=texts,
        inputs=[path, documents],
        num_not_by_people=num_not_by_people,
    )


def _is_by_person(sentence: Sentence) -> bool:
    return sentence.verdict.source == "person"


def _people_only(annotation: Annotation) -> Annotation:
    """The annotation with people's verdicts alone."""
    sentences = [
        item if _is_by_person(item) else item.model_copy(update={"verdict": _NOT_LABELLED})
        for item in annotation.sentences
    ]
    return annotation.model_copy(update={"sentences": sentences})
