"""The files of the input's rows: cut into parts, scanned part by part, and read row by row.

The rule: a row is the JSON text of one record, whatever the format of its file, and a place that a
scan gives is read again later as the same text. So the builder checks the rows of all formats in
the same way, and several processes can scan the parts of one file.

Parquet is read once, in the order of the file, and its rows are copied as lines of JSON to the
scratch folder, which then needs as much room as the same rows as JSON Lines. The second reading is
in the order of questions: without the copy, nearly every row would decode a whole row group again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from schemas.errors import InputError
from schemas.files.jsonl import is_json
from schemas.files.parquet_lines import fault_of_columns, is_parquet, read_parquet_lines
from schemas.records import Annotation

PART_BYTES = 4 << 20
MAX_OPEN_FILES = 64
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """Where a row is in its file.

    line     for messages, from 1: of the file or, from `scan`, of its part
    start    where `read` begins, as the format counts: a byte of JSONL
    size     length of the row there
    """

    line: int
    start: int
    size: int


class Part(NamedTuple):
    """Some rows of a file in a row, [start, end) as the format counts: bytes of JSONL."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannedPart:
    """The rows of one part.

    rows         each with its place, whose `line` counts from 1 in the part
    num_lines    of the part, also those without a row
    torn_line    the line of a last row that was not written completely, which is not in `rows`
    """

    rows: Sequence[tuple[Place, bytes]]
    num_lines: int
    torn_line: int | None = None


class RowFile(Protocol):
    """One file of rows. Methods raise InputError for a file that cannot be read at all."""

    path: Path

    def parts(self) -> Iterable[Part]:
        """The parts that, in order, are the whole file; each fits in memory many times."""

    def scan(self, part: Part) -> ScannedPart:
        """The rows of a part, in the order of the file."""

    def read(self, place: Place) -> bytes:
        """The JSON text of one row, as `scan` gave it."""

    def close(self) -> None:
        """Close the file; a later `read` opens it again."""


class JsonLinesFile:
    """A file with one row per line (schemas/files/jsonl.py has the rules for lines)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: IO[bytes] | None = None

    def parts(self) -> Sequence[Part]:
        """Parts of about PART_BYTES, cut at the ends of lines."""
        handle = self._open()
        size = handle.seek(0, 2)
        cuts = [0]
        while cuts[-1] + PART_BYTES < size:
            handle.seek(cuts[-1] + PART_BYTES)
            handle.readline()
            cuts.append(handle.tell())
        ends = [*cuts[1:], size]
        return [Part(start, end) for start, end in zip(cuts, ends, strict=True) if start < end]

    def scan(self, part: Part) -> ScannedPart:
        """The non-blank lines of a part."""
        handle = self._open()
        handle.seek(part.start)
        lines = handle.read(part.end - part.start).split(b"\n")
        last = lines.pop()  # b"" after the part's last newline
        rows: list[tuple[Place, bytes]] = []
        start = part.start
        for number, raw in enumerate(lines, start=1):
            text = raw + b"\n"
            end = start + len(text)
            if start == 0:
                text = text.removeprefix(_BYTE_ORDER_MARK)
            if not text.isspace():
                rows.append((Place(number, end - len(text), len(text)), text))
            start = end
        if not last:
            return ScannedPart(rows=rows, num_lines=len(lines))
        text = last.removeprefix(_BYTE_ORDER_MARK) if start == 0 else last
        number = len(lines) + 1
        is_torn = bool(text.strip()) and not is_json(text)
        if text.strip() and not is_torn:
            rows.append((Place(number, start + len(last) - len(text), len(text)), text))
        return ScannedPart(rows=rows, num_lines=number, torn_line=number if is_torn else None)

    def read(self, place: Place) -> bytes:
        """The line at a place, without a byte order mark."""
        handle = self._open()
        handle.seek(place.start)
        return handle.read(place.size)

    def close(self) -> None:
        """Close the file; a later `read` opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def _open(self) -> IO[bytes]:
        if self._handle is None:
            try:
                self._handle = self.path.open("rb")
            except OSError as error:
                message = f"cannot be read: {error.strerror or error}"
                raise InputError.of(self.path, message) from None
        return self._handle


class ParquetFile:
    """A file of Parquet, whose rows `parts` copies: line N of the copy is row N.

    `scan` and `read` take the parts that were given so far, in any process, from the copy.
    """

    def __init__(self, path: Path, copy: Path) -> None:
        self.path = path
        self._lines = JsonLinesFile(copy)

    def parts(self) -> Iterator[Part]:
        """Parts of about PART_BYTES of the copy; each is given when it is on disk."""
        fault = fault_of_columns(self.path, Annotation)
        if fault:
            raise InputError.of(self.path, fault)
        start = end = 0
        with self._lines.path.open("wb") as copy:
            for _, text in read_parquet_lines(self.path):
                end += copy.write(text + b"\n")
                if end - start >= PART_BYTES:
                    copy.flush()
                    yield Part(start, end)
                    start = end
        if start < end:
            yield Part(start, end)

    def scan(self, part: Part) -> ScannedPart:
        """The rows of a part."""
        return self._lines.scan(part)

    def read(self, place: Place) -> bytes:
        """The row at a place."""
        return self._lines.read(place)

    def close(self) -> None:
        """Close the copy; a later `read` opens it again."""
        self._lines.close()


class RowFiles:
    """The input's files by number; at most MAX_OPEN_FILES are open.

    scratch   a folder for copies, the same one in each process; the caller removes it
    """

    def __init__(self, paths: Sequence[Path], scratch: Path) -> None:
        self.files: Sequence[RowFile] = [
            open_rows(path, scratch / f"rows-{number}.jsonl") for number, path in enumerate(paths)
        ]
        self._used: OrderedDict[int, RowFile] = OrderedDict()

    def __getitem__(self, number: int) -> RowFile:
        """A file, to be used before the next one is taken."""
        file = self._used.pop(number, None) or self.files[number]
        self._used[number] = file  # the last used stays longest
        if len(self._used) > MAX_OPEN_FILES:
            self._used.popitem(last=False)[1].close()
        return file

    def close(self) -> None:
        """Close all files."""
        for file in self._used.values():
            file.close()
        self._used.clear()


def open_rows(path: Path, copy: Path) -> RowFile:
    """The reader of a file, by the end of its name; `copy` is where it may copy its rows."""
    return ParquetFile(path, copy) if is_parquet(path) else JsonLinesFile(path)
