"""The text of evidence, if the document's licence permits publication.

The rule: ids and offsets are always written; text is written only when the document has a licence
and that licence is on the list. There is no quote from a document without a licence, a missing
document, a document whose text changed after the annotation, or with offsets outside the text.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path

from dataset_builder.reading.scratch import Scratch
from schemas.errors import Fault, InputError
from schemas.files.jsonl import scan_rows
from schemas.records import Document, Evidence

CACHED_DOCUMENTS = 64  # the sentences of a question cite few documents, one after the other
Quotable = tuple[str | None, str | None]  # licence and text of a document
Quoted = tuple[str | None, str | None]  # text and licence of evidence
NOT_QUOTED: Quoted = (None, None)


class Quotes:
    """Documents that may be quoted, in the build's scratch database; memory holds only a few."""

    def __init__(
        self,
        scratch: Scratch,
        licenses: Iterable[str],
        *,
        stale: Collection[str] = (),
    ) -> None:
        """`stale`: ids of documents whose text changed since the evidence was located."""
        self._scratch = scratch
        self._stale = stale
        self._licenses = frozenset(map(normalise_license, licenses))
        self._cached: OrderedDict[str, Quotable] = OrderedDict()
        scratch.execute("CREATE TABLE quotable (id TEXT PRIMARY KEY, license TEXT, text TEXT)")

    def add_all(self, path: Path) -> None:
        """Add the documents of a file. Raises InputError with every fault in it."""
        faults: list[Fault] = []
        for row in scan_rows(path, Document):
            if isinstance(row, Fault):
                faults.append(row)
            elif normalise_license(row.record.license) in self._licenses:
                faults += self._add(row.record, path, row.line)
        if faults:
            raise InputError(faults)

    def quote(self, evidence: Evidence) -> Quoted:
        """The text of the evidence and its licence; (None, None) if it must not be quoted."""
        if evidence.document_id in self._stale:
            return NOT_QUOTED
        license_id, text = self._find(evidence.document_id)
        if text is None or not evidence.start < evidence.end <= len(text):
            return NOT_QUOTED
        return text[evidence.start : evidence.end], license_id

    def _add(self, document: Document, path: Path, line: int) -> list[Fault]:
        known = self._read(document.id)[1]
        if known is not None and known != document.text:
            message = f"document id {document.id!r} was used before for another text"
            return [Fault(path=str(path), line=line, message=message)]
        self._scratch.execute(
            "INSERT OR REPLACE INTO quotable VALUES (?, ?, ?)",
            (document.id, normalise_license(document.license), document.text),
        )
        return []

    def _find(self, document_id: str) -> Quotable:
        """`_read`, without a query for one of the last documents."""
        found = self._cached.pop(document_id, None) or self._read(document_id)
        self._cached[document_id] = found
        if len(self._cached) > CACHED_DOCUMENTS:
            self._cached.popitem(last=False)
        return found

    def _read(self, document_id: str) -> Quotable:
        query = "SELECT license, text FROM quotable WHERE id = ?"
        found: tuple[str, str] | None = self._scratch.execute(query, (document_id,)).fetchone()
        return found or (None, None)


def quote_nothing(_: Evidence) -> Quoted:
    """The evidence of a build without documents."""
    return NOT_QUOTED


def normalise_license(name: str) -> str:
    """'CC BY-SA 4.0' and 'cc-by-sa-4.0' are the same licence.

    >>> normalise_license("CC BY-SA 4.0")
    'cc-by-sa-4.0'
    """
    return "-".join(name.lower().replace("_", "-").split())
