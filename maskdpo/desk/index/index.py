"""The index of one file of annotations: lists, neighbours, rows, and what people did with them.

The rule: an index belongs to one state of its files (`mark`): it is made again when the
annotations, the documents or the version of the index changed, and is never needed to keep
anything. Thread-safe: one lock, held for milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from formats.reviews.log import Logged
from maskdpo.desk.index.columns import LABELS, Codes, Columns, Ints, Mask
from maskdpo.desk.index.files import FOLDER, open_index_file
from maskdpo.desk.index.rows import OF_RESPONSE, Rows
from maskdpo.desk.index.states import read_state, states_of, write_state
from maskdpo.desk.index.words import match_of
from maskdpo.desk.model import Filter, Page, Row, State, Status
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.labels import Label
from schemas.reviews import Review

_KEPT_SEARCHES = 32
_MANY, _STEP = 2_000, 200  # responses whose states are set with progress, and its step


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Totals of a file.

    open         sentences that nobody decided
    num_faults   rows that could not be read; `faults` are the first of them
    """

    responses: int
    copies: int
    sentences: int
    open: int
    labels: dict[Label, int]
    reasons: dict[str, int]
    topics: dict[str, int]
    languages: dict[str, int]
    judges: dict[str, int]
    num_faults: int
    faults: Sequence[str]


class Index(Rows):
    """An open index. Make it with `Index.open`."""

    def __init__(
        self, connection: sqlite3.Connection, annotations: Path, documents: Path | None
    ) -> None:
        super().__init__(connection, annotations, documents)
        self._many = connection.executemany
        self._close = connection.close
        (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
        self._file = Path(path)
        self._found: OrderedDict[str, Ints] = OrderedDict()
        self.columns = Columns.read(connection)
        self.version = 0  # grows with each change of a state

    @classmethod
    def open(
        cls,
        annotations: Path,
        documents: Path | None,
        *,
        folder: Path | None = None,
        on_event: OnEvent = ignore,
    ) -> Index:
        """The index of a file, made first where there is none of this state of the files.

        folder   where it is kept [.review next to the annotations]
        """
        folder = folder or annotations.parent / FOLDER
        folder.mkdir(exist_ok=True)
        connection = open_index_file(folder, annotations, documents, on_event)
        return cls(connection, annotations, documents)

    @property
    def is_there(self) -> bool:
        """Whether its file is still there: SQLite does not write to one that was removed."""
        return self._file.exists()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._close()

    def counts(self) -> Counts:
        """Totals of the file."""
        with self._lock:
            responses, copies, judges, num_faults, faults = self._totals
            columns = self.columns
            return Counts(
                responses=responses,
                copies=copies,
                sentences=columns.size,
                open=int((columns.num_people == 0).sum()),
                labels=columns.count_labels(),
                reasons=columns.count("reasons"),
                topics=columns.count("topics"),
                languages=columns.count("languages"),
                judges=judges,
                num_faults=num_faults,
                faults=faults,
            )

    @cached_property
    def _totals(self) -> tuple[int, int, dict[str, int], int, list[str]]:
        """What never changes: responses, copies, responses by judge, rows with faults."""
        (responses,) = self._run("SELECT COUNT(*) FROM responses").fetchone()
        (ids,) = self._run("SELECT COUNT(*) FROM copies").fetchone()
        judges = self._run("SELECT judge, COUNT(*) FROM responses GROUP BY judge").fetchall()
        values = dict(self._run("SELECT name, value FROM meta").fetchall())
        faults = values["faults"].splitlines()
        return responses, ids - responses, dict(judges), int(values["num_faults"]), faults

    def find(
        self,
        wanted: Filter,
        who: str,
        after: int | None = None,
        *,
        limit: int = 50,
        back: bool = False,
        mine: Mask | None = None,
    ) -> Page:
        """Rows of a list, from behind the sentence `after` on, or with `back` before it.

        mine   which sentences may be listed at all (assignment); None: all
        """
        with self._lock:
            places = self._places(wanted, who, mine)
            at = 0
            if after is not None:
                at = self._behind(places, wanted, after)
            if back:
                first = max(0, self._before(places, wanted, after) - limit)
                at = first
            chosen = places[at : at + limit]
            return Page(
                rows=self._rows([int(one) + 1 for one in chosen]),
                total=len(places),
                before=int(chosen[0]) + 1 if at > 0 and len(chosen) else None,
                after=int(chosen[-1]) + 1 if at + limit < len(places) else None,
            )

    def step(
        self,
        wanted: Filter,
        who: str,
        sentence: int,
        *,
        back: bool = False,
        open_only: bool = False,
        mine: Mask | None = None,
    ) -> Row | None:
        """The row next to a sentence in a list; `open_only` leaves out what `who` has done."""
        if open_only and wanted.status is not Status.OPEN:
            wanted = replace(wanted, status=Status.OPEN)
        with self._lock:
            places = self._places(wanted, who, mine)
            if back:
                at = self._before(places, wanted, sentence) - 1
            else:
                at = self._behind(places, wanted, sentence)
            if not 0 <= at < len(places):
                return None
            return self._rows([int(places[at]) + 1])[0]

    def _places(self, wanted: Filter, who: str, mine: Mask | None) -> Ints:
        """The places of a list in its order."""
        found = self._search(wanted.text) if wanted.text.strip() else None
        mask = self.columns.fitting(wanted, who, found, self._second(who))
        if mine is not None:
            mask &= mine
        order = self.columns.ordered(wanted.order, wanted.seed)
        return order[mask[order]]

    share, seed = 0.0, 0  # of sentences that are read twice; set by the desk

    def _second(self, who: str) -> Mask:
        return self.columns.second(who, share=self.share, seed=self.seed)

    def fresh(self, who: str) -> Mask:
        """Which sentences nobody decided, or wait for a second reading by `who`."""
        with self._lock:
            mask: Mask = (self.columns.num_people == 0) | self._second(who)
            return mask

    def response_ids(self) -> list[str]:
        """The ids of all responses that are shown, by number."""
        with self._lock:
            return [name for (name,) in self._run("SELECT id FROM responses ORDER BY n")]

    def _search(self, text: str) -> Ints:
        match = match_of(text)
        if match is None:
            return np.zeros(0, dtype=np.int64)
        if match not in self._found:
            # One text of numbers: a row of Python for each of 150,000 sentences takes longer.
            (listed,) = self._run(
                "SELECT group_concat(rowid) FROM words WHERE words MATCH ?", (match,)
            ).fetchone()
            if len(self._found) >= _KEPT_SEARCHES:
                self._found.popitem(last=False)
            self._found[match] = np.fromstring(listed or "", dtype=np.int64, sep=",") - 1
        return self._found[match]

    def _rank(self, wanted: Filter) -> Ints:
        """For each place, where it is in an order."""
        order = self.columns.ordered(wanted.order, wanted.seed)
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(len(order))
        return rank

    def _behind(self, places: Ints, wanted: Filter, sentence: int) -> int:
        """How many of `places` come before or are the sentence."""
        if not 1 <= sentence <= self.columns.size:
            return 0
        rank = self._rank(wanted)
        return int(np.searchsorted(rank[places], rank[sentence - 1], side="right"))

    def _before(self, places: Ints, wanted: Filter, sentence: int | None) -> int:
        """How many of `places` come before the sentence; None: all."""
        if sentence is None or not 1 <= sentence <= self.columns.size:
            return len(places)
        rank = self._rank(wanted)
        return int(np.searchsorted(rank[places], rank[sentence - 1], side="left"))

    # --- what people did ---

    def state(self, sentence: int) -> State:
        """What people did with a sentence."""
        row = self.row(sentence)
        return self.states_of(row.response)[row.number]

    def states_of(self, response: int) -> list[State]:
        """What people did with each sentence of a response."""
        with self._lock:
            rows = self._run(f"SELECT state {OF_RESPONSE}", (response,))
            return [read_state(text) for (text,) in rows]

    def entries(self, response: int) -> list[Logged]:
        """All reviews of a response and its copies, in the order of the file."""
        with self._lock:
            rows = self._run(
                "SELECT line, json FROM reviews WHERE n = ? ORDER BY line", (response,)
            ).fetchall()
        return [Logged(line=line, review=Review.model_validate_json(text)) for line, text in rows]

    def known_lines(self) -> dict[int, str]:
        """The ids of the reviews that are in the index, by line."""
        with self._lock:
            return dict(self._run("SELECT line, id FROM reviews").fetchall())

    def forget_reviews(self) -> None:
        """Remove all reviews and states, before a file that was replaced is read again."""
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            self._run("DELETE FROM reviews")
            self._run("UPDATE sentences SET state = '' WHERE state != ''")
            self._run("COMMIT")
            columns = self.columns
            columns.people.clear()
            columns.together[:] = -1
            columns.num_people[:] = 0
            columns.conflict[:] = False
            columns.flagged[:] = False
            self.version += 1

    def add_reviews(self, entries: Iterable[Logged], on_event: OnEvent = ignore) -> int:
        """Add reviews, and compute the states of their responses; how many fit no response."""
        strays = 0
        changed: dict[int, None] = {}
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            try:
                for entry in entries:
                    response = self.response_of(entry.review.response_id)
                    if response is None:
                        strays += 1
                    else:
                        changed[response] = None
                    self._run(
                        "INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?)",
                        (entry.line, response, entry.review.id, entry.review.who,
                         entry.review.model_dump_json()),
                    )  # fmt: skip
                self._set_all_states(changed, on_event)
                self._run("COMMIT")
            except BaseException:
                self._run("ROLLBACK")
                raise
            self.version += bool(changed)
        return strays

    def _set_all_states(self, responses: Collection[int], on_event: OnEvent) -> None:
        """The states of responses; of many, with progress."""
        is_long = len(responses) > _MANY
        if is_long:
            on_event(Started(stage="reviews", unit="response", total=len(responses)))
        for number, response in enumerate(responses, start=1):
            self._set_states(response)
            if is_long and number % _STEP == 0:
                on_event(Advanced(stage="reviews", count=_STEP))
        if is_long:
            on_event(Ended(stage="reviews"))

    def _set_states(self, response: int) -> None:
        states = states_of(self.annotation(response), self.entries(response))
        rows = self.rows_of(response)
        self._many(
            "UPDATE sentences SET state = ? WHERE id = ?",
            [(write_state(state), row.id) for row, state in zip(rows, states, strict=True)],
        )
        for row, state in zip(rows, states, strict=True):
            self.columns.set_state(row.id - 1, state)

    def own_labels(self) -> dict[str, Codes]:
        """By person, the label that they decided alone for each sentence: a number of LABELS, or
        below 0."""
        with self._lock:
            return {who: person.own.copy() for who, person in self.columns.people.items()}

    def blind_against_judge(self, who: str) -> Counter[tuple[Label, Label]]:
        """How often a person decided blind on one label, and the judge on another (or the same)."""
        with self._lock:
            person, size = self.columns.of(who), len(LABELS)
            chosen = person.blind & (person.own >= 0)
            both = person.own[chosen].astype(np.int64) * size + self.columns.label[chosen]
        counts = np.bincount(both, minlength=size * size).reshape(size, size)
        return Counter(
            {
                (one, two): int(counts[i, k])
                for i, one in enumerate(LABELS)
                for k, two in enumerate(LABELS)
                if counts[i, k]
            }
        )

    def reviews_of(self, who: str, limit: int, *, before: int | None = None) -> list[Logged]:
        """The last reviews of a person, latest line first; with `before`, those before a line."""
        with self._lock:
            rows = self._run(
                "SELECT line, json FROM reviews WHERE who = ? AND line < ?"
                " ORDER BY line DESC LIMIT ?",
                (who, 2**62 if before is None else before, limit),
            ).fetchall()
        return [Logged(line=line, review=Review.model_validate_json(text)) for line, text in rows]

    def review(self, name: str) -> Review | None:
        """The review with this id; None where there is none."""
        with self._lock:
            found = self._run("SELECT json FROM reviews WHERE id = ?", (name,)).fetchone()
        return None if found is None else Review.model_validate_json(found[0])

    def people(self) -> list[str]:
        """Who made reviews, by name."""
        with self._lock:
            return [who for (who,) in self._run("SELECT DISTINCT who FROM reviews ORDER BY who")]
