"""Puts the rows of the parts of a run into the order of the run's input.

The rule: a part has its rows in the order of the input, and the id of an input row says which part
has it. So the input is read once, and of each part only the next row is looked at: memory does not
grow with the rows. Every input row must be found, written or failed, and nothing may be left over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from annotator.scale.part_files import PartFile
from annotator.scale.part_rows import PartLines, block_size
from schemas.errors import Fault, InputError
from schemas.files.jsonl import read_lines
from schemas.files.shard import number_of
from schemas.stage import failures_path

_SHOWN = 5  # rows that are missing, in an error
_QUESTION_NUMBER = re.compile(r"-q[0-9]+")  # behind the id of a question's document


class _Response(BaseModel):
    id: str
    question_id: str


class _Named(BaseModel):
    id: str


@dataclass(kw_only=True)
class MergedRows:
    """What was merged: rows written, rows failed, and rows that no part has (`maskdpo forget`)."""

    num_rows: int = 0
    num_failed: int = 0
    num_absent: int = 0
    absent: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """What an input row became: rows with these ids, or (None) any number of its questions.

    key   decides the part
    """

    key: str
    name: str
    ids: Sequence[str] | None


class RowMerger:
    """The rows of `parts` in the order of the file `source`.

    Raises InputError for a damaged part, and at the end for rows that are missing or left over.
    """

    def __init__(self, parts: Sequence[PartFile], source: Path) -> None:
        self._parts = parts
        self._source = source
        self._kind = parts[0].kind
        block = block_size(2 * len(parts))
        self._rows = [_lines(part, part.path, block) for part in parts]
        self._failed = [_lines(part, failures_path(part.path), block) for part in parts]
        self.merged = MergedRows()

    def run(
        self, write: Callable[[bytes], object], write_failed: Callable[[bytes], object]
    ) -> Iterator[int]:
        """Pass each row and each failed row on, in order; yields 1 for each input row."""
        merged = self.merged
        for line, wanted in self._input():
            place = number_of(wanted.key, len(self._parts)) - 1
            rows, failed = self._rows[place], self._failed[place]
            if wanted.ids is None:
                found = self._take_questions(wanted.name, rows, write)
                merged.num_rows += found
                ids: Sequence[str] = () if found else (wanted.name,)
            else:
                ids = wanted.ids
            for name in ids:
                if name == rows.name and wanted.ids is not None:
                    write(rows.take())
                    merged.num_rows += 1
                elif name == failed.name:
                    write_failed(failed.take())
                    merged.num_failed += 1
                else:
                    self._note_absent(line, name, self._parts[place])
            yield 1
        self._check_end()

    def _input(self) -> Iterator[tuple[int, _Wanted]]:
        want = _WANTED[self._kind]
        config = self._parts[0].sidecar.get("config", {})
        for line, text in read_lines(self._source):
            try:
                yield line, want(text, config)
            except ValidationError:
                message = f"is not a row of the input of {self._parts[0].command}"
                raise InputError.of(self._source, message, line=line) from None

    def _take_questions(
        self, document: str, rows: PartLines, write: Callable[[bytes], object]
    ) -> int:
        count = 0
        while rows.name.startswith(document) and _QUESTION_NUMBER.fullmatch(
            rows.name, len(document)
        ):
            write(rows.take())
            count += 1
        return count

    def _note_absent(self, line: int, name: str, part: PartFile) -> None:
        self.merged.num_absent += 1
        if len(self.merged.absent) < _SHOWN:
            message = (
                f"{name!r} is neither a row nor a failed row of {part.path}; run this part again: "
                f"{part.command} --shard {part.shard}"
            )
            self.merged.absent.append(Fault(path=str(self._source), line=line, message=message))

    def _check_end(self) -> None:
        """Raise InputError where rows are missing or left over."""
        merged = self.merged
        num_forgotten = sum(part.counts.get("forgotten", 0) for part in self._parts)
        if merged.num_absent != num_forgotten:
            more = merged.num_absent - len(merged.absent)
            where = f"{len(self._parts):,} parts of {self._source}"
            rest = [Fault(path=where, line=None, message=f"{more:,} more rows are missing")]
            raise InputError([*merged.absent, *(rest if more else [])] or [_lost(num_forgotten)])
        for lines in (*self._rows, *self._failed):
            if lines.name:
                message = (
                    f"holds {lines.name!r}, which the input does not have at this place; run this "
                    "part again"
                )
                raise InputError.of(lines.path, message, line=lines.num_taken + 1)


def _lost(num_forgotten: int) -> Fault:
    message = f"record {num_forgotten:,} forgotten rows, and none is missing; run the parts again"
    return Fault(path="the parts", line=None, message=message)


def _lines(part: PartFile, path: Path, block: int) -> PartLines:
    again = f"run this part again: {part.command} --shard {part.shard}"
    return PartLines(path, part.written(path), block=block, again=again)


def _of_response(text: bytes, config: Mapping[str, object]) -> _Wanted:
    row = _Response.model_validate_json(text)
    return _Wanted(key=row.question_id, name=row.id, ids=(row.id,))


def _of_question(text: bytes, config: Mapping[str, object]) -> _Wanted:
    name = _Named.model_validate_json(text).id
    count = config.get("num_responses")
    ids = [f"{name}-{number}" for number in range(count if isinstance(count, int) else 1)]
    return _Wanted(key=name, name=name, ids=ids)


def _of_document(text: bytes, config: Mapping[str, object]) -> _Wanted:
    name = _Named.model_validate_json(text).id
    return _Wanted(key=name, name=name, ids=None)


# By kind of the parts' rows: what a row of the input becomes.
_WANTED: Mapping[str, Callable[[bytes, Mapping[str, object]], _Wanted]] = {
    "annotation": _of_response,
    "response": _of_question,
    "question": _of_document,
}
