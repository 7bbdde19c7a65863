"""What a file or folder holds that can be shown, and its rows one after another.

The rule: rows are streamed, and a row that cannot be read is a `Fault` next to the others. What a
file holds is decided by its sidecar, else by the keys of its first row that is a JSON object; what
cannot be shown is refused with one sentence that names what can, and the command that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any

from schemas.errors import Fault, InputError
from schemas.files.jsonl import read_lines, scan_rows
from schemas.files.other_formats import advise_on_format
from schemas.files.sidecar import FORMAT_PREFIX, check_sidecar, read_sidecar_values
from schemas.files.tables import plain_rows
from schemas.files.writing import is_special_file
from schemas.records import Annotation, Pair, Response

SHOWN = (
    "annotations (annotations.jsonl), responses (responses.jsonl), pairs (.jsonl or .parquet) and "
    "data set folders"
)
_STAGE_FILES = ("annotations.jsonl", "dataset", "responses.jsonl")
_BATCH_ROWS = 500
_MAX_BROKEN_ROWS = 20  # read at the start of a file for one that decides its kind


class Kind(StrEnum):
    """What the rows of a source are."""

    ANNOTATIONS = "annotations"
    RESPONSES = "responses"
    PAIRS = "pairs"


# What else a first row may be, by keys that only such rows have: its name, and what to do.
_OTHER_ROWS: Sequence[tuple[frozenset[str], str]] = (
    (
        frozenset({"response", "sentences"}),
        "labels of people in their own format; convert them with: maskdpo import {path} "
        "--output annotations.jsonl --documents-output documents.jsonl",
    ),
    (frozenset({"stage", "reason"}), "rows that failed, with the reason of each; read it as text"),
    (frozenset({"response_id", "action"}), "reviews of people; show the annotations"),
    (frozenset({"messages"}), "questions; show the responses that maskdpo sample makes of them"),
    (frozenset({"question"}), "questions; show the responses that maskdpo sample makes of them"),
    (frozenset({"text"}), "documents; they are shown next to annotations, with --documents {path}"),
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file or folder whose rows can be shown; `files` with the split of each ('' for none)."""

    path: Path
    kind: Kind
    files: Sequence[tuple[Path, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A row with its place in its file, from 1; `split` of a data set, '' elsewhere."""

    record: Annotation | Response | Pair
    row: int
    split: str = ""


def find_source(path: Path, *, split: str = "") -> Source:
    """What is at `path`. Raises InputError with what can be shown, where this cannot.

    split   of a data set folder: show this one alone
    """
    if not path.exists():
        raise InputError.of(path, f"not found; it can be: {SHOWN}")
    if path.is_dir():
        return _find_dataset(path, split)
    if is_special_file(path):
        raise InputError.of(path, "is a device or a pipe, and what is shown must be a file")
    if split:
        raise InputError.of(path, f"is a file; --split {split} is for data set folders")
    kind = Kind.PAIRS if path.suffix == ".parquet" else _kind_of_rows(path)
    if kind is not Kind.PAIRS:
        check_sidecar(path, "Annotation" if kind is Kind.ANNOTATIONS else "Response")
    return Source(path=path, kind=kind, files=[(path, "")])


def count_rows(source: Source) -> int:
    """How many rows there are, good or bad, counted without reading them as records."""
    return sum(_count(path) for path, _ in source.files)


def read_source(source: Source) -> Iterator[Shown | Fault]:
    """The rows of a source in their order, and a Fault for each that cannot be read."""
    for path, split in source.files:
        if source.kind is Kind.PAIRS:
            yield from (_with_split(item, split) for item in _read_pairs(path))
            continue
        model = Annotation if source.kind is Kind.ANNOTATIONS else Response
        for item in scan_rows(path, model):
            yield item if isinstance(item, Fault) else Shown(record=item.record, row=item.line)


def _with_split(item: Shown | Fault, split: str) -> Shown | Fault:
    return item if isinstance(item, Fault) else replace(item, split=split)


def _find_dataset(folder: Path, split: str) -> Source:
    from trainer.data import find_pair_files

    stages = [name for name in _STAGE_FILES if (folder / name).exists()]
    if stages and not (folder / "manifest.json").exists():
        listed = ", ".join(str(folder / name) for name in stages)
        raise InputError.of(folder, f"is the folder of a run; name what to show in it: {listed}")
    found = find_pair_files(folder)
    files = [(path, "train") for path in found.train] + [(path, "test") for path in found.test]
    chosen = [(path, name) for path, name in files if split in ("", name)]
    if not chosen:
        raise InputError.of(folder, f"has no rows of the split {split!r}; it has: train")
    return Source(path=folder, kind=Kind.PAIRS, files=chosen)


def _kind_of_rows(path: Path) -> Kind:
    known = {
        f"{FORMAT_PREFIX}annotation": Kind.ANNOTATIONS,
        f"{FORMAT_PREFIX}response": Kind.RESPONSES,
    }
    by_sidecar = known.get(str(read_sidecar_values(path).get("format")))
    if by_sidecar is not None:
        return by_sidecar
    lines = list(islice(read_lines(path), _MAX_BROKEN_ROWS))
    if not lines:
        raise InputError.of(path, f"holds no rows; it can be: {SHOWN}")
    advice = advise_on_format(path, lines[0][1])
    for line, text in [] if advice else lines:
        if (row := _object_of(text)) is not None:
            return _kind_of_row(path, row, line)
    line = lines[0][0]
    advice = advice or "its first lines are not JSON objects"
    raise InputError.of(path, f"{advice}. It can be: {SHOWN}", line=line)


def _object_of(text: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _kind_of_row(path: Path, row: Mapping[str, Any], line: int) -> Kind:
    if {"chosen", "rejected"} <= row.keys():
        return Kind.PAIRS
    if {"text", "sentences"} <= row.keys():
        return Kind.ANNOTATIONS
    if {"text", "question_id"} <= row.keys():
        return Kind.RESPONSES
    what = next((words for keys, words in _OTHER_ROWS if keys <= row.keys()), None)
    if what is None:
        keys = ", ".join(map(repr, sorted(row)[:8])) or "none"
        message = f"cannot be shown: the first row has the keys {keys}. It can be: {SHOWN}"
        raise InputError.of(path, message, line=line)
    raise InputError.of(path, f"holds {what.format(path=path)}", line=line)


def _count(path: Path) -> int:
    if path.suffix == ".parquet":
        with _parquet(path) as file:
            return int(file.metadata.num_rows)
    try:
        with path.open("rb") as handle:
            return sum(1 for line in handle if line.strip())
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None


def _read_pairs(path: Path) -> Iterator[Shown | Fault]:
    from trainer.data import parse_pair

    for row, values in _read_values(path):
        given = values.get("id") if isinstance(values, dict) else None
        identifier = given if isinstance(given, str) and given else f"{path.name}:{row}"
        try:
            if isinstance(values, ValueError):
                raise values
            yield Shown(record=parse_pair(values, identifier), row=row)
        except (ValueError, RecursionError) as error:
            yield Fault(path=str(path), line=row, message=str(error))


def _read_values(path: Path) -> Iterator[tuple[int, object]]:
    """Rows as plain values; an invalid row is a ValueError with the reason."""
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    for line, text in read_lines(path):
        try:
            yield line, json.loads(text)
        except (ValueError, RecursionError) as error:
            yield line, ValueError(f"not valid JSON: {error}")


def _read_parquet(path: Path) -> Iterator[tuple[int, object]]:
    import pyarrow as pa

    with _parquet(path) as file:
        names = file.schema_arrow.names
        if not {"chosen", "rejected"} <= set(names):
            hint = "; show the annotations it was built from" if "response_id" in names else ""
            message = f"holds no pairs: it has the columns {', '.join(names)}{hint}"
            raise InputError.of(path, message)
        row = 0
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for values in plain_rows(batch, path):
                    row += 1
                    yield row, values
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from None


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError.of(path, f"cannot be read as Parquet: {reason}")
