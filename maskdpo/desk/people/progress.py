"""What each person has done so far, from the file of reviews, kept up to date line by line.

The rule: a figure counts places (response and offsets), not lines: who decides a sentence again
has still decided one, and a withdrawn review counts as if it had never been made. The file is read
once; later calls read what was appended. A file that was replaced or became shorter is read again.
"""

from __future__ import annotations

import json
import os
import threading
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from formats.reviews.log import parse_time

Place = tuple[str, int, int]  # response id, start, end
_NO_TIME = datetime.min.replace(tzinfo=UTC)
_DECIDING = frozenset({"label", "agree", "split"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One review. `label` is that of a review with one span; "" otherwise."""

    who: str
    place: Place
    action: str
    blind: bool
    resolves: bool
    when: datetime | None
    label: str = ""
    withdraws: str = ""
    round: int = 1


@dataclass(kw_only=True)
class PersonDone:
    """What one person has done; numbers of places, and the times of decisions, sorted.

    blind    the last decision was made without the judge's label
    """

    decided: int = 0
    blind: int = 0
    skipped: int = 0
    flagged: int = 0
    resolved: int = 0
    times: list[datetime] = field(default_factory=list)


class Progress:
    """The people of one file of reviews, which need not exist. Safe in several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._file: tuple[int, int] | None = None
        self._items: dict[str, Item] = {}
        self._withdrawn: set[str] = set()
        self._places: dict[tuple[str, Place], list[str]] = {}
        self._people: dict[str, PersonDone] = {}

    def people(self) -> Mapping[str, PersonDone]:
        """By name, after the lines that are new since the last call."""
        with self._lock:
            for line in self._new_lines():
                self._add(line)
            return dict(sorted(self._people.items()))

    def blind_decisions(self) -> Iterator[Item]:
        """The last decision of each person on each place, where it was blind and is one label."""
        with self._lock:
            last = [self._last(names) for names in self._places.values()]
        return (item for item in last if item is not None and item.blind and item.label)

    def _new_lines(self) -> Sequence[bytes]:
        """The complete lines that were not read yet."""
        try:
            with self._path.open("rb") as handle:
                found = handle.fileno()
                status = _identity(found)
                if self._file is not None and (
                    status[:2] != self._file or status[2] < self._offset
                ):
                    self._forget()
                self._file = status[:2]
                handle.seek(self._offset)
                block = handle.read()
        except FileNotFoundError:
            self._forget()
            return ()
        end = block.rfind(b"\n") + 1
        self._offset += end
        return block[:end].splitlines()

    def _add(self, line: bytes) -> None:
        read = _read(line)
        if read is None or read[0] in self._items:
            return
        name, item = read
        self._items[name] = item
        if item.action == "withdraw":
            self._withdraw(item, took=True)
        else:
            self._recount(item, added=name)

    def _withdraw(self, item: Item, *, took: bool) -> None:
        """Apply a withdrawal, or take it back; one of a withdrawal brings its review back."""
        target = self._items.get(item.withdraws)
        if target is None or target.who != item.who:
            return
        if target.action == "withdraw":
            self._withdraw(target, took=not took)
        elif took:
            self._recount(target, taken=item.withdraws)
        else:
            self._recount(target, given_back=item.withdraws)

    def _recount(
        self, item: Item, *, added: str = "", taken: str = "", given_back: str = ""
    ) -> None:
        """Change the reviews of a person's place, and the person's figures with it."""
        names = self._places.setdefault((item.who, item.place), [])
        person = self._people.setdefault(item.who, PersonDone())
        self._count(person, names, -1)
        if added:
            names.append(added)
        if taken:
            self._withdrawn.add(taken)
        self._withdrawn.discard(given_back)
        self._count(person, names, 1)

    def _count(self, person: PersonDone, names: Sequence[str], sign: int) -> None:
        items = [self._items[name] for name in names if name not in self._withdrawn]
        last = self._last(names)
        person.decided += sign * (last is not None)
        person.blind += sign * (last is not None and last.blind)
        person.resolved += sign * (last is not None and last.resolves)
        person.skipped += sign * (last is None and any(one.action == "skip" for one in items))
        person.flagged += sign * any(one.action == "flag" for one in items)
        if last is None or last.when is None:
            return
        if sign > 0:
            insort(person.times, last.when)
        else:
            del person.times[bisect_left(person.times, last.when)]

    def _last(self, names: Sequence[str]) -> Item | None:
        """The decision that counts; None without one."""
        items = [
            self._items[name]
            for name in names
            if name not in self._withdrawn and self._items[name].action in _DECIDING
        ]
        return max(reversed(items), key=_order, default=None)


def _order(item: Item) -> tuple[int, datetime]:
    return (item.round, item.when or _NO_TIME)


def _identity(descriptor: int) -> tuple[int, int, int]:
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino, status.st_size)


def _read(line: bytes) -> tuple[str, Item] | None:
    """(id, review) of a line; None where it is not a review, which the journal reports."""
    try:
        row = json.loads(line)
        spans = row.get("spans") or []
        label = spans[0]["label"] if len(spans) == 1 else ""
        item = Item(
            who=row["who"],
            place=(row["response_id"], row["start"], row["end"]),
            action=row.get("action", "label"),
            blind=row.get("blind", False),
            resolves=bool(row.get("resolves")),
            when=parse_time(row["when"]),
            label=label,
            withdraws=row.get("withdraws") or "",
            round=row.get("round", 1),
        )
        return row["id"], item
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
