"""The rows of a new job, checked line by line while they come, and written to its folder.

The rule: nothing is kept of an upload with a fault, and every fault is named with its line, up to
twenty. Memory holds one line and the ids.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from annotator.service.jobs.job import DOCUMENTS, RESPONSES, UPLOAD
from formats.forgotten import Forgotten
from schemas.errors import MAX_FAULTS_SHOWN, Fault, InputError
from schemas.files.jsonl import read_lines
from schemas.files.other_formats import encoding_faults
from schemas.files.sidecar import check_sidecar
from schemas.records import Document, Response
from schemas.secret_values import hide_keys
from schemas.validation import describe_errors

MAX_LINE_BYTES = 16_000_000
_BOM = b"\xef\xbb\xbf"


class TooLargeError(Exception):
    """An upload is longer than allowed; its text is a sentence."""


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """The most bytes of an upload, and the most responses (and documents) of a job."""

    max_bytes: int
    max_rows: int


class _Rows:
    """A file that is written row by row; `ids` are those of its rows, with their lines."""

    def __init__(self, path: Path, model: type[BaseModel], *, max_rows: int) -> None:
        self._handle = path.open("wb")
        self._model = model
        self._max_rows = max_rows
        self.ids: dict[str, int] = {}

    def add(self, line: int, text: bytes) -> list[str]:
        """Check a row and write it; returns its faults."""
        try:
            record = self._model.model_validate_json(text)
        except ValidationError as error:
            return encoding_faults(text) or describe_errors(error, self._model)
        name: str = record.id  # type: ignore[attr-defined]
        if name in self.ids:
            return [
                f"duplicate id {hide_keys(name)!r}, first used on line {self.ids[name]}; ids must "
                "be unique"
            ]
        if len(self.ids) == self._max_rows:
            raise TooLargeError(
                f"line {line}: a job may have at most {self._max_rows:,} rows of one kind "
                "(serve.max_job_rows); split it into several jobs"
            )
        self.ids[name] = line
        self._handle.write(text.strip(b"\r\n") + b"\n")
        return []

    def sync(self) -> None:
        """Have the rows on the disk when this returns."""
        self._handle.flush()
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Write what is buffered, and close the file."""
        self._handle.close()


class NewRows:
    """The responses and documents of a new job, in `folder`. Close it in any case.

    digest   SHA-256 of the lines of an upload
    """

    def __init__(self, folder: Path, *, limits: UploadLimits, forgotten: Forgotten) -> None:
        self.folder = folder
        self._limits = limits
        self._forgotten = forgotten
        self._responses = _Rows(folder / RESPONSES, Response, max_rows=limits.max_rows)
        self._documents = _Rows(folder / DOCUMENTS, Document, max_rows=limits.max_rows)
        self._hash = hashlib.sha256()
        self._faults: list[Fault] = []

    @property
    def num_responses(self) -> int:
        """Responses so far."""
        return len(self._responses.ids)

    @property
    def num_documents(self) -> int:
        """Documents so far."""
        return len(self._documents.ids)

    @property
    def digest(self) -> str:
        """The uploaded lines, as a hash."""
        return self._hash.hexdigest()

    def add_line(self, line: int, text: bytes) -> None:
        """One line of an upload: a response, or `{"document": {...}}`."""
        self._hash.update(text + b"\n")
        try:
            document = _document_in(text)
        except _GivenTwiceError:
            self._note(UPLOAD, line, ["key 'document' is given twice; send one document per line"])
            return
        if document is None:
            self._add_response(UPLOAD, line, text)
        else:
            self._note(UPLOAD, line, self._documents.add(line, document))

    def add_files(self, responses: Path | None, documents: Path | None) -> None:
        """The rows of files of the run, as they are now."""
        if responses is not None:
            check_sidecar(responses, Response.__name__)
            for line, text in read_lines(responses):
                self._add_response(responses.name, line, text)
        if documents is not None:
            check_sidecar(documents, Document.__name__)
            for line, text in read_lines(documents):
                self._note(documents.name, line, self._documents.add(line, text))

    def _add_response(self, place: str, line: int, text: bytes) -> None:
        before = self.num_responses
        faults = self._responses.add(line, text)
        if self.num_responses > before and self._forgotten.knows_responses:
            name = next(reversed(self._responses.ids))
            if self._forgotten.has_response(name):
                faults = ["this response was forgotten (maskdpo forget) and must not come back"]
        self._note(place, line, faults)

    def _note(self, place: str, line: int, messages: list[str]) -> None:
        self._faults += [Fault(path=place, line=line, message=item) for item in messages]
        if len(self._faults) >= MAX_FAULTS_SHOWN:
            raise InputError(self._faults[:MAX_FAULTS_SHOWN])

    def sync(self) -> None:
        """Have the rows on the disk: a job that was accepted survives a power cut."""
        self._responses.sync()
        self._documents.sync()

    def check(self) -> None:
        """Raise InputError where a line was wrong, or where there is no response."""
        if self._faults:
            raise InputError(self._faults)
        if not self.num_responses:
            raise InputError.of(UPLOAD, "holds no response; send one response per line")

    def close(self) -> None:
        """Close the files, and remove that of the documents where there are none."""
        self._responses.close()
        self._documents.close()
        if not self.num_documents:
            (self.folder / DOCUMENTS).unlink(missing_ok=True)


class LineReader:
    """Cuts a stream of bytes into lines, and passes each to `take` with its number."""

    def __init__(self, take: Callable[[int, bytes], None], *, max_bytes: int) -> None:
        self._take = take
        self._max_bytes = max_bytes
        self._rest = b""
        self._num_bytes = 0
        self._line = 0

    def write(self, chunk: bytes) -> None:
        """More bytes. Raises TooLargeError, and what `take` raises."""
        self._num_bytes += len(chunk)
        if self._num_bytes > self._max_bytes:
            raise TooLargeError(
                f"the upload is longer than {self._max_bytes:,} bytes (serve.max_upload_bytes); "
                "split it into several jobs"
            )
        *lines, self._rest = (
            (self._rest + chunk).split(b"\n") if b"\n" in chunk else [self._rest + chunk]
        )
        for text in lines:
            self._pass_on(text)
        if len(self._rest) > MAX_LINE_BYTES:
            raise TooLargeError(
                f"line {self._line + 1} is longer than {MAX_LINE_BYTES:,} bytes; a line is one row"
            )

    def end(self) -> None:
        """No more bytes: the last line may have no line break."""
        if self._rest:
            self._pass_on(self._rest)
            self._rest = b""

    def _pass_on(self, text: bytes) -> None:
        self._line += 1
        if self._line == 1:
            text = text.removeprefix(_BOM)
        if text.strip():
            self._take(self._line, text)


class _GivenTwiceError(Exception):
    """A line has two documents, of which a parser would keep the last one."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if sum(key == "document" for key, _ in pairs) > 1:
        raise _GivenTwiceError
    return dict(pairs)


def _document_in(text: bytes) -> bytes | None:
    """The document of a line `{"document": {...}}`, as JSON; None for any other line.

    Raises _GivenTwiceError.
    """
    if b'"document"' not in text:
        return None
    try:
        values: Any = json.loads(text, object_pairs_hook=_object)
        if not isinstance(values, dict) or list(values) != ["document"]:
            return None
        return json.dumps(values["document"], ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None  # reported as a response that cannot be read
