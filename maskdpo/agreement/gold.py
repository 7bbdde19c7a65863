"""Reads people's labels, in any of the three forms they come in.

    human labels   JSONL of labelled responses, each with its own documents (docs/dataset-format.md)
    annotations    annotations.jsonl whose verdicts are of people (`source` is "person"), as
                   `maskdpo import` writes it, with a documents.jsonl
    corrections    corrections.jsonl of a checked sheet (docs/formats.md), with the annotations that
                   were checked and their documents.jsonl

The rule: only a person's verdict is a label. A program's verdict in the file becomes
`undetermined: not_labelled` here, and is counted.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, InputError
from schemas.files import read_lines, read_records
from schemas.labels import Label
from schemas.records import Annotation, Document, Sentence, Verdict

# A key that every row of one form has and no row of the other may have.
_KEY_OF_ANNOTATIONS = "prompt"
_KEY_OF_CORRECTIONS = "text_sha256"
_NOT_LABELLED = Verdict(label=Label.UNDETERMINED, reason="not_labelled", source="person")


@dataclass(frozen=True, kw_only=True)
class Gold:
    """People's labels and the documents they go with; `inputs` are the files they came from."""

    annotations: Sequence[Annotation]
    documents: Sequence[Document]
    inputs: Sequence[Path]
    num_not_by_people: int = 0
    num_refused: int = 0

    def notes(self) -> list[str]:
        """Sentences the user should read."""
        notes = []
        if self.num_refused:
            notes.append(
                f"{self.num_refused:,} corrections of {self.inputs[0].name} are not of the "
                f"responses in {self.inputs[1].name} as they stand, and are left out."
            )
        if self.num_not_by_people:
            notes.append(
                f"{self.num_not_by_people:,} verdicts of {self.inputs[0].name} are not a person's "
                "and count as not labelled."
            )
        return notes


def read_gold(
    path: Path,
    *,
    documents: Path | None,
    default_documents: Path,
    annotations: Path | None = None,
) -> Gold:
    """The labels of `path`, whichever form it has.

    documents          given by the user; refused with human labels, which hold their own
    default_documents  read for annotations and corrections when `documents` is None
    annotations        what corrections were made on; needed for them alone

    Raises InputError with every fault of the files, and when no verdict is a person's.
    """
    if annotations is not None and _first_row_has(path, _KEY_OF_CORRECTIONS):
        return _read_corrections(path, annotations, documents or default_documents)
    if not _first_row_has(path, _KEY_OF_ANNOTATIONS):
        if documents is not None:
            raise ConfigError(
                f"--documents {documents}: goes with annotations; {path} holds its documents itself"
            )
        from dataset_builder.formats.human_labels import read_human_labels

        labels = read_human_labels(path)
        return Gold(annotations=labels.annotations, documents=labels.documents, inputs=[path])
    known = documents or default_documents
    if not known.exists():
        raise InputError.of(
            known, f"not found; {path} holds annotations, so give their texts: --documents FILE"
        )
    return _read_annotations(path, known)


def _first_row_has(path: Path, key: str) -> bool:
    """Whether the first row is of the form with `key`; what is no JSON is told by its reader."""
    for _, line in read_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return False
        return isinstance(row, dict) and key in row
    return False


def _read_corrections(path: Path, annotations: Path, documents: Path) -> Gold:
    """People's verdicts on the responses of `annotations` that they corrected; no others."""
    from dataset_builder.reviews.apply import apply_reviews
    from dataset_builder.reviews.log import Logged, read_reviews

    for needed in (annotations, documents):
        if not needed.exists():
            raise InputError.of(
                needed, f"not found; {path} holds corrections of annotations, so set run.dir"
            )
    texts = read_records(documents, Document)
    by_topic = _ids_by_topic(texts)
    by_response: defaultdict[str, list[Logged]] = defaultdict(list)
    for entry in read_reviews(path):
        by_response[entry.review.response_id].append(entry)
    num_refused = sum(len(items) for items in by_response.values())
    found = []
    for annotation in read_records(annotations, Annotation):
        if annotation.id in by_response:
            reviewed = apply_reviews([annotation], by_response)
            num_refused -= len(by_response[annotation.id]) - len(reviewed.refused)
            if reviewed.replaced.get(annotation.id):
                found.append(_people_only(reviewed.rows[0], by_topic))
    if not found:
        raise InputError.of(path, f"no correction is of a response in {annotations}")
    return Gold(
        annotations=found,
        documents=texts,
        inputs=[path, annotations, documents],
        num_refused=num_refused,
    )


def _ids_by_topic(documents: Sequence[Document]) -> dict[str, list[str]]:
    by_topic: defaultdict[str, list[str]] = defaultdict(list)
    for document in documents:
        by_topic[document.topic].append(document.id)
    return by_topic


def _read_annotations(path: Path, documents: Path) -> Gold:
    texts = read_records(documents, Document)
    by_topic = _ids_by_topic(texts)
    annotations = []
    num_not_by_people = num_by_people = 0
    for annotation in read_records(path, Annotation):
        by_people = sum(_is_by_person(item) for item in annotation.sentences)
        num_by_people += by_people
        num_not_by_people += len(annotation.sentences) - by_people
        annotations.append(_people_only(annotation, by_topic))
    if not num_by_people:
        raise InputError.of(
            path,
            "holds no verdict of a person (source 'person'); make people's labels into annotations "
            "with: maskdpo import",
        )
    return Gold(
        annotations=annotations,
        documents=texts,
        inputs=[path, documents],
        num_not_by_people=num_not_by_people,
    )


def _is_by_person(sentence: Sentence) -> bool:
    return sentence.verdict.source == "person"


def _people_only(annotation: Annotation, by_topic: dict[str, list[str]]) -> Annotation:
    """The annotation with people's verdicts alone, and with documents found as `annotate` does."""
    sentences = [
        item if _is_by_person(item) else item.model_copy(update={"verdict": _NOT_LABELLED})
        for item in annotation.sentences
    ]
    by_name = annotation.document_ids
    found = by_name or (by_topic.get(annotation.topic, []) if annotation.topic else [])
    return annotation.model_copy(update={"sentences": sentences, "document_ids": found})
