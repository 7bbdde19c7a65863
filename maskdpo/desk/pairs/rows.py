"""The pairs of a data set folder or file, by number, with what lists need of each in memory.

The rule: a pair is numbered by its place in all files together, from 1. In memory are only its
place, its question, topic and split, and a hash of what decisions about it name; the pair itself is
read when it is shown. A row that cannot be read keeps its number.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from formats.reviews.pair_log import PairKey
from maskdpo.desk.pairs.places import Places, open_places
from maskdpo.show.sources import Kind, ShownFile, find_source
from schemas.errors import InputError
from schemas.files import columnar, tables
from schemas.preference_rows import SIDES, has_our_columns, split_row
from schemas.reviews import text_sha256
from trainer.data import PairRow, parse_pair, row_id

Signature = tuple[tuple[str, int, int, int], ...]
_WHAT = "pairs"


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """What a list shows of a pair without reading it."""

    number: int
    question_id: str
    topic: str
    split: str


class PairRows:
    """The rows of all files. Reads each file once; raises InputError where one cannot be read."""

    def __init__(self, files: Sequence[ShownFile], *, name: str = "") -> None:
        self.name = name
        self.files = files
        self._places: list[Places] = []
        self._ends: list[int] = []
        self._texts: dict[str, int] = {}  # question ids and topics, each once
        self._names: list[str] = []
        self._questions, self._topics = array("L"), array("L")
        self._hashes: defaultdict[bytes, list[int]] = defaultdict(list)
        self.num_faulty = 0
        for file in files:
            self._open(file)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def topics(self) -> list[str]:
        """All topics, sorted."""
        return sorted({self._names[index] for index in set(self._topics)} - {""})

    def heading(self, number: int) -> Heading:
        """Of pair `number`, from 1."""
        return Heading(
            number=number,
            question_id=self._names[self._questions[number - 1]],
            topic=self._names[self._topics[number - 1]],
            split=self.files[self._file_of(number)].split,
        )

    def read(self, number: int) -> PairRow:
        """Pair `number`, from 1: the pair, or what is wrong with its row."""
        file = self._file_of(number)
        index = number - 1 - (self._ends[file - 1] if file else 0)
        path = self.files[file].path
        values = self._places[file].read(index)
        identifier = row_id(values, path, index + 1)
        try:
            if isinstance(values, ValueError):
                raise values
            pair = parse_pair(values, identifier)
        except (ValueError, TypeError, RecursionError) as error:
            return PairRow(number=number, id=identifier, pair=None, fault=str(error))
        return PairRow(number=number, id=identifier, pair=pair)

    def numbers_of(self, key: PairKey) -> Sequence[int]:
        """The pairs that a decision is about, in order."""
        return self._hashes.get(_hash(key), ())

    def numbers(self, *, topic: str = "", text: str = "") -> Sequence[int]:
        """The pairs of a topic whose question id contains `text`, in order."""
        if not topic and not text:
            return range(1, len(self) + 1)
        wanted = text.casefold()
        topic_index = self._texts.get(topic, -1)
        fits = [wanted in name.casefold() for name in self._names]
        return [
            number
            for number, (question, own) in enumerate(
                zip(self._questions, self._topics, strict=True), start=1
            )
            if fits[question] and (not topic or own == topic_index)
        ]

    def close(self) -> None:
        """Close all files."""
        for places in self._places:
            places.close()

    def _file_of(self, number: int) -> int:
        if not 1 <= number <= len(self):
            raise IndexError(number)
        return bisect_right(self._ends, number - 1)

    def _open(self, file: ShownFile) -> None:
        if file.path.suffix in columnar.COLUMNAR:
            tables.require_columns(file.path, SIDES, what=_WHAT, name=file.label)
        places = open_places(file.path, name=file.label)
        self._places.append(places)
        number = len(self)
        for row, values in enumerate(places.scan(), start=1):
            number += 1
            question, topic, key = _heading(values, row_id(values, file.path, row))
            self.num_faulty += key is None
            self._questions.append(self._intern(question))
            self._topics.append(self._intern(topic))
            if key is not None:
                self._hashes[_hash(key)].append(number)
        self._ends.append(number)

    def _intern(self, text: str) -> int:
        index = self._texts.setdefault(text, len(self._names))
        if index == len(self._names):
            self._names.append(text)
        return index


def open_rows(path: Path) -> PairRows:
    """The pairs of a file or data set folder; raises InputError for anything else."""
    source = find_source(str(path))
    if source.kind is not Kind.PAIRS:
        raise InputError.of(path, "holds no pairs")
    return PairRows(source.files, name=str(path))


def sign(paths: Iterable[Path]) -> Signature:
    """What changes when one of the files is written again; raises InputError where one is gone."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:
            message = f"cannot be read: {error.strerror or error}"
            raise InputError.of(path, message) from None
        found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _heading(values: object, identifier: str) -> tuple[str, str, PairKey | None]:
    """Question id, topic and key of a row, without a full check of it."""
    if not isinstance(values, dict):
        return "", "", None
    is_ours = has_our_columns(values)
    question, topic = (_text(values.get(name)) if is_ours else "" for name in _NAMES)
    try:
        sides = split_row(values.get("prompt"), values["chosen"], values["rejected"])
        chosen, rejected = (_text(sides[side][0]["content"]) for side in SIDES)
    except (ValueError, TypeError, KeyError, IndexError):
        return question, topic, None
    return question, topic, (question or identifier, text_sha256(chosen), text_sha256(rejected))


_NAMES = ("question_id", "topic")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _hash(key: PairKey) -> bytes:
    return hashlib.blake2b("\n".join(key).encode("utf-8", "surrogatepass"), digest_size=12).digest()
