"""Typed JSONL files: every fault named by file, line and field; every write is all or nothing.

Reading rules, the same for every stage:

- lines end at "\n" only (U+2028 inside a string is text), blank lines are skipped;
- a wrong row is a `Fault`; `read_records` collects all of them before it raises, so that a user
  corrects a file once;
- the torn-tail rule: a last line without its newline that is not valid JSON was not written
  completely. It gives a warning and counts as "not done", never as a fault and never as a row;
- a sidecar from a newer major format version, or of another stage, is refused;
- a file whose name ends with .parquet is read in the same way: row N is line N
  (`schemas.files.parquet_lines`).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import Fault, InputError
from schemas.files.other_formats import advise_on_format, encoding_faults
from schemas.files.parquet_lines import fault_of_columns, is_parquet, read_parquet_lines
from schemas.files.sidecar import check_sidecar
from schemas.files.writing import atomic_writer
from schemas.validation import describe_errors

RecordT = TypeVar("RecordT", bound=BaseModel)


TORN_TAIL = (
    "the last line is cut off and is left out; rerun the command that wrote the file to get the "
    "row back"
)


class _Named(BaseModel):
    id: str


class TornTailWarning(UserWarning):
    """The last line of a file was not written completely, and is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row(Generic[RecordT]):
    """A record with its line number (from 1)."""

    line: int
    record: RecordT


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacedRow(Row[RecordT]):
    """A row with its first byte in the file and its number of bytes."""

    start: int
    size: int


def read_records(path: str | Path, model: type[RecordT]) -> list[RecordT]:
    """All records of a file, or an InputError with every fault in it.

    An empty file, a missing file and a duplicate `id` are faults. The order is that of the file.
    """
    return [row.record for row in read_rows(path, model)]


def read_rows(path: str | Path, model: type[RecordT]) -> list[Row[RecordT]]:
    """`read_records`, with line numbers for later messages."""
    path = Path(path)
    check_sidecar(path, model.__name__)
    rows: list[Row[RecordT]] = []
    faults: list[Fault] = []
    first_line_of: dict[str, int] = {}
    for item in scan_rows(path, model):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        identifier = getattr(item.record, "id", None)
        if identifier is not None and identifier in first_line_of:
            first = first_line_of[identifier]
            faults.append(duplicate_fault(path, item.line, identifier, first))
            continue
        if identifier is not None:
            first_line_of[identifier] = item.line
        rows.append(item)
    if faults:
        raise InputError(faults)
    if not rows:
        raise InputError.of(path, f"holds no rows; it should hold one {model.__name__} per line")
    return rows


def scan_rows(path: str | Path, model: type[RecordT]) -> Iterator[Row[RecordT] | Fault]:
    """Rows and faults in file order, streamed; for callers that keep good rows next to bad ones."""
    path = Path(path)
    if is_parquet(path):
        yield from _scan_parquet(path, model)
        return
    for item in scan_places(path, model):
        yield item if isinstance(item, Fault) else Row(line=item.line, record=item.record)


def _scan_parquet(path: Path, model: type[RecordT]) -> Iterator[Row[RecordT] | Fault]:
    if fault := fault_of_columns(path, model):
        yield Fault(path=str(path), line=None, message=fault)
        return
    for line, text in read_parquet_lines(path):
        try:
            yield Row(line=line, record=model.model_validate_json(text))
        except ValidationError as error:
            for message in describe_errors(error, model):
                yield Fault(path=str(path), line=line, message=message)


def scan_places(path: str | Path, model: type[RecordT]) -> Iterator[PlacedRow[RecordT] | Fault]:
    """`scan_rows` of JSON Lines, with the place of each row, for callers that seek to it later."""
    path = Path(path)
    is_first = True
    for line, start, text in read_places(path):
        try:
            record = model.model_validate_json(text)
            yield PlacedRow(line=line, record=record, start=start, size=len(text))
        except ValidationError as error:
            if is_first and (advice := advise_on_format(path, text)):
                yield Fault(path=str(path), line=line, message=advice)
                return  # every line would have the same fault
            for message in encoding_faults(text) or describe_errors(error, model):
                yield Fault(path=str(path), line=line, message=message)
        is_first = False


def duplicate_fault(path: Path, line: int, identifier: str, first_line: int) -> Fault:
    """The fault of a row whose id an earlier row of the file has."""
    message = (
        f"duplicate id {identifier!r}, first used on line {first_line}; "
        "ids must be unique in a file"
    )
    return Fault(path=str(path), line=line, message=message)


def read_ids(path: str | Path) -> Iterator[str]:
    """The ids of a file's rows, streamed.

    A row without an id is skipped, and reported where the file is read in full.
    """
    for _, text in read_lines(path):
        with suppress(ValidationError):
            yield _Named.model_validate_json(text).id


def read_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """Non-blank lines with their numbers; a torn last line is left out with a warning.

    Of Parquet, the rows as JSON.
    """
    if is_parquet(Path(path)):
        return read_parquet_lines(Path(path))
    return ((line, text) for line, _, text in read_places(path))


def read_places(path: str | Path) -> Iterator[tuple[int, int, bytes]]:
    """`read_lines`, with the byte at which each line begins, for callers that seek to it later."""
    path = Path(path)
    try:
        handle = path.open("rb")
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    end = 0
    with handle:
        for line, raw in enumerate(handle, start=1):
            end += len(raw)
            text = raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw
            if not text.strip():
                continue
            if not raw.endswith(b"\n") and not is_json(text):
                warnings.warn(f"{path}:{line}: {TORN_TAIL}", TornTailWarning, stacklevel=2)
                return
            yield line, end - len(text), text


def write_records(path: str | Path, records: Iterable[BaseModel]) -> int:
    """Write one record per line, atomically; returns the number of rows.

    Raises OSError where the file cannot be written; an earlier file at `path` is then unchanged.
    """
    count = 0
    with atomic_writer(path) as handle:
        for record in records:
            handle.write(record.model_dump_json() + "\n")
            count += 1
    return count


def is_json(text: bytes) -> bool:
    """Whether a line is valid JSON: a last line that is not was not written completely."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: nested deeper than any valid row
        return False
    return True
