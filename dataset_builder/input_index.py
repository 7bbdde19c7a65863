"""The input's rows, one question at a time, in memory that does not grow with the input.

The rule: files are read twice and never kept in memory. The first reading stores, in a scratch
database on disk, the position and the question of each row; the second reads the rows question by
question, in order of ids, and checks each row fully. So the order of rows and files does not
matter, and every fault of every file is found before the output is moved into place.

A shard (`--shard 2/4`) builds the questions whose hash selects it. It reads the other rows only for
ids, topics and test prompts, because what may be in train depends on all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from dataset_builder.indexed_reviews import IndexedReviews
from dataset_builder.reading.heads import HeadReader, Heads, Located, check_row
from dataset_builder.reading.row_files import Part, Place, RowFiles
from dataset_builder.reading.scratch import Scratch
from dataset_builder.splits.indexed_prompts import IndexedPrompts
from dataset_builder.workers import Workers
from formats.reviews.pair_log import LoggedPairReview
from schemas.errors import Fault, InputError
from schemas.files.jsonl import TORN_TAIL, TornTailWarning
from schemas.files.shard import falls_to
from schemas.files.sidecar import check_sidecar
from schemas.records import Annotation
from schemas.reviews import Review

ROWS_PER_BLOCK = 256


class Block(NamedTuple):
    """Neighbouring questions, with both ends: about ROWS_PER_BLOCK responses, or one question."""

    first: str
    last: str


class InputIndex:
    """Where the rows of each question are. Use it as a context manager; `load` first.

    faults    the faults of the files, in any order; the second reading adds to them
    """

    def __init__(self, folder: Path, reader: HeadReader) -> None:
        self.faults: list[Fault] = []
        self.num_forgotten = 0
        self.paths: Sequence[Path] = ()
        self.scratch = Scratch(folder / "rows.sqlite")
        self._reader = reader
        self._shard = reader.shard
        self._forgotten = reader.forgotten
        self.scratch.execute(
            "CREATE TABLE rows (id TEXT, question_id TEXT, mine INTEGER, file INTEGER,"
            " line INTEGER, start INTEGER, size INTEGER)"
        )
        self.prompts = IndexedPrompts(self.scratch)
        self.reviews = IndexedReviews(self.scratch)

    def __enter__(self) -> InputIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.scratch.close()

    def load(
        self,
        annotations: Sequence[Path],
        reviews: Sequence[Path] = (),
        *,
        workers: Workers | None = None,
    ) -> None:
        """Read all files once. Raises InputError for one that cannot be read at all."""
        self.paths = annotations
        for path in annotations:
            check_sidecar(path, Annotation.__name__)
        self._load_rows(workers or Workers(1))
        self.reviews.load(reviews, self._is_forgotten)
        self.scratch.execute("CREATE INDEX of_id ON rows (id)")
        self._refuse_twins()
        self.scratch.execute("CREATE INDEX of_question ON rows (question_id, id) WHERE mine")
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

    def blocks(self) -> Iterator[Block]:
        """The questions of this shard, block by block, by question id."""
        first = last = None
        num_rows = 0
        for question_id, count in self.scratch.execute(
            "SELECT question_id, COUNT(*) FROM rows WHERE mine GROUP BY question_id"
        ):
            if first is not None and last is not None and num_rows + count > ROWS_PER_BLOCK:
                yield Block(first, last)
                first, num_rows = None, 0
            first = question_id if first is None else first
            last = question_id
            num_rows += count
        if first is not None and last is not None:
            yield Block(first, last)

    def raise_faults(self) -> None:
        """Raise InputError when a file has a fault; faults are ordered by file and line."""
        if self.faults:
            order = {str(path): number for number, path in enumerate(self.paths)}
            raise InputError(
                sorted(self.faults, key=lambda fault: (order[fault.path], fault.line or 0))
            )

    def num_topics(self) -> int:
        """Number of topics, each counted in the shard of its least question: shards add up."""
        return self.prompts.num_topics(self._shard.has)

    def _load_rows(self, workers: Workers) -> None:
        """The first reading, in the order of files and rows."""
        files = RowFiles(self.paths, self.scratch.folder)
        tasks = (
            (number, part) for number in range(len(self.paths)) for part in files[number].parts()
        )
        num_lines = [0] * len(self.paths)
        with_rows: set[int] = set()
        make_job = partial(_HeadJob, self._reader, self.paths, self.scratch.folder)
        for number, heads in workers.map(make_job, tasks):
            self._keep(number, num_lines[number], heads)
            num_lines[number] += heads.num_lines
            with_rows.update(() if heads.is_empty else (number,))
        files.close()
        message = f"holds no rows; it should hold one {Annotation.__name__} per line"
        self.faults += [
            Fault(path=str(path), line=None, message=message)
            for number, path in enumerate(self.paths)
            if number not in with_rows
        ]

    def _keep(self, number: int, before: int, heads: Heads) -> None:
        """Store the rows of a part, which begins after `before` lines of its file."""
        path = self.paths[number]
        self.faults += [
            Fault(path=str(path), line=before + line, message=text) for line, text in heads.faults
        ]
        if heads.unusable is not None:
            line, message = heads.unusable
            raise InputError.of(path, message, line=before + line)
        if heads.torn_line is not None:
            warnings.warn(
                f"{path}:{before + heads.torn_line}: {TORN_TAIL}", TornTailWarning, stacklevel=2
            )
        self.num_forgotten += heads.num_forgotten * (self._shard.index == 1)
        self.scratch.add_all(
            f"INSERT INTO rows VALUES (?, ?, ?, {number}, {before} + ?, ?, ?)", heads.rows
        )
        self.prompts.add_all(heads.prompts)

    def _is_forgotten(self, review: Review) -> bool:
        found = self._forgotten.has_person(review.who) or self._forgotten.has_response(
            review.response_id
        )
        self.num_forgotten += found and self._shard.index == 1
        return found

    def _refuse_twins(self) -> None:
        """Keep the first row of each id; the others are faults."""
        run = self.scratch.execute
        for (name,) in run("SELECT id FROM rows GROUP BY id HAVING COUNT(*) > 1").fetchall():
            query = "SELECT rowid, file, line FROM rows WHERE id = ? ORDER BY rowid"
            (_, first_file, first_line), *twins = run(query, (name,)).fetchall()
            for number, file, line in twins:
                is_same = file == first_file
                place = (
                    f"line {first_line}" if is_same else f"{self.paths[first_file]}:{first_line}"
                )
                message = (
                    f"duplicate id {name!r}, first used on {place}; "
                    f"ids must be unique in {'a file' if is_same else 'all files of a build'}"
                )
                self.faults.append(Fault(path=str(self.paths[file]), line=line, message=message))
                run("DELETE FROM rows WHERE rowid = ?", (number,))


class BlockReader:
    """The second reading: the rows of a block's questions, in the process that builds them."""

    def __init__(self, scratch: Scratch, paths: Sequence[Path]) -> None:
        self._scratch = scratch
        self._paths = paths
        self._files = RowFiles(paths, scratch.folder)

    def read(self, block: Block, faults: list[Fault]) -> Iterator[list[Annotation]]:
        """The responses of each question, by id; after a fault, which is added, the sound ones."""
        rows = self._scratch.execute(
            "SELECT question_id, file, line, start, size FROM rows"
            " WHERE mine AND question_id BETWEEN ? AND ? ORDER BY question_id, id",
            block,
        )
        for _, places in groupby(rows, key=itemgetter(0)):
            found = (self._read(file, Place(*place), faults) for _, file, *place in places)
            yield [row for row in found if row is not None]

    def close(self) -> None:
        """Close the input's files."""
        self._files.close()

    def _read(self, number: int, place: Place, faults: list[Fault]) -> Annotation | None:
        located: list[Located] = []
        row = check_row(place.line, self._files[number].read(place), located)
        path = str(self._paths[number])
        faults += [Fault(path=path, line=line, message=message) for line, message in located]
        return row


class _HeadJob:
    """The first reading in one process: (number of a file, part) to that number and the heads."""

    def __init__(self, reader: HeadReader, paths: Sequence[Path], scratch: Path) -> None:
        self._reader = reader
        self._files = RowFiles(paths, scratch)

    def __call__(self, task: tuple[int, Part]) -> tuple[int, Heads]:
        number, part = task
        return number, self._reader.read(self._files[number], part)

    def close(self) -> None:
        self._files.close()
