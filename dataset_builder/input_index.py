"""The input's rows, one question at a time, in memory that does not grow with the input.

The rule: files are read twice and never kept in memory. The first reading stores, in a scratch
database on disk, the position and the question of each row; the second reads the rows question by
question, in order of ids, and checks each row fully. So the order of rows and files does not
matter, and every fault of every file is found before the output is moved into place.

A shard (`--shard 2/4`) builds the questions whose hash selects it. It reads the other rows only for
ids, topics and test prompts, because what may be in train depends on all of them.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, ValidationError

from dataset_builder.config import BuildConfig, Weighting
from dataset_builder.indexed_reviews import IndexedReviews
from dataset_builder.splits.indexed_prompts import IndexedPrompts
from dataset_builder.splits.prompt_text import prompt_text
from dataset_builder.weights import find_unusable_confidence
from formats.forgotten import Forgotten
from formats.reviews.pair_log import LoggedPairReview
from schemas.errors import Fault, InputError
from schemas.files.jsonl import read_places
from schemas.files.sidecar import check_sidecar
from schemas.records import Annotation, Identifier
from schemas.reviews import Review
from schemas.shard import Shard, falls_to
from schemas.validation import describe_errors

MAX_OPEN_FILES = 64


class _HeadMessage(BaseModel):
    """A message in its plain form; a message in another form is read as a record."""

    model_config = ConfigDict(extra="ignore", strict=True)

    role: str
    content: str


class _Head(BaseModel):
    """The fields that the first reading uses. The second reading checks all fields."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: Identifier
    question_id: Identifier
    topic: str = ""
    prompt: list[_HeadMessage]


class InputIndex:
    """Rows by question. Use it as a context manager; `load` first.

    forgotten    what was removed and must not return: its rows are skipped and counted
    faults       the faults of the files, in any order; complete after `questions` has ended
    """

    def __init__(
        self, folder: Path, config: BuildConfig, shard: Shard, forgotten: Forgotten | None = None
    ) -> None:
        self.faults: list[Fault] = []
        self.num_forgotten = 0
        self._forgotten = forgotten or Forgotten()
        self.connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
        self._config = config
        self._shard = shard
        self._paths: list[Path] = []
        self._open: OrderedDict[int, IO[bytes]] = OrderedDict()
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            "PRAGMA cache_size=-32768",
            "PRAGMA temp_store=FILE",
            f"PRAGMA temp_store_directory='{str(folder).replace(chr(39), chr(39) * 2)}'",
            "CREATE TABLE rows (id TEXT PRIMARY KEY, question_id TEXT, topic TEXT, mine INTEGER,"
            " file INTEGER, line INTEGER, start INTEGER, size INTEGER) WITHOUT ROWID",
            "BEGIN",  # one transaction to the end: this file is temporary
        ):
            self.connection.execute(statement)
        self.prompts = IndexedPrompts(self.connection)
        self.reviews = IndexedReviews(self.connection)

    def __enter__(self) -> InputIndex:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._open.values():
            handle.close()
        self.connection.close()

    def load(self, annotations: Sequence[Path], reviews: Sequence[Path] = ()) -> None:
        """Read all files once. Raises InputError for one that cannot be read at all."""
        for path in annotations:
            check_sidecar(path, Annotation.__name__)
        for path in annotations:
            self._load_file(path)
        self.reviews.load(reviews, self._is_forgotten)
        self.connection.execute("CREATE INDEX of_question ON rows (question_id, id)")
        self.prompts.name_topics()

    def kept_decisions(self, entries: Iterable[LoggedPairReview]) -> list[LoggedPairReview]:
        """The decisions about pairs of this shard's questions, without forgotten people's."""
        kept = []
        for entry in entries:
            review = entry.review
            if not falls_to(self._shard, review.question_id):
                continue
            sides = (review.chosen_id, review.rejected_id)
            if self._forgotten.has_person(review.who) or any(
                map(self._forgotten.has_response, sides)
            ):
                self.num_forgotten += 1
            else:
                kept.append(entry)
        return kept

    def questions(self) -> Iterator[list[Annotation]]:
        """The responses of each question of this shard, by question id, then by id.

        After the first fault it yields nothing more, and only checks the rest for faults.
        """
        rows = self._execute(
            "SELECT question_id, file, line, start, size FROM rows WHERE mine "
            "ORDER BY question_id, id"
        )
        for _, places in groupby(rows, key=lambda row: row[0]):
            responses = [self._read(*place[1:]) for place in places]
            sound = [response for response in responses if response is not None]
            if not self.faults:
                yield sound

    def raise_faults(self) -> None:
        """Raise InputError when a file has a fault; faults are ordered by file and line."""
        if self.faults:
            order = {str(path): number for number, path in enumerate(self._paths)}
            raise InputError(
                sorted(self.faults, key=lambda fault: (order[fault.path], fault.line or 0))
            )

    def num_topics(self) -> int:
        """Number of topics, each counted in the shard of its least question: shards add up."""
        return self.prompts.num_topics(self._shard.has)

    def _execute(self, statement: str, *values: str) -> sqlite3.Cursor:
        return self.connection.execute(statement, values)

    def _load_file(self, path: Path) -> None:
        number = len(self._paths)
        self._paths.append(path)
        num_before = len(self.faults)
        is_empty = True
        for line, start, text in read_places(path):
            is_empty = False
            head = self._read_head(path, line, text)
            if head is None:
                continue
            if self._forgotten.has_response(head.id):
                self.num_forgotten += self._shard.index == 1
                continue
            self._check_confidence(path, line, text)
            self._keep(head, file=number, line=line, start=start, size=len(text))
        if is_empty and len(self.faults) == num_before:
            message = f"holds no rows; it should hold one {Annotation.__name__} per line"
            self.faults.append(Fault(path=str(path), line=None, message=message))

    def _read_head(self, path: Path, line: int, text: bytes) -> _Head | Annotation | None:
        """The head of a row, or the full row if its messages are not plain; None: a fault."""
        try:
            return _Head.model_validate_json(text)
        except ValidationError:
            return self._check(path, line, text)

    def _is_forgotten(self, review: Review) -> bool:
        found = self._forgotten.has_person(review.who) or self._forgotten.has_response(
            review.response_id
        )
        self.num_forgotten += found and self._shard.index == 1
        return found

    def _check_confidence(self, path: Path, line: int, text: bytes) -> None:
        """Raise InputError at the first row that cannot be weighted as the settings require."""
        if self._config.weighting is not Weighting.CONFIDENCE or b'"lexical"' not in text:
            return
        row = self._check(path, line, text)
        message = find_unusable_confidence(row, self._config) if row is not None else None
        if message is not None:
            raise InputError([Fault(path=str(path), line=line, message=message)])

    def _keep(
        self, head: _Head | Annotation, *, file: int, line: int, start: int, size: int
    ) -> None:
        mine = falls_to(self._shard, head.question_id)
        kept = self.connection.execute(
            "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (head.id, head.question_id, head.topic, mine, file, line, start, size),
        )
        if not kept.rowcount:
            self._refuse_twin(head.id, file=file, line=line)
            return
        self.prompts.add(head.question_id, head.topic, prompt_text(head.prompt))

    def _refuse_twin(self, identifier: str, *, file: int, line: int) -> None:
        query = "SELECT file, line FROM rows WHERE id = ?"
        first_file, first_line = self._execute(query, identifier).fetchone()
        place = f"line {first_line}"
        if first_file != file:
            place = f"{self._paths[first_file]}:{first_line}"
        message = (
            f"duplicate id {identifier!r}, first used on {place}; "
            f"ids must be unique in {'a file' if first_file == file else 'all files of a build'}"
        )
        self.faults.append(Fault(path=str(self._paths[file]), line=line, message=message))

    def _read(self, file: int, line: int, start: int, size: int) -> Annotation | None:
        handle = self._handle(file)
        handle.seek(start)
        return self._check(self._paths[file], line, handle.read(size))

    def _check(self, path: Path, line: int, text: bytes) -> Annotation | None:
        try:
            return Annotation.model_validate_json(text)
        except ValidationError as error:
            self.faults.extend(
                Fault(path=str(path), line=line, message=message)
                for message in describe_errors(error, Annotation)
            )
        return None

    def _handle(self, file: int) -> IO[bytes]:
        handle = self._open.pop(file, None) or self._paths[file].open("rb")
        self._open[file] = handle  # the last used stays longest
        if len(self._open) > MAX_OPEN_FILES:
            _, oldest = self._open.popitem(last=False)
            oldest.close()
        return handle
