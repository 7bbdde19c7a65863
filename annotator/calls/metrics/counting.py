"""Counts the events of runs (schemas/events.py) by who makes the calls.

The rule: every count comes from one event of the code that did the work, so it equals what the
meter, the store and the sidecar say. Any thread may report.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Literal

from annotator.calls.metrics import families as of
from annotator.calls.metrics.families import Family, reason_word
from annotator.calls.metrics.snapshot import Key, MetricsSnapshot, Observed, add_up
from schemas.events import (
    CallAnswered,
    CallAsked,
    CallDropped,
    CallFailed,
    CallRetried,
    CallsServed,
    Event,
    OnEvent,
    RowsFinished,
    RowsFound,
    ServersPaced,
    ignore,
)
from schemas.labels import Label

Role = Literal["judge", "policy", "writer"]
DEFAULT_NAME = "default"
# Who makes the calls of a stage, by the name in its event `Started`.
ROLES: Mapping[str, Role] = {"annotate": "judge", "sample": "policy", "questions": "writer"}


class RunMetrics:
    """The counts of one process. `listener` gives what to pass as `on_event`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._values: defaultdict[Key, float] = defaultdict(float)
        self._counts: dict[Key, list[int]] = {}
        self._totals: defaultdict[Key, float] = defaultdict(float)
        self._reported: dict[Key, int] = {}  # counts of a server, as last reported
        self._others: list[Callable[[], MetricsSnapshot]] = []
        self._lock = threading.Lock()
        self._values[of.START_TIME.name,] = clock()
        self._values[of.BUILD.name, version("maskdpo")] = 1.0

    def listener(self, role: Role, name: str = DEFAULT_NAME) -> OnEvent:
        """Counts the events of one user of a model.

        `name` is one that the settings give: of a judge of the service, of a model that is
        evaluated. Counts that are known to exist are 0 from now on.
        """
        who = (role, name)
        self._begin(who)

        def count(event: Event) -> None:
            with self._lock:
                self._count(who, event)

        return count

    def include(self, read: Callable[[], MetricsSnapshot]) -> None:
        """Count what `read` returns, too: the work of other processes, up to the present."""
        self._others.append(read)

    def snapshot(self) -> MetricsSnapshot:
        """The counts up to now."""
        with self._lock:
            observed = {
                key: Observed(counts=tuple(counts), total=self._totals[key])
                for key, counts in self._counts.items()
            }
            own = MetricsSnapshot(values=dict(self._values), observed=observed)
        return add_up([own, *(read() for read in self._others)])

    def add_sentences(self, role: Role, name: str, labels: list[str]) -> None:
        """Count sentences by the label of their verdict."""
        with self._lock:
            for label in labels:
                self._values[of.SENTENCES.name, role, name, label] += 1

    def _begin(self, who: tuple[str, str]) -> None:
        with self._lock:
            for family in (of.CALLS, of.FROM_STORE, of.UNDER_WAY, of.ROWS_FOUND):
                self._add(family, who, 0)
            for kind in of.TOKEN_KINDS:
                self._add(of.TOKENS, who, 0, kind)
            for outcome in of.OUTCOMES:
                self._add(of.ROWS, who, 0, outcome)
            for label in Label if who[0] == "judge" else ():
                self._add(of.SENTENCES, who, 0, label.value)
            self._counts.setdefault((of.SECONDS.name, *who), [0] * (len(of.BOUNDS) + 1))

    def _add(self, family: Family, who: tuple[str, str], count: float, *labels: str) -> None:
        self._values[family.name, *who, *labels] += count

    def _count(self, who: tuple[str, str], event: Event) -> None:
        match event:
            case CallAsked():
                self._add(of.CALLS, who, 1)
                self._add(of.UNDER_WAY, who, 1)
            case CallsServed():
                self._add(of.FROM_STORE, who, event.count)
            case CallAnswered():
                self._add_reply(who, event)
            case CallFailed():
                self._add(of.UNDER_WAY, who, -1)
                self._add(of.FAILED, who, 1, reason_word(event.reason))
            case CallDropped():
                self._add(of.UNDER_WAY, who, -1)
            case CallRetried():
                self._add(of.RETRIED, who, 1, reason_word(event.reason))
            case RowsFound():
                self._add(of.ROWS_FOUND, who, event.count)
            case RowsFinished():
                self._add_rows(who, event)
            case ServersPaced():
                self._set_servers(who, event)

    def _add_reply(self, who: tuple[str, str], reply: CallAnswered) -> None:
        self._add(of.UNDER_WAY, who, -1)
        self._add(of.TOKENS, who, reply.prompt, "prompt")
        self._add(of.TOKENS, who, reply.cached, "cached")
        self._add(of.TOKENS, who, reply.completion, "completion")
        if reply.cost and reply.currency:
            self._add(of.COST, who, reply.cost, reply.currency)
        if reply.seconds is not None:
            key = (of.SECONDS.name, *who)
            self._counts[key][bisect_left(of.BOUNDS, reply.seconds)] += 1
            self._totals[key] += reply.seconds

    def _add_rows(self, who: tuple[str, str], rows: RowsFinished) -> None:
        self._add(of.ROWS, who, rows.done, "done")
        self._add(of.ROWS, who, rows.failed, "failed")
        for label, count in rows.labels.items():
            self._add(of.SENTENCES, who, count, label)

    def _set_servers(self, who: tuple[str, str], paced: ServersPaced) -> None:
        for item in paced.servers:
            key = (*who, item.server)
            self._values[of.SERVER_CALLS.name, *key] = item.under_way
            self._values[of.SERVER_ROOM.name, *key] = item.room
            self._values[of.SERVER_WAITING.name, *key] = item.waiting
            if item.rate is None:
                self._values.pop((of.SERVER_RATE.name, *key), None)
            else:
                self._values[of.SERVER_RATE.name, *key] = item.rate
            for family, number in ((of.SERVER_SENT, item.sent), (of.SERVER_REFUSED, item.refused)):
                self._values[family.name, *key] += self._more((family.name, *key), number)

    def _more(self, key: Key, number: int) -> int:
        """How much a count of a server has grown since the last report.

        The first report is made before a call: what a backend counted until then belongs to an
        earlier piece of work. A new backend counts from 0 again.
        """
        last, self._reported[key] = self._reported.get(key, number), number
        return number - last if number >= last else number


def listen(metrics: RunMetrics | None, role: Role, name: str = DEFAULT_NAME) -> OnEvent:
    """The listener of `metrics`; without metrics, one that ignores all events."""
    return ignore if metrics is None else metrics.listener(role, name)


def without_rows(listener: OnEvent) -> OnEvent:
    """`listener` for a part of the work that is done again: its rows and sentences do not count."""

    def pass_on(event: Event) -> None:
        if not isinstance(event, RowsFound | RowsFinished):
            listener(event)

    return pass_on
