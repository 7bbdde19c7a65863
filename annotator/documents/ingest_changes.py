"""How a new reading of a folder changed the documents that an earlier one wrote.

The rule: an offset is valid only for the text it was made for. When `ingest` overwrites its earlier
output, every document whose text is no longer the same is named, with the cause as far as it is
known: the file, or the way files are read.

`READER_VERSION` is raised with every change of a reader that can change the text of a document.
It is written into the sidecar, with a hash per file, which separates the two causes.

| version | what changed                                                                          |
|---------|---------------------------------------------------------------------------------------|
| 1       | the first; its sidecars do not name a version                                         |
| 2       | raised and lowered marks, list numbers, columns and running headers of PDFs, Markdown |
|         | with comparison signs, control characters, front matter of text files, docx           |
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.document_versions import CHANGED, EARLIER, read_history
from schemas.files.jsonl import read_lines
from schemas.files.sidecar import describe_file, read_sidecar_values

READER_VERSION = 2
_FIRST_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """An earlier output of `ingest`, by document id.

    sha256            of the whole file
    reader_version    the version that its sidecar names
    texts             SHA-256 of each document's text, as hexadecimal digits
    files             SHA-256 of the file each was read from; empty where the sidecar has none
    history           what earlier runs replaced, oldest first
    """

    sha256: str
    reader_version: int
    texts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Ids of documents whose text differs from the earlier one, by cause; and those now missing.

    by_reader    the file is the same: a reader, a setting or a package changed
    by_file      the file changed
    unknown      the earlier sidecar has no hash of the file, so both are possible
    gone         in the earlier output only
    """

    by_reader: list[str] = field(default_factory=list)
    by_file: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def with_other_text(self) -> list[str]:
        """Ids of the documents whose offsets no longer fit, sorted."""
        return sorted([*self.by_reader, *self.by_file, *self.unknown])


def hash_text(text: str) -> str:
    """SHA-256 of a document's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_earlier(output: Path) -> Earlier | None:
    """The documents in `output` now; None when there is no such file or it holds no documents.

    A line that is not a document is skipped: the file is about to be replaced in any case.
    """
    if not output.is_file():
        return None
    texts: dict[str, str] = {}
    for _, line in read_lines(output):
        try:
            row = json.loads(line)
            texts[row["id"]] = hash_text(row["text"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
    if not texts:
        return None
    values = read_sidecar_values(output)
    version, files = values.get("reader_version"), values.get("files")
    return Earlier(
        sha256=describe_file(output)["sha256"],
        reader_version=version if isinstance(version, int) else _FIRST_VERSION,
        texts=texts,
        files=files if isinstance(files, dict) else {},
        history=read_history(output),
    )


def find_changes(
    earlier: Earlier, *, texts: Mapping[str, str], files: Mapping[str, str]
) -> Changes:
    """Compare an earlier output with the hashes of the new texts and of their files."""
    changes = Changes(gone=sorted(earlier.texts.keys() - texts.keys()))
    for identifier, text in texts.items():
        if earlier.texts.get(identifier, text) == text:
            continue
        before = earlier.files.get(identifier)
        if before is None:
            changes.unknown.append(identifier)
        elif before == files[identifier]:
            changes.by_reader.append(identifier)
        else:
            changes.by_file.append(identifier)
    return changes


def extend_history(earlier: Earlier, changes: Changes, *, sha256: str) -> list[Mapping[str, Any]]:
    """The sidecar's entry `history` once the output has the hash `sha256`.

    A run that wrote the same bytes adds nothing; one that only added documents adds an entry
    without ids, so that the hash of what it replaced stays known.
    """
    if earlier.sha256 == sha256:
        return [*earlier.history]
    entry = {EARLIER: earlier.sha256, "earlier_reader_version": earlier.reader_version}
    return [*earlier.history, {**entry, **{name: getattr(changes, name) for name in CHANGED}}]
