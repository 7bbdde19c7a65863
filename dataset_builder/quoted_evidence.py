"""The words of evidence, where the document's licence permits that they are published.

The rule: ids and offsets are always written; text is written when the document itself gives a
licence and that licence is on the list. A document without a licence, one that is missing, one
whose text changed since it was annotated, and a place outside of its text are not quoted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from schemas.errors import Fault, InputError
from schemas.files.jsonl import scan_rows
from schemas.records import Document, Evidence

CACHED_DOCUMENTS = 64  # a question's sentences rest on few documents, one after the other
DescribeEvidence = Callable[[Evidence], dict[str, Any]]


class Quotes:
    """Documents that may be quoted, in the build's scratch database: memory holds a few of them."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        licenses: Iterable[str],
        *,
        stale: Collection[str] = (),
    ) -> None:
        """`stale`: ids of documents whose text changed since the evidence was located."""
        self._connection = connection
        self._stale = stale
        self._licenses = frozenset(map(normalise_license, licenses))
        connection.execute("CREATE TABLE quotable (id TEXT PRIMARY KEY, license TEXT, text TEXT)")
        self._find = lru_cache(maxsize=CACHED_DOCUMENTS)(self._read)

    def add_all(self, path: Path) -> None:
        """Take in the documents of a file; raises InputError with every fault in it."""
        faults: list[Fault] = []
        for row in scan_rows(path, Document):
            if isinstance(row, Fault):
                faults.append(row)
            elif normalise_license(row.record.license) in self._licenses:
                faults += self._add(row.record, path, row.line)
        if faults:
            raise InputError(faults)

    def describe(self, evidence: Evidence) -> dict[str, Any]:
        """The place of the evidence, with its `text` and `license`, null where not quoted."""
        license_id, text = self._find(evidence.document_id)
        if evidence.document_id in self._stale:
            text = None
        is_inside = text is not None and evidence.start < evidence.end <= len(text)
        quote = text[evidence.start : evidence.end] if text is not None and is_inside else None
        return {
            **evidence.model_dump(),
            "text": quote,
            "license": license_id if quote is not None else None,
        }

    def _add(self, document: Document, path: Path, line: int) -> list[Fault]:
        known = self._read(document.id)[1]
        if known is not None and known != document.text:
            message = f"document id {document.id!r} was used before for another text"
            return [Fault(path=str(path), line=line, message=message)]
        self._connection.execute(
            "INSERT OR REPLACE INTO quotable VALUES (?, ?, ?)",
            (document.id, normalise_license(document.license), document.text),
        )
        return []

    def _read(self, document_id: str) -> tuple[str | None, str | None]:
        query = "SELECT license, text FROM quotable WHERE id = ?"
        found: tuple[str, str] | None = self._connection.execute(query, (document_id,)).fetchone()
        return found or (None, None)


def describe_place(evidence: Evidence) -> dict[str, Any]:
    """The place of the evidence without its text."""
    return {**evidence.model_dump(), "text": None, "license": None}


def normalise_license(name: str) -> str:
    """'CC BY-SA 4.0' and 'cc-by-sa-4.0' are one licence.

    >>> normalise_license("CC BY-SA 4.0")
    'cc-by-sa-4.0'
    """
    return "-".join(name.lower().replace("_", "-").split())
