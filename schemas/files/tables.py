"""Rows of tables made elsewhere: Parquet, Arrow, JSON Lines and JSON files, one after the other.

The rule: values are what the file holds. A text that looks like a date stays a text, a null stays
a null, and an invalid row is a ValueError with the reason. A file is read in batches, except a
JSON array, and nothing in it is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import InputError
from schemas.files.jsonl import read_lines
from schemas.files.sidecar import describe_file

COLUMNAR = (".parquet", ".arrow")
SUFFIXES = (*COLUMNAR, ".jsonl", ".ndjson", ".json")
ROWS_A_BATCH = 1_024


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


def scan_batches(
    path: Path, *, name: str = "", columns: Sequence[str] | None = None
) -> Iterator[Any]:
    """Record batches of a Parquet or Arrow file, all columns or some."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(path, name=name):
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=ROWS_A_BATCH, columns=columns)
            return
        with pa.memory_map(str(path)) as source:
            for batch in arrow_batches(source):
                chosen = batch if columns is None else batch.select(columns)
                for start in range(0, chosen.num_rows, ROWS_A_BATCH):
                    yield chosen.slice(start, ROWS_A_BATCH)


def plain_rows(batch: Any, path: Path, *, name: str = "") -> list[Any]:
    """The rows of a batch as plain values.

    Checked first: in a damaged file, an offset may point outside the memory, and a text may not be
    UTF-8. Raises InputError.
    """
    import pyarrow as pa

    with readable(path, name=name):
        batch.validate(full=True)
        try:
            return batch.to_pylist()  # type: ignore[no-any-return]
        except (ValueError, OverflowError) as error:  # a time that Python cannot hold
            raise pa.ArrowInvalid(str(error)) from None


def arrow_schema(path: Path, *, name: str = "") -> Any:
    """The Arrow schema of a Parquet or Arrow file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(path, name=name):
        if path.suffix == ".parquet":
            return pq.read_schema(path)
        with pa.memory_map(str(path)) as source:
            return _open_arrow(source).schema


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


def arrow_batches(source: Any) -> Iterator[Any]:
    """The batches of an open Arrow file, in order."""
    reader = _open_arrow(source)
    if hasattr(reader, "num_record_batches"):
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        yield from reader


def _open_arrow(source: Any) -> Any:
    """A reader of either layout: a stream, as `save_to_disk` writes it, or a file."""
    from pyarrow import ipc

    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return ipc.open_file(source) if is_file else ipc.open_stream(source)


@contextmanager
def readable(path: Path, *, name: str = "") -> Iterator[None]:
    """Raise InputError for a Parquet or Arrow file that cannot be read, with its reason."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "Arrow"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError.of(name or path, f"cannot be read as {kind}: {reason}") from None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
