"""The file of reviews while people work: one decision is appended at a time, by several processes.

The rule: a review counts as written only after it is on the disk. What others append is read from
where the last read ended, never from the start, and existing rows are never written again. A file
that was replaced or shortened (`forget`, an editor) is read again and reported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import IO

from pydantic import ValidationError

from formats.reviews.log import Logged, duplicate_id, locked
from schemas.errors import Fault
from schemas.files.appending import append_lines, cut_off_end, cut_off_path, move_cut_off_end
from schemas.files.sidecar import (
    FORMAT_PREFIX,
    FORMAT_VERSIONS,
    check_sidecar,
    make_sidecar,
    read_sidecar_values,
    sidecar_path,
    write_sidecar,
)
from schemas.files.writing import write_json
from schemas.reviews import Review, again
from schemas.validation import describe_errors

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """What is new in the file since the last read.

    rows         in the order of the file, each with its line and the byte at which it begins
    faults       rows that are not valid reviews; a build refuses the file until they are corrected
    is_replaced  the file is not the one of the last read, or was shortened: `rows` are all of it
    """

    rows: Sequence[Logged] = ()
    faults: Sequence[Fault] = ()
    is_replaced: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What `Journal.append` did.

    entry      the review as it is in the file; its id is another one where the same decision was
               made and withdrawn at the same time
    is_known   the decision was in the file already, and was not repeated
    news       what others wrote since the last read; read before `entry`, which is not in it
    message    a sentence for the user where a line that was cut off was moved aside, else ""
    """

    entry: Logged
    is_known: bool
    news: News
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a read ended: the file, the byte, the lines before it, and the last of them."""

    device: int = -1
    inode: int = -1
    end: int = 0
    lines: int = 0
    last: bytes = b""


class Journal:
    """The reviews in `path`, which need not exist; for several threads.

    The first `read_new` returns all rows. Raises InputError where the file's sidecar says that it
    holds something else, or a newer format.
    """

    def __init__(self, path: Path) -> None:
        check_sidecar(path, Review.__name__)
        self.path = path
        self._lock = RLock()
        self._forget()

    def read_new(self) -> News:
        """The rows written since the last call, also by others; a row that is being written is left
        for the next call."""
        with self._lock:
            return self._read()

    def append(self, review: Review) -> Written:
        """Write a review; returns when it is on the disk.

        Raises InputError when another process keeps the lock, and OSError where it cannot be
        written; nothing of it is then in the file.
        """
        with self._lock, locked(self.path):
            message = self._mend()
            news = self._read()
            if review.id in self._first and review.id not in self._withdrawn:
                known = self._entry_at(*self._first[review.id])
                return Written(entry=known, is_known=True, news=news, message=message)
            fresh = again(review, self._first)
            self._describe()
            append_lines(self.path, [fresh.model_dump_json()])
            (entry,) = self._read().rows
            return Written(entry=entry, is_known=False, news=news, message=message)

    def mend(self) -> str:
        """Move a last line that was cut off (a power cut) to `NAME.cut-off`; a sentence on it."""
        with self._lock, locked(self.path):
            return self._mend()

    def _mend(self) -> str:
        if cut_off_end(self.path):
            num_bytes = move_cut_off_end(self.path)
            return (
                f"the last line of {self.path} was cut off, so the decision in it is not complete; "
                f"its {num_bytes:,} bytes were moved to {cut_off_path(self.path)}"
            )
        if self.path.exists() and self._has_open_end():
            append_lines(self.path, [])
        return ""

    def _has_open_end(self) -> bool:
        with self.path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(size - 1, 0))
            return handle.read(1) not in (b"", b"\n")

    def _forget(self) -> None:
        self._place = _Place()
        self._first: dict[str, tuple[int, int]] = {}  # line and byte of each id
        self._withdrawn: set[str] = set()

    def _read(self) -> News:
        """Read on from the last place; from the start where the file is another one."""
        try:
            handle = self.path.open("rb")
        except FileNotFoundError:
            was_there = self._place.inode >= 0
            self._forget()
            return News(is_replaced=was_there)
        with handle:
            status = os.fstat(handle.fileno())
            found = (status.st_dev, status.st_ino)
            is_replaced = self._place.inode >= 0 and not self._goes_on(handle, found)
            if is_replaced:
                self._forget()
            handle.seek(self._place.end)
            data = handle.read()
        rows, faults = self._take(data[: data.rfind(b"\n") + 1], found)
        return News(rows=rows, faults=faults, is_replaced=is_replaced)

    def _goes_on(self, handle: IO[bytes], found: tuple[int, int]) -> bool:
        """Whether the file still ends, up to the last place, with the row that was read last."""
        place = self._place
        handle.seek(place.end - len(place.last))
        return found == (place.device, place.inode) and handle.read(len(place.last)) == place.last

    def _take(self, data: bytes, found: tuple[int, int]) -> tuple[list[Logged], list[Fault]]:
        """The reviews in whole lines from the last place on, which moves behind them."""
        rows: list[Logged] = []
        faults: list[Fault] = []
        line, offset, last = self._place.lines, self._place.end, self._place.last
        for last in _lines(data):
            line += 1
            text = last.removeprefix(_BOM) if line == 1 else last
            item = self._read_row(line, offset, text) if text.strip() else None
            if isinstance(item, Logged):
                rows.append(item)
            faults += item if isinstance(item, list) else []
            offset += len(last)
        self._place = _Place(device=found[0], inode=found[1], end=offset, lines=line, last=last)
        return rows, faults

    def _read_row(self, line: int, offset: int, text: bytes) -> Logged | list[Fault] | None:
        """A review, or what is wrong with it; None for one that is in the file already."""
        try:
            review = Review.model_validate_json(text)
        except ValidationError as error:
            return [
                Fault(path=str(self.path), line=line, message=message)
                for message in describe_errors(error, Review)
            ]
        first_line, first_offset = self._first.setdefault(review.id, (line, offset))
        if first_offset == offset:
            if review.withdraws is not None:
                self._withdrawn.add(review.withdraws)
            return Logged(line=line, review=review, offset=offset)
        if self._entry_at(first_line, first_offset).review == review:
            return None
        message = duplicate_id(review.id, first_line)
        return [Fault(path=str(self.path), line=line, message=message)]

    def _entry_at(self, line: int, offset: int) -> Logged:
        with self.path.open("rb") as handle:
            handle.seek(offset)
            text = handle.readline().removeprefix(_BOM)
        return Logged(line=line, review=Review.model_validate_json(text), offset=offset)

    def _describe(self) -> None:
        """A sidecar with this version of the format, as `import` of a sheet writes it."""
        values = read_sidecar_values(self.path)
        name, version = f"{FORMAT_PREFIX}review", ".".join(map(str, FORMAT_VERSIONS["review"]))
        if not sidecar_path(self.path).exists():
            write_sidecar(self.path, make_sidecar("review", config={}, inputs={}))
        elif values.get("format") == name and values.get("version") != version:
            write_json(sidecar_path(self.path), {**values, "version": version})


def _lines(data: bytes) -> list[bytes]:
    """Lines that end at "\n" only, each with its end."""
    return [text + b"\n" for text in data.split(b"\n")[:-1]]
