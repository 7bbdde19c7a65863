"""The import of human sentence labels: one file in, annotations and documents out.

The rule: a bad row affects no other row. It is a `Failure` next to the annotations, with its file
and line, and the other rows are written; what a row becomes is in `human_labels`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from formats.human_labels import (
    FORMAT_NAME,
    NO_QUESTION_PROMPT,
    BadRow,
    ImportedRow,
    refuse_empty,
    scan_human_labels,
)
from formats.human_spans import count_spans, notes_on_spans
from formats.own_imports import refuse_other_work
from schemas.errors import ConfigError, InputError
from schemas.files.jsonl import write_records
from schemas.files.own_files import seal
from schemas.files.sidecar import describe_files, make_sidecar, write_sidecar
from schemas.files.tables import Table
from schemas.labels import Label
from schemas.records import Failure
from schemas.stage import StageResult, write_failures


def run_import(
    *, source: Path | Table, annotations: Path, documents: Path, replace_documents: bool = False
) -> StageResult:
    """Write the annotations and documents of `source`, each with a sidecar.

    source               a file of JSON Lines, or a split of a data set
    replace_documents    `documents` was named by the user, and is replaced whatever it holds

    Bad rows become `Failure`s next to `annotations`, with file and line in their detail. When no
    row is valid an InputError with every fault is raised, and nothing is written. Raises
    ConfigError for an output that no import of `source` wrote.
    """
    given = {} if isinstance(source, Table) else {"source": source}
    _refuse_same_paths(**given, annotations=annotations, documents=documents)
    refuse_other_work(annotations, source=source, format_name=FORMAT_NAME, what="annotations")
    if not replace_documents:
        option = "--documents-output"
        refuse_other_work(
            documents, source=source, format_name=FORMAT_NAME, what="documents", option=option
        )
    rows: list[ImportedRow] = []
    bad_rows: list[BadRow] = []
    for item in scan_human_labels(source):
        if isinstance(item, BadRow):
            bad_rows.append(item)
        else:
            rows.append(item)
    if bad_rows and not rows:
        raise InputError([fault for bad in bad_rows for fault in bad.faults])
    refuse_empty(source, rows)

    counts = _count(rows, num_failed=len(bad_rows))
    settings = {"format": FORMAT_NAME}
    write_records(documents, (document for row in rows for document in row.documents))
    inputs = source.describe() if isinstance(source, Table) else describe_files([source])
    of_documents = make_sidecar("document", config=settings, inputs=inputs, counts=counts)
    write_sidecar(documents, seal(of_documents, [documents]))
    name = source.name
    failures = [_failure(bad, name) for bad in bad_rows]
    write_records(annotations, (row.annotation for row in rows))
    write_failures(annotations, failures)
    of_labels = make_sidecar("annotation", config=settings, inputs=inputs, counts=counts)
    write_sidecar(annotations, seal(of_labels, [annotations]))
    return StageResult(
        output=annotations,
        num_rows=len(rows) + len(failures),
        failures=failures,
        counts=counts,
        notes=_notes(counts),
    )


def _failure(bad: BadRow, name: str) -> Failure:
    """A row of `name`, which contains no folder of this machine: others may read the file."""
    reasons = "; ".join(fault.message for fault in bad.faults)
    return Failure(
        id=bad.id, stage="import", reason="bad_row", detail=f"{name}:{bad.line}: {reasons}"
    )


def _refuse_same_paths(**paths: Path) -> None:
    names: dict[Path, str] = {}
    for name, path in paths.items():
        other = names.setdefault(path.resolve(), name)
        if other != name:
            raise ConfigError(f"'{other}' and '{name}' are the same file {path}; give two files")


def _count(rows: Sequence[ImportedRow], *, num_failed: int) -> dict[str, int]:
    labels = Counter(
        sentence.verdict.label.value for row in rows for sentence in row.annotation.sentences
    )
    spans = sum((count_spans(row.annotation) for row in rows), Counter())
    return {
        "responses": len(rows),
        "failed": num_failed,
        "without_question": sum(not row.has_question for row in rows),
        "questions": len({row.annotation.question_id for row in rows}),
        "topics": len({row.annotation.topic for row in rows}),
        "documents": sum(len(row.documents) for row in rows),
        "sentences": sum(labels.values()),
        **{f"sentences_{label}": labels[label] for label in Label if labels[label]},
        **spans,
    }


def _notes(counts: dict[str, int]) -> list[str]:
    notes = notes_on_spans(counts)
    if counts["without_question"]:
        notes.append(
            f"responses without a question: {counts['without_question']}; each is treated as a "
            f"separate question (it cannot form a pair), with the prompt {NO_QUESTION_PROMPT!r}"
        )
    return notes
