"""What lists filter and sort by, as one array per column; the number of a sentence is its place.

The rule: arrays are read from the index once and changed with it, so that a filter over 200,000
sentences is a few operations on arrays, whatever it combines. Texts stay in the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from maskdpo.desk.index.states import read_state
from maskdpo.desk.index.tickets import Tickets, mix, share_of
from maskdpo.desk.model import Filter, Order, State, Status
from schemas.labels import Label

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]
LABELS = tuple(Label)
_NONE, _MIXED = -1, -2
_CODES: Mapping[Label | None, int] = {None: _MIXED} | {one: at for at, one in enumerate(LABELS)}


@dataclass(kw_only=True)
class Person:
    """What one person did, by sentence.

    own     the label that they decided alone, as a number of LABELS; below 0: none
    blind   that decision was made without the judge's label
    """

    decided: Mask
    skipped: Mask
    own: Codes
    blind: Mask


@dataclass(kw_only=True)
class Columns:
    """All columns. `together` is what people decided together, as a number of LABELS; _MIXED where
    parts of the sentence have different labels."""

    response: Ints
    position: Ints
    label: Ints
    reason: Ints
    confidence: npt.NDArray[np.float64]
    sure: npt.NDArray[np.float64]
    ticket: Tickets
    topic: Ints
    language: Ints
    names: Mapping[str, Sequence[str]]
    together: Ints
    num_people: Ints
    conflict: Mask
    flagged: Mask
    people: dict[str, Person] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Columns:
        """The columns of an index."""
        rows = connection.execute(
            "SELECT n, label, reason, confidence, sure, ticket, state FROM sentences ORDER BY id"
        ).fetchall()
        by_column = list(zip(*rows, strict=True)) or [()] * 7
        response, label, reason, confidence, sure, ticket, states = by_column
        of_response = connection.execute(
            "SELECT topic, language, position FROM responses ORDER BY n"
        ).fetchall()
        numbers = np.array(response, dtype=np.int64)
        topics, topic = _coded([row[0] for row in of_response])
        languages, language = _coded([row[1] for row in of_response])
        reasons, reason_codes = _coded(reason)
        positions = np.array([row[2] for row in of_response], dtype=np.int64)
        size = len(rows)
        columns = cls(
            response=numbers,
            position=positions[numbers - 1],
            label=np.array([LABELS.index(Label(one)) for one in label], dtype=np.int64),
            reason=reason_codes,
            confidence=np.array([np.nan if one is None else one for one in confidence]),
            sure=np.array(sure, dtype=np.float64),
            ticket=np.array(ticket, dtype=np.uint64),
            topic=topic[numbers - 1],
            language=language[numbers - 1],
            names={"topics": topics, "languages": languages, "reasons": reasons},
            together=np.full(size, _NONE),
            num_people=np.zeros(size, dtype=np.int64),
            conflict=np.zeros(size, dtype=np.bool_),
            flagged=np.zeros(size, dtype=np.bool_),
        )
        for at, text in enumerate(states):
            if text:
                columns.set_state(at, read_state(text))
        return columns

    @property
    def size(self) -> int:
        """The number of sentences."""
        return len(self.label)

    def set_state(self, at: int, state: State) -> None:
        """Change what people did with the sentence at place `at`."""
        self.num_people[at] = len(state.by)
        self.conflict[at] = state.conflict
        self.flagged[at] = bool(state.flagged)
        parts = _MIXED if state.by and not state.conflict else _NONE
        self.together[at] = LABELS.index(state.label) if state.label else parts
        for who in {*state.by, *state.own, *state.skipped} - self.people.keys():
            self.people[who] = self._new_person()
        for who, person in self.people.items():
            person.decided[at] = who in state.by
            person.skipped[at] = who in state.skipped
            person.own[at] = _CODES[state.own[who]] if who in state.own else _NONE
            person.blind[at] = who in state.blind

    def of(self, who: str) -> Person:
        """What a person did; nothing for one who is not known."""
        return self.people.get(who) or self._new_person()

    def _new_person(self) -> Person:
        empty = np.zeros(self.size, dtype=np.bool_)
        return Person(
            decided=empty,
            skipped=empty.copy(),
            own=np.full(self.size, _NONE, dtype=np.int8),
            blind=empty.copy(),
        )

    def fitting(self, wanted: Filter, who: str, found: Ints | None, second: Mask) -> Mask:
        """Which sentences fit.

        found    places with the text that is looked for; None: no text is
        second   which sentences wait for a second reading by `who`
        """
        mask = np.ones(self.size, dtype=np.bool_)
        if found is not None:
            mask[:] = False
            mask[found] = True
        if wanted.labels:
            mask &= np.isin(self.label, [LABELS.index(one) for one in wanted.labels])
        for field_name, column in (
            ("reasons", self.reason),
            ("topics", self.topic),
            ("languages", self.language),
        ):
            values = getattr(wanted, field_name)
            if values:
                mask &= np.isin(column, _codes(self.names[field_name], values))
        if wanted.confidence is not None:
            mask &= self.confidence <= wanted.confidence
        mask &= self._with_status(wanted.status, who)
        if wanted.judge_differs:
            mask &= (self.together != _NONE) & (self.together != self.label)
        if wanted.people_differ:
            mask &= self.conflict
        if wanted.flagged:
            mask &= self.flagged
        if wanted.unreviewed:
            mask &= (self.num_people == 0) | second
        if wanted.second:
            mask &= second
        return mask

    def _with_status(self, status: Status, who: str) -> Mask:
        person = self.of(who)
        if status is Status.DECIDED:
            return person.decided
        if status is Status.SKIPPED:
            return person.skipped & ~person.decided
        if status is Status.OPEN:
            return ~(person.decided | person.skipped)
        return np.ones(self.size, dtype=np.bool_)

    def second(self, who: str, *, share: float, seed: int) -> Mask:
        """The sentences of the share that is read twice which exactly one other person decided."""
        single = self.num_people == 1
        mask: Mask = share_of(self.ticket, seed, share) & single & ~self.of(who).decided
        return mask

    def ordered(self, order: Order, seed: int) -> Ints:
        """All places in an order."""
        if order is Order.READING:
            return self._reading
        if order is Order.LEAST_SURE:
            return self._least_sure
        if order is Order.FILE:
            return self._in_file
        if seed not in self._random:
            self._random.clear()
            self._random[seed] = np.argsort(mix(self.ticket, seed), kind="stable")
        return self._random[seed]

    @cached_property
    def _reading(self) -> Ints:
        return np.arange(self.size, dtype=np.int64)

    @cached_property
    def _least_sure(self) -> Ints:
        return np.argsort(self.sure, kind="stable").astype(np.int64)

    @cached_property
    def _in_file(self) -> Ints:
        return np.argsort(self.position, kind="stable").astype(np.int64)

    @cached_property
    def _random(self) -> dict[int, Ints]:
        return {}

    def count(self, column: str) -> dict[str, int]:
        """Sentences by value of `topics`, `languages` or `reasons`; most first."""
        array = {"topics": self.topic, "languages": self.language, "reasons": self.reason}[column]
        counts = np.bincount(array, minlength=len(self.names[column]))
        named = zip(self.names[column], map(int, counts), strict=True)
        return dict(sorted(named, key=lambda item: (-item[1], item[0])))

    def count_labels(self) -> dict[Label, int]:
        """Sentences by the judge's label."""
        counts = np.bincount(self.label, minlength=len(LABELS))
        return {label: int(counts[number]) for number, label in enumerate(LABELS)}


def _coded(values: Sequence[str]) -> tuple[list[str], Ints]:
    """The different values, and for each value its number among them."""
    names = sorted(set(values))
    code = {name: number for number, name in enumerate(names)}
    return names, np.array([code[value] for value in values], dtype=np.int64)


def _codes(names: Sequence[str], wanted: Collection[str]) -> list[int]:
    return [number for number, name in enumerate(names) if name in wanted]
