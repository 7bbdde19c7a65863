"""The documents of what is shown: which file they are in, and those that are needed of it.

The rule: a documents file that was not named is taken only where it is next to the file that is
shown or in the run, and one that differs from the file that the judge read is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas.errors import Fault
from schemas.files.jsonl import scan_rows
from schemas.files.sidecar import describe_file, read_sidecar_values
from schemas.records import Annotation, Document, Pair, Response
from schemas.text.counted import count_of

NAME = "documents.jsonl"


@dataclass(frozen=True, kw_only=True)
class Library:
    """Documents by id; `path` is None where no file was found. `notes` for the reader."""

    documents: dict[str, Document] = field(default_factory=dict)
    path: Path | None = None
    notes: Sequence[str] = ()


def find_library(
    shown: Path,
    records: Sequence[Annotation | Response | Pair],
    *,
    given: Path | None = None,
    of_run: Path | None = None,
) -> Library:
    """The documents that `records` name, of the file `given`, else of the one that is found.

    shown    the file that holds the records
    of_run   the run's documents, which need not exist
    """
    wanted = set(document_ids(records))
    if not wanted:
        return Library()
    path, notes = (given, []) if given is not None else locate_documents(shown, of_run)
    if path is None:
        return Library(
            notes=[
                f"no {NAME} was found next to {shown}, so evidence is shown without its words; "
                "name the file with --documents FILE"
            ]
        )
    documents, num_bad = _read(path, wanted)
    if num_bad:
        notes.append(f"{path}: rows that are not documents, left out: {num_bad:,}")
    if missing := len(wanted) - len(documents):
        notes.append(f"{path} lacks {missing:,} of {count_of(len(wanted), 'document')}")
    return Library(documents=documents, path=path, notes=notes)


def locate_documents(shown: Path, of_run: Path | None) -> tuple[Path | None, list[str]]:
    """The documents that the judge read for the file `shown`, and a note where they changed."""
    known = _hash_of_input(shown)
    path = _find(shown, of_run, known)
    if path is None or not known or describe_file(path)["sha256"] == known:
        return path, []
    return path, [f"{path} has changed since {shown.name} was made; evidence may not fit"]


def document_ids(records: Sequence[Annotation | Response | Pair]) -> list[str]:
    """The documents that records name, each once: first those that verdicts cite."""
    cited = [
        item.document_id
        for record in records
        if isinstance(record, Annotation)
        for sentence in record.sentences
        for item in sentence.verdict.evidence
    ]
    given = [
        name for record in records if isinstance(record, Response) for name in record.document_ids
    ]
    return list(dict.fromkeys([*cited, *given]))


def _find(shown: Path, of_run: Path | None, known: str) -> Path | None:
    """The file that the judge read, by its hash; else the first that is there."""
    there = [path for path in (shown.parent / NAME, of_run) if path is not None and path.is_file()]
    if len(there) > 1 and known:
        same = [path for path in there if describe_file(path)["sha256"] == known]
        there = [*same, *there]
    return there[0] if there else None


def _hash_of_input(shown: Path) -> str:
    inputs = read_sidecar_values(shown).get("inputs")
    entry = inputs.get(NAME) if isinstance(inputs, dict) else None
    return str(entry.get("sha256", "")) if isinstance(entry, dict) else ""


def _read(path: Path, wanted: Collection[str]) -> tuple[dict[str, Document], int]:
    """The wanted documents of a file, streamed, and the number of rows that are not documents."""
    found: dict[str, Document] = {}
    bad: set[int | None] = set()  # a row may have several faults
    for item in scan_rows(path, Document):
        if isinstance(item, Fault):
            bad.add(item.line)
        elif item.record.id in wanted:
            found.setdefault(item.record.id, item.record)
    return found, len(bad)
