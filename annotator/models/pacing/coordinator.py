"""One pace for servers that several workers use at once: the limits, and each worker's share.

The rule: the shares of all workers at one server are together never more than its limits. Workers
that use up their share get more than those that do not. A worker that has not reported for
SILENT_S seconds has no share until it reports again.

It is pure apart from its clock, and not safe for threads: guard it with a lock, or put it into one
actor that handles one call at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from annotator.models.pacing.control import PaceControl
from annotator.models.pacing.reports import REPORT_S, PaceReport, PaceShare

SILENT_S = 5.0
_TRY_S = 1.5  # for which one worker may try a server that refuses everything
_GROWTH = 1.25  # what a worker that does not use up its share may still grow by until it reports


@dataclass(kw_only=True, slots=True)
class _Worker:
    """What one worker last reported, and its calls per second lately."""

    at: float
    report: PaceReport
    sent_rate: float = 0.0


class _Server:
    """The limits of one server, and the workers that use it."""

    def __init__(self, most: int, now: float) -> None:
        self.control = PaceControl(most, now)
        self._workers: dict[str, _Worker] = {}
        self._turn = 0

    def take_over(self, name: str, report: PaceReport, now: float) -> None:
        """What a worker did since its last report."""
        known = self._workers.get(name)
        control = self.control
        control.resize(report.most)
        control.sent(now, report.num_sent)
        control.accepted(report.num_accepted, report.latency_s if report.num_accepted else None)
        late = report.num_late
        # Sent within a share from before the last change: that says nothing about the change.
        if known is not None and known.at > control.changed_at and report.num_refused:
            control.refused(now, report.num_refused)
        elif known is None or report.num_refused:
            late += report.num_refused
        if late:
            control.refused_late(now, late)
        elapsed = max(now - known.at, 0.01) if known else REPORT_S
        before = known.sent_rate if known else 0.0
        rate = before + 0.5 * (report.num_sent / elapsed - before)
        self._workers[name] = _Worker(at=now, report=report, sent_rate=rate)
        if report.num_timeouts:
            sent_at = known.at if known else now
            control.timed_out(self.num_in_flight, sent_at, now)
        for other in [key for key, item in self._workers.items() if now - item.at > SILENT_S]:
            del self._workers[other]
        reports = [item.report for item in self._workers.values()]
        control.advance(
            now,
            rate_short=any(item.is_rate_short for item in reports),
            room_short=any(item.is_room_short for item in reports),
        )

    @property
    def num_in_flight(self) -> int:
        """Calls under way from all workers."""
        return sum(item.report.num_in_flight for item in self._workers.values())

    def share(self, name: str, now: float) -> PaceShare:
        """The part of one worker."""
        workers, control = self._workers, self.control
        report = workers[name].report
        rates = fill(
            {
                key: float("inf")
                if item.report.is_rate_short
                else max(item.sent_rate * _GROWTH, 1.0)
                for key, item in workers.items()
            },
            control.rate,
        )
        self._turn += 1
        # A server that refuses everything is tried by one worker, not by all; by another one after
        # a while, since that one may have nothing to send.
        turn = int((now - control.changed_at) / _TRY_S) if control.is_blocked else 0
        tries = sorted(workers)[turn % len(workers)] == name
        return PaceShare(
            url=report.url,
            model=report.model,
            rate=rates[name],
            is_known=control.known_rate is not None,
            room=self._rooms()[name],
            hold_s=2 * REPORT_S if control.is_blocked and not tries else 0.0,
        )

    def _rooms(self) -> dict[str, int]:
        """Whole numbers of calls under way; those left over go to each worker in turn."""
        wanted = {
            key: float("inf")
            if item.report.is_room_short
            else max(item.report.num_in_flight * _GROWTH, 1.0)
            for key, item in self._workers.items()
        }
        room = self.control.room
        rooms = {key: int(value) for key, value in fill(wanted, float(room)).items()}
        names = sorted(rooms)
        left = room - sum(rooms.values())
        for number in range(min(left, len(names))):
            rooms[names[(self._turn // len(names) + number) % len(names)]] += 1
        return rooms


class Coordinator:
    """The limits of all servers of a run. `report` is the interface of `SharesPace`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._servers: dict[tuple[str, str], _Server] = {}

    def report(self, worker: str, reports: Sequence[PaceReport]) -> list[PaceShare]:
        """Take over what `worker` did, and return its new shares, one per report."""
        now = self._clock()
        shares = []
        for item in reports:
            key = (item.url, item.model)
            server = self._servers.get(key)
            if server is None:
                server = self._servers[key] = _Server(item.most, now)
            server.take_over(worker, item, now)
            shares.append(server.share(worker, now))
        return shares


def fill(wanted: Mapping[str, float], amount: float) -> dict[str, float]:
    """`amount` in parts: equal ones, except that none gets more than it wants while others want
    more; what is left is spread over all.

    >>> fill({"a": 1.0, "b": float("inf"), "c": float("inf")}, 9.0)
    {'a': 1.0, 'b': 4.0, 'c': 4.0}
    """
    parts: dict[str, float] = {}
    left, open_names = amount, sorted(wanted, key=lambda name: (wanted[name], name))
    while open_names:
        part = left / len(open_names)
        name = open_names[0]
        if wanted[name] > part:
            break
        parts[name] = wanted[name]
        left -= wanted[name]
        open_names.pop(0)
    for name in open_names:
        parts[name] = left / len(open_names)
    if not open_names and parts:
        parts = {name: value + left / len(parts) for name, value in parts.items()}
    return {name: parts[name] for name in sorted(parts)}
