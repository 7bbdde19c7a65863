"""The lines of the files of many parts, read side by side in small memory.

The rule: a line is passed on as it is, byte for byte, and a file is compared with the hash that its
run recorded when the last line has been read. No file stays open between two reads, so there may be
more parts than the system allows open files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.errors import InputError

_MEMORY = 64 << 20  # bytes, for all files together
_LEAST, _MOST = 16 << 10, 1 << 20  # bytes of a block


class _Named(BaseModel):
    id: str


def block_size(num_files: int) -> int:
    """Bytes to read at once of each of that many files."""
    return min(max(_MEMORY // max(num_files, 1), _LEAST), _MOST)


class PartLines:
    """The lines of one file, in order; `name` is the id of the next one, "" at the end.

    `written` is the hash and size that the file must have; a file that is missing has no lines, and
    must have none. `again` says what to do where it is damaged.
    """

    def __init__(
        self, path: Path, written: Mapping[str, Any] | None, *, block: int, again: str
    ) -> None:
        self.path = path
        self.name = ""
        self.num_taken = 0
        self._written = written
        self._again = again
        self._block = block
        self._digest = hashlib.sha256()
        self._offset = 0
        self._buffer = b""
        self._start = 0  # of the next line in the buffer
        self._line = b""
        self._is_missing = not path.is_file()
        self._step()

    def take(self) -> bytes:
        """The next line, with its newline; only while `name` is not ""."""
        line = self._line
        self.num_taken += 1
        self._step()
        return line

    def _step(self) -> None:
        while (end := self._buffer.find(b"\n", self._start)) < 0:
            if not self._fill():
                break
        self._line = self._buffer[self._start : end + 1] if end >= 0 else b""
        self._start += len(self._line)
        if self._line:
            self.name = self._read_name()
            return
        self.name = ""
        if self._buffer[self._start :].strip():
            self._refuse("ends with a line that was not written completely", self.num_taken + 1)
        self._check_hash()

    def _fill(self) -> bool:
        """Read one more block; False at the end of the file."""
        if self._is_missing:
            return False
        with self.path.open("rb") as handle:
            handle.seek(self._offset)
            block = handle.read(self._block)
        self._digest.update(block)
        self._offset += len(block)
        self._buffer = self._buffer[self._start :] + block
        self._start = 0
        return bool(block)

    def _read_name(self) -> str:
        try:
            return _Named.model_validate_json(self._line).id
        except ValidationError:
            self._refuse("is not a row with an id", self.num_taken + 1)
            raise

    def _check_hash(self) -> None:
        if self._written is None:
            return
        if self._is_missing:
            self._refuse("is missing", None)
        if self._digest.hexdigest() != self._written.get("sha256"):
            self._refuse("was changed after its run wrote it (its hash differs)", None)

    def _refuse(self, what: str, line: int | None) -> None:
        raise InputError.of(self.path, f"{what}; {self._again}", line=line) from None
