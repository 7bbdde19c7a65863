"""Checks of files before a model is called: ids, documents of questions, outputs.

The rule: faults that would appear after paying are found before.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from difflib import get_close_matches
from pathlib import Path

from schemas.errors import MAX_FAULTS_SHOWN, ConfigError, Fault, InputError
from schemas.files.jsonl import Row
from schemas.records import Document, Question

MAX_ID_CHARS = 512
_MIN_LIKENESS = 0.6  # of an id in a hint: difflib's ratio, 0 to 1
_MAX_COMPARED = 50_000  # pairs of ids that are compared for hints: a few seconds at most


def check_ids(
    path: Path, rows: Sequence[Row[Question]] | Sequence[Row[Document]], suffix: str, *, made: str
) -> None:
    """Raise InputError where an id is too long for `suffix`, which makes `made` ids of it."""
    longest = MAX_ID_CHARS - len(suffix)
    faults = [
        Fault(
            path=str(path),
            line=row.line,
            message=f"'id' has {len(row.record.id)} characters, but {longest} are allowed here: "
            f"{made} ids are made of it",
        )
        for row in rows
        if len(row.record.id) > longest
    ]
    if faults:
        raise InputError(faults)


def check_documents(
    path: Path,
    rows: Sequence[Row[Question]],
    documents: Sequence[Document],
    *,
    source: Path,
    chosen: str,
) -> list[str]:
    """Notes on questions of `path` whose responses could not be judged because no document is
    found.

    `documents` are those of `source`; `chosen` is the setting annotate.find_documents. Raises
    InputError for every question that names a document that does not exist.
    """
    known = {item.id for item in documents}
    unknown = [(row, name) for row in rows for name in row.record.document_ids if name not in known]
    if unknown:
        num_hints = min(MAX_FAULTS_SHOWN, _MAX_COMPARED // max(len(known), 1))
        hints = [_nearest_id(name, known) for _, name in unknown[:num_hints]]
        hints += [""] * (len(unknown) - len(hints))
        raise InputError(
            [
                Fault(
                    path=str(path),
                    line=row.line,
                    message=f"question {row.record.id!r} names document {name!r}, which is not in "
                    f"{source}{hint}",
                )
                for (row, name), hint in zip(unknown, hints, strict=True)
            ]
        )
    topics = {item.topic for item in documents if item.topic}
    without = [row for row in rows if not _has_document(row.record, topics, chosen)]
    if not without:
        return []
    first = without[0]
    return [
        f"{len(without):,} of {len(rows):,} questions have no document in {source}, such as "
        f"{first.record.id!r} ({path}:{first.line}); annotate will leave the sentences of their "
        "responses undetermined (no_document). A question names its documents in document_ids, or "
        "has the topic of one"
    ]


def _has_document(question: Question, topics: Set[str], chosen: str) -> bool:
    """Whether `annotate` would find a document for the responses to `question`."""
    if chosen == "corpus":
        return True
    if question.document_ids and chosen != "topic":
        return True
    return chosen != "ids" and question.topic in topics


def _nearest_id(name: str, known: Set[str]) -> str:
    """A hint for an unknown id; empty where none is near."""
    found = get_close_matches(name, sorted(known), n=1, cutoff=_MIN_LIKENESS)
    return f"; did you mean {found[0]!r}?" if found else ""


def check_output(output: Path, source: Path, store: Path, *, what: str) -> None:
    """Raise ConfigError when `output` cannot become a file; `source` is the file of `what`."""
    if store.resolve() in (output.resolve(), source.resolve()):
        raise ConfigError(f"store {str(store)!r} is also the output or the {what} file")
    if output.is_dir():
        raise ConfigError(f"output {str(output)!r} is a folder; name a file in it")
    if output.exists() and source.exists() and output.samefile(source):
        raise ConfigError(f"output {str(output)!r} is the {what} file; name another file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output {str(output)!r} cannot be made: {error.strerror}") from None
