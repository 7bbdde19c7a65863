"""Counts of one process at one moment, as plain data: pickled, added, and sent to another process.

The rule: `+` is associative and commutative, and counts nothing twice: each process counts only its
own work, and the sum of their snapshots is what one process would have counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from annotator.calls.metrics.families import FAMILIES, Merge

Key = tuple[str, ...]
"""The name of a family, then the values of its labels, in the order of `Family.label_names`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The values that a histogram got.

    counts  per bucket of `BOUNDS`, and above the last; not cumulative
    total   their sum, in the unit of the family
    """

    counts: tuple[int, ...]
    total: float = 0.0

    def __add__(self, other: Observed) -> Observed:
        counts = zip(self.counts, other.counts, strict=True)
        return Observed(
            counts=tuple(one + two for one, two in counts), total=self.total + other.total
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsSnapshot:
    """Values of counters and gauges, and of histograms, by key. Never changed."""

    values: Mapping[Key, float] = field(default_factory=dict)
    observed: Mapping[Key, Observed] = field(default_factory=dict)

    def __add__(self, other: MetricsSnapshot) -> MetricsSnapshot:
        values = dict(self.values)
        for key, value in other.values.items():
            values[key] = _merged(FAMILIES[key[0]].merge, values, key, value)
        observed = dict(self.observed)
        for key, found in other.observed.items():
            observed[key] = observed[key] + found if key in observed else found
        return MetricsSnapshot(values=values, observed=observed)

    def at_rest(self, *, is_lost: bool = False) -> MetricsSnapshot:
        """Without the values of the present moment: what is left when the process has ended.

        With `is_lost`, also without rows and sentences: it died, and others do its rows again. Its
        calls were made, and their replies are in the store.
        """
        over = {
            name for name, item in FAMILIES.items() if item.is_now or (is_lost and item.is_redone)
        }
        values = {key: value for key, value in self.values.items() if key[0] not in over}
        return MetricsSnapshot(values=values, observed=self.observed)


def add_up(snapshots: Iterable[MetricsSnapshot]) -> MetricsSnapshot:
    """The sum of all; an empty snapshot for none."""
    return sum(snapshots, MetricsSnapshot())


class MetricsBoard:
    """The last snapshot of each piece of work that several processes do, by the name of the piece.

    Each attempt at a piece counts from 0 (a `RunMetrics` of its own). Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, MetricsSnapshot] = {}
        self._ended = MetricsSnapshot()

    def put(self, piece: str, snapshot: MetricsSnapshot) -> None:
        """The attempt at `piece` has counted this since it began."""
        with self._lock:
            self._latest[piece] = snapshot

    def end(self, piece: str, *, is_lost: bool = False) -> None:
        """The attempt has ended; `is_lost`: its process died, and the rows are done again."""
        with self._lock:
            ended = self._latest.pop(piece, MetricsSnapshot())
            self._ended += ended.at_rest(is_lost=is_lost)

    def total(self) -> MetricsSnapshot:
        """What all of them have counted."""
        with self._lock:
            counted = [self._ended, *self._latest.values()]
        return add_up(counted)


def _merged(merge: Merge, values: Mapping[Key, float], key: Key, value: float) -> float:
    if key not in values:
        return value
    if merge == "sum":
        return values[key] + value
    return min(values[key], value) if merge == "min" else max(values[key], value)
