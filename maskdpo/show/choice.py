"""Which rows are shown: filters, a random sample, a limit.

The rule: only the rows that are shown are kept in memory, however long the file is. A sample
depends on the seed and the rows' ids alone: the same seed shows the same rows, in file order. A
choice that finds nothing is an error that says how many rows were read, and what is in them.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from maskdpo.show.sources import Kind, Shown, Source, count_rows, read_source
from schemas.error_spans import group_pieces
from schemas.errors import ConfigError, Fault, InputError, nearest
from schemas.events import Advanced, Ended, OnEvent, Started, ignore
from schemas.hashing import stable_seed
from schemas.labels import Label
from schemas.records import Annotation, Pair
from schemas.text.counted import count_of
from schemas.text.terminal import one_line

STAGE = "show"
_MANY_ROWS = 5_000  # fewer are read before a bar is drawn
_STEP_ROWS = 500
_MAX_VALUES = 2_000  # distinct topics or ids that are kept for a hint
_MAX_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to show. A row must fit all filters that are given; of one filter, any value.

    labels, reasons   one sentence must have both a label and a reason of these
    ids               of the row, of its question, and of a pair's two responses
    sample            this many rows at random, by `seed`
    limit             at most this many rows
    """

    labels: frozenset[Label] = frozenset()
    topics: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    sample: int | None = None
    seed: int = 0
    limit: int

    @property
    def is_filter(self) -> bool:
        """Whether some rows may not fit."""
        return bool(self.labels or self.topics or self.reasons or self.ids)

    def fits(self, record: Shown) -> bool:
        """Whether a row is one of those asked for."""
        item = record.record
        if self.topics and item.topic not in self.topics:
            return False
        if self.ids and self.ids.isdisjoint(_ids(record)):
            return False
        if not self.labels and not self.reasons:
            return True
        return any(
            (not self.labels or label in self.labels)
            and (not self.reasons or reason in self.reasons)
            for label, reason in _facts(record)
        )


@dataclass(kw_only=True)
class Chosen:
    """The rows to show, and what they were chosen from.

    num_rows       rows of the source, good and bad
    num_matching   rows that fit the filters
    faults         the first rows that could not be read; all are counted
    """

    rows: list[Shown] = field(default_factory=list)
    num_rows: int = 0
    num_matching: int = 0
    num_faults: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def num_left_out(self) -> int:
        """Rows that fit and are not shown."""
        return self.num_matching - len(self.rows)


def choose(source: Source, choice: Choice, *, on_event: OnEvent = ignore) -> Chosen:
    """Read a source and keep what is to be shown.

    Raises ConfigError for a filter that such rows cannot have, InputError where nothing fits or
    no row can be read.
    """
    _refuse_impossible(source, choice)
    chosen = Chosen(num_rows=count_rows(source))
    seen = _Seen()
    rows = _fitting(source, choice, chosen, seen, on_event)
    if choice.sample is not None:
        chosen.rows = _sample(rows, choice)[: choice.limit]
    elif choice.is_filter:
        for row in rows:
            if len(chosen.rows) < choice.limit:
                chosen.rows.append(row)
    else:
        for row in rows:  # the rest is counted, not read
            chosen.rows.append(row)
            if len(chosen.rows) == choice.limit:
                break
        if len(chosen.rows) == choice.limit:
            chosen.num_matching = chosen.num_rows - chosen.num_faults
    if not chosen.rows:
        raise InputError([*chosen.faults, _nothing(source, choice, chosen, seen)])
    return chosen


@dataclass(kw_only=True)
class _Seen:
    """Values of the rows that were read, for a hint."""

    labels: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    ids: Counter[str] = field(default_factory=Counter)

    def add(self, row: Shown, choice: Choice) -> None:
        """Note a row's values, those of the filters that are given."""
        if choice.labels or choice.reasons:
            for label, reason in _facts(row):
                self.labels[label.value] += 1
                if reason:
                    _count(self.reasons, reason)
        if choice.topics:
            _count(self.topics, row.record.topic)
        if choice.ids:
            _count(self.ids, row.record.id)


def _fitting(
    source: Source, choice: Choice, chosen: Chosen, seen: _Seen, on_event: OnEvent
) -> Iterator[Shown]:
    drawn = on_event if chosen.num_rows > _MANY_ROWS else ignore
    drawn(Started(stage=STAGE, total=chosen.num_rows, unit="row"))
    place: tuple[str, int | None] | None = None
    try:
        for number, item in zip(count(1), read_source(source), strict=False):
            if number % _STEP_ROWS == 0:
                drawn(Advanced(stage=STAGE, count=_STEP_ROWS))
            if isinstance(item, Fault):
                chosen.num_faults += place != (item.path, item.line)  # a row may have several
                place = (item.path, item.line)
                chosen.faults += [item] if len(chosen.faults) < _MAX_SHOWN else []
                continue
            if choice.fits(item):
                chosen.num_matching += 1
                yield item
            elif not chosen.num_matching:
                seen.add(item, choice)
    finally:
        drawn(Ended(stage=STAGE))


def _sample(rows: Iterator[Shown], choice: Choice) -> list[Shown]:
    """The rows with the smallest keys, in file order; a key is made of the seed and the id."""
    heap: list[tuple[int, int, Shown]] = []
    for number, row in enumerate(rows):
        key = -stable_seed(choice.seed, f"{row.split}/{row.record.id}")
        entry = (key, number, row)
        if len(heap) < (choice.sample or 0):
            heapq.heappush(heap, entry)
        elif key > heap[0][0]:
            heapq.heapreplace(heap, entry)
    return [row for _, _, row in sorted(heap, key=lambda item: item[1])]


def _facts(row: Shown) -> Iterator[tuple[Label, str]]:
    """Label and reason of each sentence of a row; a pair keeps no reasons."""
    item = row.record
    if isinstance(item, Annotation):
        yield from ((one.verdict.label, one.verdict.reason or "") for one in item.sentences)
    elif isinstance(item, Pair):
        for spans in (item.chosen_spans or (), item.rejected_spans or ()):
            yield from ((pieces[0].label, "") for pieces in group_pieces(spans))


def _ids(row: Shown) -> set[str]:
    item = row.record
    names = {item.id, item.question_id}
    return names | {item.chosen_id, item.rejected_id} if isinstance(item, Pair) else names


def _refuse_impossible(source: Source, choice: Choice) -> None:
    if source.kind is Kind.RESPONSES and (choice.labels or choice.reasons):
        option = "--label" if choice.labels else "--reason"
        raise ConfigError(
            f"{option}: {source.name} holds responses, which have no labels yet; judge them with: "
            "maskdpo annotate"
        )
    if source.kind is Kind.PAIRS and choice.reasons:
        raise ConfigError(
            f"--reason: {source.name} holds pairs, which keep labels and no reasons; show the "
            "annotations they were built from"
        )


def _nothing(source: Source, choice: Choice, chosen: Chosen, seen: _Seen) -> Fault:
    """Why there is nothing to show: the filter that fits no row, and what there is."""
    if not chosen.num_rows:
        return Fault(path=source.name, line=None, message="holds no rows")
    if not choice.is_filter or chosen.num_faults == chosen.num_rows:
        message = f"no row can be shown: {chosen.num_faults:,} of {chosen.num_rows:,} have faults"
        return Fault(path=source.name, line=None, message=message)
    parts = []
    if choice.labels or choice.reasons:
        no_spans = ", as its pairs have no sentence spans" if source.kind is Kind.PAIRS else ""
        parts.append(f"labels: {_listed(seen.labels)}{'' if seen.labels else no_spans}")
    if choice.reasons:
        parts.append(f"reasons: {_hint(choice.reasons, seen.reasons)}")
    if choice.topics:
        parts.append(f"topics: {_hint(choice.topics, seen.topics)}")
    if choice.ids:
        parts.append(f"ids: {_hint(choice.ids, seen.ids)}")
    read = count_of(chosen.num_rows, "row")
    message = f"no row matches, of {read} read. There are {'; '.join(parts)}"
    return Fault(path=source.name, line=None, message=message)


def _hint(wanted: frozenset[str], there: Counter[str]) -> str:
    """The values that are there, most frequent first, and the nearest to what was asked for."""
    names = [name for name in there if name]
    unknown = sorted(wanted - set(names))
    if not names or not unknown:
        return _listed(there)
    hint = nearest(unknown[0], names)
    hint = "" if hint.startswith("known: ") else f": {hint}"  # they are listed already
    return f"{_listed(there)} ({unknown[0]!r} is none of them{hint})"


def _listed(counted: Counter[str]) -> str:
    most = [(name, number) for name, number in counted.most_common() if name]
    if not most:
        return "none"
    # A number after each name, unless all are 1, as those of ids are.
    counts = any(number > 1 for _, number in most)
    shown = [
        one_line(name, 60) + (f" {number:,}" if counts else "")
        for name, number in most[:_MAX_SHOWN]
    ]
    more = [f"{len(most) - _MAX_SHOWN:,} others"] if len(most) > _MAX_SHOWN else []
    return ", ".join([*shown, *more])


def _count(counted: Counter[str], name: str) -> None:
    if name in counted or len(counted) < _MAX_VALUES:
        counted[name] += 1


def order_of_labels(rows: Sequence[Shown]) -> dict[Label, int]:
    """How many sentences of the shown rows have each label, in the order of the labels."""
    counted = Counter(label for row in rows for label, _ in _facts(row))
    return {label: counted[label] for label in Label if counted[label]}
