"""Several servers of one model: the pace of each, and which is set aside.

The rule: a server that fails several calls in a row, or refuses all calls for a minute, is paused,
each time for longer, and then tried again with one or two calls; when all of them are paused, the
run ends instead of waiting, since a rerun continues. Calls may come from several event loops, so
the counts are changed under a lock; `Pace` guards the gates.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from annotator.models.pacing.gate import Gate
from annotator.models.served_model import ServedModel

MIN_FAILURES_IN_A_ROW = 8
FIRST_REST_S = 5.0
LONGEST_REST_S = 120.0


@dataclass(kw_only=True, eq=False)
class Endpoint:
    """One server. Times are those of one monotonic clock, in seconds."""

    url: str
    gate: Gate
    served: list[str] = field(default_factory=list)
    model: ServedModel | None = None
    kind: str | None = None  # of `server_kinds`; None: not asked yet
    num_lost: int = 0  # counts towards being set aside
    num_failed: int = 0  # server failures since the last answered call
    num_rests: int = 0
    rests_until: float = 0.0
    last_failure: str = ""

    @property
    def num_under_way(self) -> int:
        """Calls under way from this process."""
        return self.gate.in_flight

    def describe_failure(self) -> str:
        """Why it was set aside, in one clause."""
        if refused_s := self.gate.refused_for(time.monotonic()):
            return (
                f"the server at {self.url} has refused every call for {refused_s:.0f} s "
                f"({self.gate.refusals_in_a_row} calls; last: {self.last_failure}); wait until it "
                "accepts calls again or raise its limit, then run the same command: it continues"
            )
        return (
            f"the server at {self.url} stopped answering: {self.num_failed} requests failed "
            f"in a row (last: {self.last_failure})"
        )


class EndpointPool:
    """The servers of a model.

    `patience` is the number of failures in a row after which one is set aside; `make_gate` makes
    the gate of one address.
    """

    def __init__(
        self, urls: Sequence[str], *, patience: int, make_gate: Callable[[str], Gate]
    ) -> None:
        self.endpoints = [Endpoint(url=url, gate=make_gate(url)) for url in urls]
        self._patience = max(MIN_FAILURES_IN_A_ROW, patience)
        self._lock = threading.Lock()

    def awake(self, now: float) -> list[Endpoint]:
        """The servers that are not paused."""
        return [item for item in self.endpoints if item.rests_until <= now]

    def choose(self, now: float, *, but: Endpoint | None = None) -> Endpoint | None:
        """The awake server with the fewest calls under way, not `but`; None when there is none."""
        awake = [item for item in self.awake(now) if item is not but]
        return min(awake, key=lambda item: item.num_under_way, default=None)

    def set_aside(self, endpoint: Endpoint, now: float, why: str) -> None:
        """Pause a server, for twice as long as the last time."""
        with self._lock:
            self._rest(endpoint, now, why)

    def answered(self, endpoint: Endpoint) -> None:
        """A call was answered, with any content: the server works."""
        with self._lock:
            endpoint.num_lost = endpoint.num_failed = endpoint.num_rests = 0
            endpoint.rests_until = 0.0

    def lost(self, endpoint: Endpoint, now: float, why: str) -> None:
        """A call failed because of the server, not because of its content."""
        with self._lock:
            endpoint.num_lost += 1
            endpoint.num_failed += 1
            endpoint.last_failure = why
            if endpoint.num_lost >= self._patience and endpoint.rests_until <= now:
                self._rest(endpoint, now, why)

    def _rest(self, endpoint: Endpoint, now: float, why: str) -> None:
        rest = min(FIRST_REST_S * 2**endpoint.num_rests, LONGEST_REST_S)
        endpoint.num_rests += 1
        endpoint.rests_until = now + rest
        endpoint.last_failure = why
        # After its pause, two more failures set it aside again, not eight.
        endpoint.num_lost = self._patience - 2

    def wake(self) -> None:
        """Try paused servers again now; as after a pause, two more failures set one aside."""
        with self._lock:
            for endpoint in self.endpoints:
                endpoint.rests_until = 0.0

    def notes(self) -> list[str]:
        """One sentence for each paused server."""
        return [
            f"the server at {item.url} was set aside (last: {item.last_failure})"
            for item in self.endpoints
            if item.num_rests
        ]
