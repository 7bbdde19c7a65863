"""The rows of a JSONL file that belong to one part of a run, read without reading the others.

The rule: a file is checked as a whole before any part of it is used. One pass validates every row,
finds duplicate ids, and notes where the rows of each part are; a part is then read by seeking, with
the line numbers of the file.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from schemas.errors import Fault, InputError
from schemas.files.jsonl import Row, duplicate_fault, read_lines, read_rows, scan_places
from schemas.files.own_files import seal
from schemas.files.shard import Shard, number_of
from schemas.files.sidecar import Sidecar, check_sidecar, describe_files

RecordT = TypeVar("RecordT", bound=BaseModel)
_CHANGED = "changed after the command began; run the command again"


@dataclass(frozen=True, kw_only=True)
class InputPart:
    """The rows of part `shard` of the file `path`, in the order of the file.

    lines, starts, sizes   the line number (from 1), first byte and number of bytes of each row
    state                  size and time of the last change (ns) of the file when it was cut
    described              hash and size of the run's input files (`describe_files`), where the
                           caller computed them for all parts; None: each run computes its own
    """

    path: Path
    shard: Shard
    lines: array[int] = field(default_factory=lambda: array("Q"))
    starts: array[int] = field(default_factory=lambda: array("Q"))
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    state: tuple[int, int] = (0, 0)
    described: Mapping[str, Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.lines)

    def add(self, line: int, start: int, size: int) -> None:
        """One more row, behind the others."""
        self.lines.append(line)
        self.starts.append(start)
        self.sizes.append(size)

    def describe(self, paths: Sequence[Path]) -> Mapping[str, Mapping[str, Any]]:
        """Hash and size of the run's input files `paths`, computed at most once for all parts."""
        return describe_files(paths) if self.described is None else self.described

    def read(self, model: type[RecordT]) -> Iterator[Row[RecordT]]:
        """The rows. Raises InputError where the file changed since it was cut."""
        if _state_of(self.path) != self.state:
            raise InputError.of(self.path, _CHANGED)
        with self.path.open("rb") as handle:
            for line, start, size in zip(self.lines, self.starts, self.sizes, strict=True):
                handle.seek(start)
                try:
                    yield Row(line=line, record=model.model_validate_json(handle.read(size)))
                except ValidationError:
                    raise InputError.of(self.path, _CHANGED, line=line) from None


def cut_rows(
    path: str | Path,
    model: type[RecordT],
    *,
    key: Callable[[RecordT], str],
    count: int,
    wanted: Collection[int] | None = None,
) -> list[InputPart]:
    """The `count` parts of a file (those numbered in `wanted`, from 1, if given).

    `key` gives the id that decides the part of a row. Raises InputError with every fault of the
    file, as `read_rows` does; a part may be empty, the file may not.
    """
    path = Path(path)
    check_sidecar(path, model.__name__)
    state = _state_of(path)
    numbers = sorted(wanted) if wanted is not None else range(1, count + 1)
    parts = {
        number: InputPart(path=path, shard=Shard(index=number, count=count), state=state)
        for number in numbers
    }
    faults: list[Fault] = []
    seen = _SeenIds()
    for item in scan_places(path, model):
        if isinstance(item, Fault):
            faults.append(item)
            continue
        seen.add(_id_of(item))
        if (part := parts.get(number_of(key(item.record), count))) is not None:
            part.add(item.line, item.start, item.size)
    faults.extend(seen.faults(path, model))
    if faults:
        raise InputError(sorted(faults, key=lambda fault: fault.line or 0))
    if not len(seen):
        raise InputError.of(path, f"holds no rows; it should hold one {model.__name__} per line")
    return list(parts.values())


def describe_source(path: Path, part: InputPart | None) -> Mapping[str, Mapping[str, Any]]:
    """Hash and size of the input `path`, or of `part` of it; {} where it is missing."""
    if part is not None:
        return part.describe([path])
    return describe_files([path]) if path.is_file() else {}


def read_source(path: Path, model: type[RecordT], part: InputPart | None) -> Sequence[Row[RecordT]]:
    """All rows of a file, or those of `part` of it; InputError as `read_rows` raises it."""
    return read_rows(path, model) if part is None else list(part.read(model))


def name_part(sidecar: Sidecar, part: InputPart | None, files: Iterable[Path]) -> Sidecar:
    """The sidecar of an output that covers only `part` of the input, with the part's number and the
    hashes of the output's `files`; the sidecar itself for an output without parts."""
    if part is None:
        return sidecar
    return seal(
        sidecar.model_copy(update={"shard": str(part.shard)}),
        [path for path in files if path.is_file()],
    )


def count_rows(path: Path) -> int:
    """The number of rows of a file, unchecked. Raises InputError where it cannot be read."""
    return sum(1 for _ in read_lines(path))


def _state_of(path: Path) -> tuple[int, int]:
    """Size and time of the last change (ns); zeros where the file cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


class _SeenIds:
    """Finds ids that occur twice, at 8 bytes per row."""

    def __init__(self) -> None:
        self._digests = array("Q")

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, identifier: str) -> None:
        """One more row has this id."""
        digest = hashlib.blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8)
        self._digests.append(int.from_bytes(digest.digest(), "little"))

    def faults(self, path: Path, model: type[BaseModel]) -> Iterator[Fault]:
        """A fault for each row whose id an earlier row has; the file is read again for them."""
        import numpy as np

        if len(np.unique(np.frombuffer(self._digests, dtype=np.uint64))) == len(self):
            return
        first_line_of: dict[str, int] = {}
        for item in scan_places(path, model):
            if isinstance(item, Fault):
                continue
            first = first_line_of.setdefault(_id_of(item), item.line)
            if first != item.line:
                yield duplicate_fault(path, item.line, _id_of(item), first)


def _id_of(row: Row[RecordT]) -> str:
    return getattr(row.record, "id", str(row.line))
