"""Where the rows of a file of pairs are, so that any row is read without the rows before it.

The rule: a file is read once from its start to its end; after that a row costs one seek (JSON
Lines), one row group (Parquet) or one batch in mapped memory (Arrow), however long the file is.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import InputError
from schemas.files import columnar, tables
from schemas.files.jsonl import read_places

ROW_GROUPS_KEPT = 3
_BATCH = 512


class Places(Protocol):
    """The rows of one file: all of them once, and each of them at any time."""

    def scan(self) -> Iterator[object]:
        """The values of all rows in order; a row that cannot be read is a ValueError."""

    def read(self, index: int) -> object:
        """The values of row `index`, from 0."""

    def close(self) -> None:
        """Release the file."""


def open_places(path: Path, *, name: str = "") -> Places:
    """The rows of a file by its suffix; raises InputError for one that cannot be read."""
    if path.suffix == ".parquet":
        return ParquetPlaces(path, name=name)
    if path.suffix == ".arrow":
        return ArrowPlaces(path, name=name)
    if tables.is_array(path, name=name):
        return ArrayPlaces(path, name=name)
    return LinePlaces(path)


class LinePlaces:
    """JSON Lines: the byte at which each row begins, and its length."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("q")
        self._sizes = array("q")

    def scan(self) -> Iterator[object]:
        """All rows; remembers where they are."""
        del self._starts[:], self._sizes[:]
        for _, start, text in read_places(self._path):
            self._starts.append(start)
            self._sizes.append(len(text))
            yield _parse(text)

    def read(self, index: int) -> object:
        """One row."""
        try:
            with self._path.open("rb") as handle:
                handle.seek(self._starts[index])
                return _parse(handle.read(self._sizes[index]))
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise InputError.of(self._path, message) from None

    def close(self) -> None:
        """Nothing is open."""


class ParquetPlaces:
    """Parquet: the row groups; the last ones that were used stay in memory."""

    def __init__(self, path: Path, *, name: str = "") -> None:
        import pyarrow.parquet as pq

        self._path, self._name = path, name
        with columnar.readable(path, name=name):
            self._file = pq.ParquetFile(path)
            metadata = self._file.metadata
            counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._ends = _ends(counts)
        self._group: Callable[[int], Any] = lru_cache(maxsize=ROW_GROUPS_KEPT)(self._read_group)

    def scan(self) -> Iterator[object]:
        """All rows."""
        for _, values in tables.scan_values(self._path, name=self._name):
            yield values

    def read(self, index: int) -> object:
        """One row."""
        group = bisect_right(self._ends, index)
        first = self._ends[group - 1] if group else 0
        with columnar.readable(self._path, name=self._name):
            row = self._group(group).slice(index - first, 1)
        return columnar.plain_rows(row, self._path, name=self._name)[0]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_group(self, number: int) -> Any:
        return self._file.read_row_group(number)


class ArrowPlaces:
    """Arrow: batches in mapped memory, of either layout."""

    def __init__(self, path: Path, *, name: str = "") -> None:
        import pyarrow as pa

        self._path, self._name = path, name
        with columnar.readable(path, name=name):
            self._source = pa.memory_map(str(path))
            self._batches = list(columnar.arrow_batches(self._source))
        self._ends = _ends([batch.num_rows for batch in self._batches])

    def scan(self) -> Iterator[object]:
        """All rows."""
        for batch in self._batches:
            for start in range(0, batch.num_rows, _BATCH):
                part = batch.slice(start, _BATCH)
                yield from columnar.plain_rows(part, self._path, name=self._name)

    def read(self, index: int) -> object:
        """One row."""
        number = bisect_right(self._ends, index)
        first = self._ends[number - 1] if number else 0
        row = self._batches[number].slice(index - first, 1)
        return columnar.plain_rows(row, self._path, name=self._name)[0]

    def close(self) -> None:
        """Unmap the file."""
        self._batches = []
        self._source.close()


class ArrayPlaces:
    """A JSON array: all rows in memory, as nothing less can be read of it."""

    def __init__(self, path: Path, *, name: str = "") -> None:
        self._rows = [values for _, values in tables.scan_values(path, name=name)]

    def scan(self) -> Iterator[object]:
        """All rows."""
        return iter(self._rows)

    def read(self, index: int) -> object:
        """One row."""
        return self._rows[index]

    def close(self) -> None:
        """Nothing is open."""


def _ends(counts: list[int]) -> list[int]:
    """The index after the last row of each part."""
    ends: list[int] = []
    for count in counts:
        ends.append((ends[-1] if ends else 0) + count)
    return ends


def _parse(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return ValueError(f"not valid JSON: {error}")
