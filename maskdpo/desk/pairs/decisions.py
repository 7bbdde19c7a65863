"""The decisions about pairs while people work: one file, read as it grows, appended to.

The rule: what others append counts at the next request, and a decision is on the disk before the
person sees it. A row that cannot be read is reported and changes nothing here; a build refuses the
file until it is corrected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock

from pydantic import ValidationError

from dataset_builder.folder.write import MANIFEST_NAME
from formats.reviews import PAIR_REVIEWS_NAME
from formats.reviews.pair_log import (
    LoggedPairReview,
    PairKey,
    append_pair_review,
    drops_among,
    key_of_review,
    last_decisions,
)
from schemas.errors import Fault
from schemas.reviews import PairReview
from schemas.validation import describe_errors


class PairDecisions:
    """The file at `path`, which need not exist. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self.faults: list[Fault] = []
        self._inode = -1
        self._end = self._lines = 0
        self._by_key: dict[PairKey, list[LoggedPairReview]] = {}
        self._dropped: Mapping[PairKey, Sequence[PairReview]] | None = None

    def refresh(self) -> None:
        """Read what was appended; all of the file where it was replaced or shortened."""
        with self._lock:
            try:
                handle = self.path.open("rb")
            except FileNotFoundError:
                self._forget()
                return
            with handle:
                stat = os.fstat(handle.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._end:
                    self._forget()
                    self._inode = stat.st_ino
                handle.seek(self._end)
                self._take(handle.read())

    def record(self, review: PairReview) -> bool:
        """Append a decision; False where the person's last one about the pair is the same."""
        with self._lock:
            self.refresh()
            mine = self.of(key_of_review(review)).get(review.who)
            if mine is not None and (mine.action, mine.note) == (review.action, review.note):
                return False
            append_pair_review(self.path, review)
            self.refresh()
            return True

    def of(self, key: PairKey) -> Mapping[str, PairReview]:
        """Each person's last decision about a pair, the latest one last."""
        with self._lock:
            return last_decisions(self._by_key.get(key, ())).get(key, {})

    def dropped(self) -> Mapping[PairKey, Sequence[PairReview]]:
        """The pairs that are dropped, with the drops that count; one object until a change."""
        with self._lock:
            if self._dropped is None:
                found = {key: drops_among(self.of(key)) for key in self._by_key}
                self._dropped = {key: drops for key, drops in found.items() if drops}
            return self._dropped

    def find(self, review_id: str) -> PairReview | None:
        """The decision with an id."""
        with self._lock:
            entries = (entry for of_key in self._by_key.values() for entry in of_key)
            return next((entry.review for entry in entries if entry.review.id == review_id), None)

    def people(self) -> list[str]:
        """Who made a decision, sorted."""
        with self._lock:
            return sorted({entry.review.who for item in self._by_key.values() for entry in item})

    def _forget(self) -> None:
        self.faults = []
        self._inode = -1
        self._end = self._lines = 0
        self._by_key = {}
        self._dropped = None

    def _take(self, data: bytes) -> None:
        complete = data[: data.rfind(b"\n") + 1]  # another process may be writing the rest
        self._end += len(complete)
        for text in complete.removesuffix(b"\n").split(b"\n") if complete else ():
            self._lines += 1
            if not text.strip():
                continue
            try:
                review = PairReview.model_validate_json(text.removeprefix(b"\xef\xbb\xbf"))
            except ValidationError as error:
                message = describe_errors(error, PairReview)[0]
                self.faults.append(Fault(path=str(self.path), line=self._lines, message=message))
                continue
            entry = LoggedPairReview(line=self._lines, review=review)
            self._by_key.setdefault(key_of_review(review), []).append(entry)
            self._dropped = None


def decisions_path(pairs: Path) -> Path:
    """Where decisions about the pairs of a file or folder are: next to it.

    Of a file inside a data set folder: next to the folder, which holds nothing of people.

        runs/mine/dataset  ->  runs/mine/pair_reviews.jsonl
    """
    inside = [folder for folder in pairs.parents if (folder / MANIFEST_NAME).is_file()]
    return (inside[-1] if inside else pairs).resolve().parent / PAIR_REVIEWS_NAME
