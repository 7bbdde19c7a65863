"""What workers that share servers exchange with their coordinator, and what a run shows.

The rule: everything here is plain data that can be pickled; times are durations in seconds, since
clocks of several machines differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

REPORT_S = 0.25
"""Seconds between two reports of a worker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaceReport:
    """What one worker did at one server since its last report.

    num_sent      calls sent, refused ones included
    num_accepted  calls that were not refused and have ended
    num_refused   calls refused that were sent after the worker received its present share
    num_late      calls refused that were sent before
    num_timeouts  calls without a reply in time
    num_in_flight calls under way now
    most          calls that the settings allow under way at the server, over all workers
    is_rate_short whether calls waited because the rate was used up
    is_room_short whether calls waited because the room was used up
    latency_s     mean latency of the accepted calls; None without any
    """

    url: str
    model: str
    most: int
    num_sent: int = 0
    num_accepted: int = 0
    num_refused: int = 0
    num_late: int = 0
    num_timeouts: int = 0
    num_in_flight: int = 0
    is_rate_short: bool = False
    is_room_short: bool = False
    latency_s: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PaceShare:
    """What one worker may do at one server until its next report.

    rate      calls per second
    is_known  whether the server has refused calls, so that `rate` comes from a limit
    room      calls under way; 0: none for now
    hold_s    seconds in which nothing may be sent
    """

    url: str
    model: str
    rate: float
    is_known: bool
    room: int
    hold_s: float = 0.0


class SharesPace(Protocol):
    """A coordinator as its workers see it: the object itself, or a handle of a remote one.

    `report` may block for a moment: a worker calls it from a thread of its own. It may raise: the
    worker then stays within its last share and reports again later.
    """

    def report(self, worker: str, reports: Sequence[PaceReport]) -> Sequence[PaceShare]:
        """Take over what `worker` (a unique name) did; its new shares, one per report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaceState:
    """The pace of one server, for progress and metrics.

    url         the server's address
    in_flight   calls under way
    room        calls that may be under way at most
    rate        calls per second that may be sent; None while no limit is known
    num_sent    calls sent, refused ones included
    num_refused calls that the server refused for lack of room
    num_waiting calls that were refused and wait to be sent again
    """

    url: str
    in_flight: int
    room: int
    rate: float | None
    num_sent: int
    num_refused: int
    num_waiting: int
