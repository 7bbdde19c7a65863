"""Rows of tables made elsewhere: Parquet, Arrow, JSON Lines and JSON files, one after the other.

The rule: values are what the file holds. A text that looks like a date stays a text, a null stays
a null, and an invalid row is a ValueError with the reason. A file is read in batches, except a
JSON array, and nothing in it is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.files.columnar import (
    COLUMNAR,
    arrow_batches,
    arrow_schema,
    plain_rows,
    readable,
    scan_batches,
)
from schemas.files.jsonl import read_lines
from schemas.files.sidecar import describe_file

SUFFIXES = (*COLUMNAR, ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of one split of a data set.

    name     for messages: data set and split, such as `org/name/train`
    folder   where the data set is on this machine
    files    the split's files in reading order
    origin   where they come from, for sidecars: data set, commit, configuration, split
    """

    name: str
    folder: Path
    files: Sequence[Path]
    origin: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[int, object]]:
        """Rows with their numbers, which count from 1 over all files of the split."""
        number = 0
        for path in self.files:
            for _, values in scan_values(path, name=self.label(path)):
                number += 1
                yield number, values

    def label(self, path: Path) -> str:
        """The name of one of the files, without a folder of this machine."""
        data_set = self.origin.get("dataset") or self.folder.name
        return f"{data_set}/{path.relative_to(self.folder).as_posix()}"

    def describe(self) -> dict[str, dict[str, Any]]:
        """Hash, size and origin of each file, as the inputs of a sidecar."""
        return {self.label(path): {**describe_file(path), **self.origin} for path in self.files}

    def require(self, columns: Sequence[str], *, what: str, advice: str = "") -> None:
        """Raise InputError, before any row is read, where the split lacks columns for `what`."""
        for path in self.files:
            require_columns(path, columns, what=what, advice=advice, name=self.label(path))


def require_columns(
    path: Path, columns: Sequence[str], *, what: str, advice: str = "", name: str = ""
) -> None:
    """Raise InputError where a file lacks columns for `what`; of JSON, its first row."""
    found = column_names(path, name=name)
    missing = [column for column in columns if column not in found]
    if missing and (found or path.suffix in COLUMNAR):
        message = (
            f"has no column {_listed(missing)}; {what} need {_listed(columns)}, and it "
            f"has {_listed(found)}{advice}"
        )
        raise InputError.of(name or path, message)


def count_rows(path: Path, *, name: str = "") -> int:
    """How many rows `scan_values` would give, counted without reading them, save a JSON array."""
    if path.suffix in COLUMNAR:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with readable(path, name=name):
            if path.suffix == ".parquet":
                return int(pq.read_metadata(path).num_rows)
            with pa.memory_map(str(path)) as source:
                return sum(batch.num_rows for batch in arrow_batches(source))
    if is_array(path, name=name):
        return sum(1 for _ in scan_values(path, name=name))
    return sum(1 for _ in read_lines(path))


def scan_values(path: Path, *, name: str = "") -> Iterator[tuple[int, object]]:
    """Rows as plain values, with their numbers from 1: lines of JSON Lines, else rows.

    Raises InputError, which calls the file `name`, for one that cannot be read.
    """
    if path.suffix in COLUMNAR:
        number = 0
        for batch in scan_batches(path, name=name):
            for values in plain_rows(batch, path, name=name):
                number += 1
                yield number, values
        return
    if is_array(path, name=name):
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise InputError.of(name or path, f"not valid JSON: {error}") from None
        yield from enumerate(values, start=1)
        return
    for line, text in read_lines(path):
        try:
            yield line, json.loads(text)
        except (ValueError, RecursionError) as error:
            yield line, ValueError(f"not valid JSON: {error}")


def column_names(path: Path, *, name: str = "") -> list[str]:
    """The columns of a file; of JSON, the keys of its first row, where that is an object."""
    if path.suffix in COLUMNAR:
        return list(arrow_schema(path, name=name).names)
    _, first = next(scan_values(path, name=name), (0, None))
    return [str(key) for key in first] if isinstance(first, dict) else []


def is_array(path: Path, *, name: str = "") -> bool:
    """Whether a .json file holds one JSON array; other .json files hold JSON Lines."""
    if path.suffix != ".json":
        return False
    try:
        with path.open("rb") as handle:
            return handle.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    except OSError as error:
        raise InputError.of(name or path, f"cannot be read: {error.strerror or error}") from None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
