"""The pairs of one source and the decisions about them, kept up to date with their files.

The rule: a file that was written again (a new build) is opened again at the next request, so a
number never shows a pair of an earlier build. A decision names the pair that the person saw: where
the pair of that number is another one now, nothing is recorded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Literal

from dataset_builder.folder.write import MANIFEST_NAME
from formats.reviews.pair_log import PairKey, decide, key_of_pair, now
from maskdpo.desk.pairs.decisions import PairDecisions, decisions_path
from maskdpo.desk.pairs.rows import Heading, PairRows, Signature, open_rows, sign
from schemas.hashing import content_key
from schemas.records import Pair
from schemas.reviews import PairReview, make_pair_review

Show = Literal["all", "dropped", "kept"]
Origin = Literal["run", "folder", "other"]
PAGE_ROWS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFilter:
    """Which pairs are listed: `kept` are those that nobody has dropped."""

    show: Show = "all"
    topic: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedPair:
    """A line of the list. `drops` are the decisions that leave it out of the next build."""

    heading: Heading
    drops: Sequence[PairReview]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairPage:
    """Some lines of the list. `before` and `after`: the first number of the pages around it."""

    rows: Sequence[ListedPair]
    total: int
    before: int | None
    after: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPair:
    """One pair; `pair` is None where its row cannot be read, and `fault` says why.

    decisions   each person's last one, the latest last
    place       its place among those of the filter, from 1; 0: it is not among them
    """

    heading: Heading
    pair: Pair | None
    fault: str
    decisions: Sequence[PairReview]
    previous: int | None
    following: int | None
    place: int
    total: int

    @property
    def drops(self) -> Sequence[PairReview]:
        """The decisions that drop it."""
        return [item for item in self.decisions if item.action == "drop"]

    @property
    def key(self) -> str:
        """What a decision about it must name."""
        return "" if self.pair is None else _name_key(key_of_pair(self.pair))


class ChangedError(Exception):
    """The pair of that number is not the one that the person saw."""


class PairDesk:
    """The pairs at `path`, a data set folder or a file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.decisions = PairDecisions(decisions_path(path))
        self._lock = RLock()
        self._rows: PairRows | None = None
        self._signature: Signature = ()
        self._numbered: tuple[object, object, Mapping[int, Sequence[PairReview]]] = (None, None, {})

    @property
    def origin(self) -> Origin:
        """What a drop does here: in a run, in another folder of maskdpo, or elsewhere."""
        folder = self.decisions.path.parent
        if (folder / "annotations.jsonl").is_file():
            return "run"
        places = [self.path, *self.path.parents]
        return "folder" if any((place / MANIFEST_NAME).is_file() for place in places) else "other"

    def refresh(self) -> PairRows:
        """The pairs and decisions as the files hold them now."""
        self.decisions.refresh()
        with self._lock:
            if self._rows is not None:
                found = sign(file.path for file in self._rows.files if file.path.exists())
                if found == self._signature:
                    return self._rows
                self._rows.close()
                self._rows = None
            rows = open_rows(self.path)
            self._rows, self._signature = rows, sign(file.path for file in rows.files)
            return rows

    def page(self, chosen: PairFilter, first: int = 1) -> PairPage:
        """PAGE_ROWS pairs from number `first` on."""
        rows = self.refresh()
        drops = self._drops(rows)
        numbers = self._numbers(rows, chosen, drops)
        start = bisect_left(numbers, first)
        shown = numbers[start : start + PAGE_ROWS]
        end = start + len(shown)
        return PairPage(
            rows=[
                ListedPair(heading=rows.heading(number), drops=drops.get(number, ()))
                for number in shown
            ],
            total=len(numbers),
            before=numbers[max(start - PAGE_ROWS, 0)] if start else None,
            after=numbers[end] if end < len(numbers) else None,
        )

    def show(self, number: int, chosen: PairFilter) -> ShownPair:
        """Pair `number`; raises IndexError where there is none."""
        rows = self.refresh()
        row = rows.read(number)
        numbers = self._numbers(rows, chosen, self._drops(rows))
        start, end = bisect_left(numbers, number), bisect_right(numbers, number)
        decisions = self.decisions.of(key_of_pair(row.pair)) if row.pair else {}
        return ShownPair(
            heading=rows.heading(number),
            pair=row.pair,
            fault=row.fault,
            decisions=list(decisions.values()),
            previous=numbers[start - 1] if start else None,
            following=numbers[end] if end < len(numbers) else None,
            place=start + 1 if start < end else 0,
            total=len(numbers),
        )

    def decide(self, number: int, key: str, *, action: str, who: str, note: str) -> bool:
        """Record a decision about pair `number`; False where it is the person's last one already.

        Raises ChangedError where the pair of that number is not `key` any more.
        """
        try:
            pair = self.refresh().read(number).pair
        except IndexError:
            raise ChangedError from None
        if pair is None or _name_key(key_of_pair(pair)) != key:
            raise ChangedError
        return self.decisions.record(decide(pair, action=action, who=who, note=note))

    def take_back(self, review_id: str, who: str) -> bool:
        """Record `keep` for the pair of a drop, also where the data set does not hold it now."""
        self.decisions.refresh()
        drop = self.decisions.find(review_id)
        if drop is None or drop.who != who:
            raise ChangedError
        values = drop.model_dump() | {"action": "keep", "when": now(), "note": ""}
        values.pop("id")
        return self.decisions.record(make_pair_review(**values))

    def absent(self) -> Sequence[PairReview]:
        """The drops that count of pairs that the data set does not hold, the latest first."""
        rows = self.refresh()
        found = [
            review
            for key, drops in self.decisions.dropped().items()
            if not rows.numbers_of(key)
            for review in drops
        ]
        return sorted(found, key=lambda review: review.when, reverse=True)

    def _drops(self, rows: PairRows) -> Mapping[int, Sequence[PairReview]]:
        """The drops that count, by number of the pair."""
        dropped = self.decisions.dropped()
        of_rows, of_dropped, found = self._numbered
        if of_rows is not rows or of_dropped is not dropped:
            found = {
                number: drops for key, drops in dropped.items() for number in rows.numbers_of(key)
            }
            self._numbered = (rows, dropped, found)
        return found

    def _numbers(
        self, rows: PairRows, chosen: PairFilter, drops: Mapping[int, object]
    ) -> Sequence[int]:
        numbers = rows.numbers(topic=chosen.topic, text=chosen.text)
        if chosen.show == "all":
            return numbers
        is_wanted = chosen.show == "dropped"
        return [number for number in numbers if (number in drops) == is_wanted]


def _name_key(key: PairKey) -> str:
    """As letters and digits: a form cannot carry every character of a question's id."""
    return content_key(list(key))
