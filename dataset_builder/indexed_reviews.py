"""The reviews of the input, in the scratch database of the build.

The rule: a review is kept once, even if several files contain it, and one id never belongs to two
decisions. Which of several reviews counts is decided where they are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dataset_builder.reading.scratch import Scratch
from formats.reviews.log import Logged, read_reviews, time_of
from schemas.errors import Fault, InputError
from schemas.records import Annotation
from schemas.reviews import Review


class IndexedReviews:
    """Fill it with `load`. Also reads the index's table `rows`."""

    def __init__(self, scratch: Scratch) -> None:
        self._run = scratch.execute
        self._is_empty = True
        self._run(
            "CREATE TABLE reviews (id TEXT PRIMARY KEY, response_id TEXT, who TEXT, made REAL,"
            " line INTEGER, value TEXT) WITHOUT ROWID"
        )

    def load(self, paths: Sequence[Path], is_left_out: Callable[[Review], bool]) -> None:
        """Store the reviews of all files. Raises InputError for a file that cannot be read."""
        lines = 0  # of earlier files: at equal times, the decision of the later file counts
        for path in paths:
            entries = read_reviews(path)
            for entry in entries:
                if not is_left_out(entry.review):
                    self._keep(path, entry, lines + entry.line)
            lines += max((entry.line for entry in entries), default=0)
        self._run("CREATE INDEX of_response ON reviews (response_id)")

    def of(self, responses: Sequence[Annotation]) -> dict[str, list[Logged]]:
        """The reviews of these responses by response id, in any order."""
        if self._is_empty:
            return {}
        query = "SELECT line, value FROM reviews WHERE response_id = ?"
        return {
            row.id: [
                Logged(line=line, review=Review.model_validate_json(value))
                for line, value in self._run(query, (row.id,))
            ]
            for row in responses
        }

    def strays(self) -> Iterator[Review]:
        """Reviews of responses that are in no file."""
        rows = self._run("SELECT value FROM reviews WHERE response_id NOT IN (SELECT id FROM rows)")
        for (value,) in rows:
            yield Review.model_validate_json(value)

    def reviewers(self) -> list[str]:
        """The reviewers, in the order of their first reviews; the same in every shard."""
        rows = self._run("SELECT who FROM reviews GROUP BY who ORDER BY MIN(made), who")
        return [who for (who,) in rows]

    def _keep(self, path: Path, entry: Logged, line: int) -> None:
        """Store a review once, even if several files contain it."""
        review, value = entry.review, entry.review.model_dump_json()
        made = time_of(review).timestamp()
        kept = self._run(
            "INSERT OR IGNORE INTO reviews VALUES (?, ?, ?, ?, ?, ?)",
            (review.id, review.response_id, review.who, made, line, value),
        )
        self._is_empty = False
        query = "SELECT value FROM reviews WHERE id = ?"
        if not kept.rowcount and self._run(query, (review.id,)).fetchone() != (value,):
            message = f"id {review.id!r} is used in another file for another decision"
            raise InputError([Fault(path=str(path), line=entry.line, message=message)])
