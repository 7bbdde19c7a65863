"""Single rows of an index: sentences, responses, documents, read where they are needed.

The rule: texts are not in the index; they are read from the files at the places that it holds. A
number that the index does not have, however large, is a KeyError.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import RLock

from maskdpo.desk.model import Row
from schemas.labels import Label
from schemas.records import Annotation, Document

_KEPT_DOCUMENTS = 64
_MAX_NUMBER = 2**63 - 1  # of SQLite
OF_RESPONSE = (
    "FROM responses JOIN sentences ON sentences.id >= first AND sentences.id < first + count"
    " WHERE responses.n = ? ORDER BY sentences.id"
)
_ROW = "sentences.id, sentences.n, number, start, end, label, reason, confidence"


class Rows:
    """The rows of an open index file; thread-safe."""

    def __init__(
        self, connection: sqlite3.Connection, annotations: Path, documents: Path | None
    ) -> None:
        self._run = connection.execute
        self._annotations = annotations
        self._documents = documents
        self._lock = RLock()
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def row(self, sentence: int) -> Row:
        """A row. Raises KeyError where there is none."""
        with self._lock:
            return self._rows([sentence])[0]

    def rows_of(self, response: int) -> list[Row]:
        """The sentences of a response, in order. Raises KeyError where there is none."""
        with self._lock:
            rows = self._run(f"SELECT {_ROW} {OF_RESPONSE}", (_known(response),))
            found = [_row(values) for values in rows]
        if not found:
            raise KeyError(response)
        return found

    def _rows(self, sentences: Sequence[int]) -> list[Row]:
        marks = ", ".join("?" * len(sentences))
        query = f"SELECT {_ROW} FROM sentences WHERE id IN ({marks})"
        found = {
            values[0]: _row(values) for values in self._run(query, tuple(map(_known, sentences)))
        }
        return [found[one] for one in sentences]

    def response_of(self, response_id: str) -> int | None:
        """The number under which the response with this id is shown; None where there is none."""
        with self._lock:
            found = self._run("SELECT n FROM copies WHERE id = ?", (response_id,)).fetchone()
        return None if found is None else int(found[0])

    def id_of(self, response: int) -> str:
        """The id of a response. Raises KeyError where there is none of this number."""
        with self._lock:
            found = self._run("SELECT id FROM responses WHERE n = ?", (response,)).fetchone()
        if found is None:
            raise KeyError(response)
        return str(found[0])

    def annotation(self, response: int) -> Annotation:
        """A response from the file. Raises KeyError where there is none of this number."""
        with self._lock:
            place = self._run(
                "SELECT offset, length FROM responses WHERE n = ?", (response,)
            ).fetchone()
        if place is None:
            raise KeyError(response)
        return Annotation.model_validate_json(_read(self._annotations, *place))

    def copies(self, response: int) -> list[str]:
        """The ids of this response and of all that are equal to it."""
        with self._lock:
            rows = self._run("SELECT id FROM copies WHERE n = ? ORDER BY id", (response,))
            return [name for (name,) in rows]

    def document(self, name: str) -> Document | None:
        """A document; None where the file has none of this id."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
            place = self._run(
                "SELECT offset, length FROM documents WHERE id = ?", (name,)
            ).fetchone()
        if place is None or self._documents is None:
            return None
        document = Document.model_validate_json(_read(self._documents, *place))
        with self._lock:
            self._kept[name] = document
            if len(self._kept) > _KEPT_DOCUMENTS:
                self._kept.popitem(last=False)
        return document


def _known(number: int) -> int:
    """A number that the database can look for. Raises KeyError for a larger one."""
    if abs(number) > _MAX_NUMBER:
        raise KeyError(number)
    return number


def _row(values: tuple[int, int, int, int, int, str, str, float | None]) -> Row:
    name, response, number, start, end, label, reason, confidence = values
    return Row(
        id=name,
        response=response,
        number=number,
        start=start,
        end=end,
        label=Label(label),
        reason=reason,
        confidence=confidence,
    )


def _read(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as handle:
        handle.seek(offset)
        return handle.read(length).removeprefix(b"\xef\xbb\xbf")
