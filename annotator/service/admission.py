"""Back-pressure: which requests are still taken, so that all of these are answered in time.

The rule: a request is refused before any work is done for it. At most `most` are inside; where
`max_wait_s` is given (a judge that computes), a request is also refused if those inside would take
longer than that, by the measured seconds per finished request.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_HALF_LIFE_S = 2.0  # how fast old measurements lose their weight
_PRIOR_S, _PRIOR_WEIGHT = 0.01, 4.0  # assumed seconds per request before the first measurements


class BusyError(Exception):
    """No room now; try again in `retry_after_s` seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the judge has all the requests it can take; retry in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Admission:
    """The requests inside one judge. Used in one event loop.

    most         the most requests inside
    max_wait_s   the longest expected wait in seconds; None: not measured (a judge that waits for
                 servers does many at once)
    always       this many are let in whatever was measured
    """

    def __init__(
        self,
        *,
        most: int,
        max_wait_s: float | None = None,
        always: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._max_wait_s = max_wait_s
        self._always = always
        self._clock = clock
        self.num_inside = 0
        self._busy_s = _PRIOR_S * _PRIOR_WEIGHT  # time with a request inside, decayed
        self._finished = _PRIOR_WEIGHT  # requests that ended in that time, decayed
        self._seen = clock()

    @property
    def seconds_per_request(self) -> float:
        """Measured seconds between two finished requests while there is work."""
        return self._busy_s / max(self._finished, 1e-9)

    def enter(self) -> None:
        """Count one more request inside; BusyError where there is no room for it."""
        self._measure()
        wait_s = self.num_inside * self.seconds_per_request
        is_long = self._max_wait_s is not None and wait_s > self._max_wait_s
        if self.num_inside >= self._most or (is_long and self.num_inside >= self._always):
            raise BusyError(max(1, math.ceil(wait_s if self._max_wait_s is not None else 1.0)))
        self.num_inside += 1

    def finish(self) -> None:
        """A request was judged: only these show how fast the judge is."""
        self._measure()
        self._finished += 1.0

    def leave(self) -> None:
        """A request has ended, judged or not."""
        self._measure()
        self.num_inside -= 1

    def _measure(self) -> None:
        now = self._clock()
        passed, self._seen = now - self._seen, now
        if self.num_inside:
            fade = 0.5 ** (passed / _HALF_LIFE_S)
            self._busy_s = self._busy_s * fade + passed
            self._finished *= fade
