"""The limits of one server, found from what it accepts and refuses: calls per second, and at once.

The rule: until the first refusal both grow quickly, from FIRST_CALLS calls; a refusal sets the rate
to what the server was just measured to accept, a little less, and it rises again as `Climb`
describes. Refusals of calls that were sent before the last change say nothing new. The more
often the server refuses at the same rate, the longer that rate is kept.

Pure: time is passed in, in seconds of one monotonic clock, and counts may come from one process or
as sums over many.
"""

from __future__ import annotations

from collections import defaultdict

from annotator.models.pacing.climb import Climb

FIRST_CALLS = 5  # calls that are sent before anything is known
FIRST_ROOM = 8  # calls under way before anything is known
DOUBLE_S = 0.15  # until the first refusal the rate doubles in this time, or in a reply's latency
SLOWEST_DOUBLE_S = 2.0
_BIN_S = 0.05
_KEPT_S = 120.0
_CHAIN_S = 3.0  # refusals closer than this belong together
_FEWEST = 5  # passed calls from which a rate is measured
_START, _PLATEAU = 0.95, 0.98
_SAME = (0.85, 1.15)  # ratio of two ceilings that confirm each other
_FIRST_HOLD_S = 2.0
_HOLD_S = 8.0  # longest hold at rates above _HOLD_CALLS / _HOLD_S
_HOLD_CALLS = 90.0  # passed calls per hold at low rates: one refused call among them is about 1%
_LONGEST_HOLD_S = 300.0
_SHORT_BLOCK_S = 0.2
_LOW, _NEAR = 0.8, 0.96


class Passed:
    """Calls that passed, by the time they were sent; a call counts until it is refused."""

    def __init__(self) -> None:
        self._bins: defaultdict[int, int] = defaultdict(int)
        self._swept = 0

    def add(self, at: float, count: int) -> None:
        """`count` more calls sent at `at`, or fewer where it is negative."""
        self._bins[int(at / _BIN_S)] += count
        if len(self._bins) > 2 * _KEPT_S / _BIN_S:
            first = int((at - _KEPT_S) / _BIN_S)
            for number in [number for number in self._bins if number < first]:
                del self._bins[number]

    def between(self, start: float, end: float) -> int:
        """Calls sent in that time; bins of 50 ms."""
        first, last = int(start / _BIN_S) + 1, int(end / _BIN_S)
        if last - first > len(self._bins):
            return sum(n for at, n in self._bins.items() if first <= at <= last)
        return sum(self._bins.get(at, 0) for at in range(first, last + 1))


class PaceControl:
    """What one server may be sent. `most` is the largest number of calls under way."""

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._began: float | None = None  # the first call
        self._now = now
        self._passed = Passed()
        self._latency: float | None = None
        self._ramp_rate = FIRST_CALLS * 0.69 / DOUBLE_S
        self._ramp_room = float(min(FIRST_ROOM, most))
        self._rate: Climb | None = None
        self._room: Climb | None = None
        self._refused_at = float("-inf")
        self._chain_at = 0.0
        self._blocked_at: float | None = None
        self._anchor = 0.0  # the ceiling before the present chain of refusals
        self._anchor_streak = 0
        self._streak = 0
        self._room_streak = 0
        self._timed_out_at = float("-inf")

    @property
    def rate(self) -> float:
        """Calls per second that may be sent now."""
        return self._ramp_rate if self._rate is None else self._rate.value

    @property
    def known_rate(self) -> float | None:
        """`rate`, or None before the first refusal: no limit is known."""
        return None if self._rate is None else self._rate.value

    @property
    def room(self) -> int:
        """Calls that may be under way."""
        value = self._ramp_room if self._room is None else self._room.value
        return max(1, min(self._most, int(value + 1e-9)))

    @property
    def is_blocked(self) -> bool:
        """Whether calls were refused again and again, and none has passed since."""
        blocked = self._blocked_at
        return blocked is not None and self._refused_at - blocked >= _SHORT_BLOCK_S

    @property
    def room_rises(self) -> bool:
        """Whether `room` rises with time, also while no call ends."""
        return self._room is not None or self._ramp_room < self._most

    def resize(self, most: int) -> None:
        """Another largest number of calls under way."""
        self._most = most

    @property
    def changed_at(self) -> float:
        """When calls were last refused that were sent within the limits of their time."""
        return self._refused_at

    def sent(self, at: float, count: int = 1) -> None:
        """Calls were sent; a negative count takes some back."""
        if self._began is None:
            self._began = at
        self._passed.add(at, count)

    def accepted(self, count: int, latency: float | None = None) -> None:
        """Calls got a reply, after `latency` seconds."""
        if latency is not None:
            known = latency if self._latency is None else self._latency
            self._latency = known + 0.1 * (latency - known)
        if self._room is None:
            self._ramp_room = min(float(self._most), self._ramp_room + count)

    def advance(self, now: float, *, rate_short: bool, room_short: bool) -> None:
        """Let limits that are used up rise for the time since the last call."""
        step = min(max(0.0, now - self._now), 0.5)
        self._now = now
        self._end_block(now)
        if rate_short and self._blocked_at is None:
            if self._rate is None:
                slow = min(max(DOUBLE_S, self._latency or 0.0), SLOWEST_DOUBLE_S)
                self._ramp_rate = min(self._ramp_rate * 2 ** (step / slow), 1e6)
            else:
                self._rate.used_s += step
        if room_short and self._blocked_at is None:
            if self._room is None:
                grown = self._ramp_room * 2 ** (step / SLOWEST_DOUBLE_S)
                self._ramp_room = min(float(self._most), grown)
            else:
                self._room.used_s += step

    def refused(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that were sent after the last change of the limits."""
        self.refused_late(now, count, sent_at=sent_at)
        if self._rate is None:
            self._chain_at = now
            self._limit(max(float(self._passed.between(now - 1.0, now)), float(FIRST_CALLS)))
        elif now - self._refused_at > _CHAIN_S:
            self._anchor, self._anchor_streak = self._rate.ceiling, self._streak
            self._chain_at = now
            span = min(max(2.0, 10 / self.rate), 4.0)
            recent = (self._passed.between(now - span, now) + 0.5) / span  # half: of the cut bin
            least = _LOW if self._rate.is_fast else _NEAR
            self._limit(min(self.rate, max(recent, least * self.rate)))
        elif self._passed.between(self._refused_at, now) > 0:
            span = now - self._chain_at
            num_passed = self._passed.between(self._chain_at, now)
            measured = num_passed / span if num_passed >= _FEWEST and span > 0 else self.rate
            self._limit(min(self.rate, measured))
        if self._blocked_at is None:
            self._blocked_at = now
        self._refused_at = now

    def refused_late(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that were sent before the last change: only counted."""
        self._passed.add(now if sent_at is None else sent_at, -count)

    def refused_for_room(self, num_others: int) -> None:
        """The server refuses whenever that many calls are under way."""
        ceiling = float(max(1, num_others))
        is_same = self._room is not None and abs(self._room.ceiling - ceiling) <= 1
        self._room_streak = self._room_streak + 1 if is_same else 0
        hold = min(_HOLD_S, _FIRST_HOLD_S * 2**self._room_streak)
        self._room = Climb(ceiling=ceiling, start=1.0, plateau=1.0, hold_s=hold)

    def timed_out(self, num_in_flight: int, sent_at: float, now: float) -> None:
        """A call got no reply in time: half as many at once, once per round of calls."""
        if sent_at >= self._timed_out_at:
            self._timed_out_at = now
            half = max(1.0, min(num_in_flight, self.room) / 2)
            self._room = Climb(ceiling=half, start=1.0, plateau=1.0, hold_s=_FIRST_HOLD_S)

    def _limit(self, ceiling: float) -> None:
        """A new ceiling of the rate."""
        ceiling = max(ceiling, 0.01)
        is_same = self._anchor > 0 and _SAME[0] < ceiling / self._anchor < _SAME[1]
        self._streak = self._anchor_streak + 1 if is_same else 0
        longest = min(max(_HOLD_S, _HOLD_CALLS / ceiling), _LONGEST_HOLD_S)
        hold = min(longest, _FIRST_HOLD_S * 3.0 ** min(self._streak, 20))
        self._rate = Climb(ceiling=ceiling, start=_START, plateau=_PLATEAU, hold_s=hold)

    def _end_block(self, now: float) -> None:
        """After a time without a passed call: whether less passes than before."""
        if self._blocked_at is None or self._rate is None:
            return
        if not self._passed.between(self._refused_at, now):
            return
        # Up to the last refusal: the pause after it may have been longer than needed.
        end = self._refused_at
        blocked = end - self._blocked_at
        self._blocked_at = None
        if blocked < _SHORT_BLOCK_S or self._began is None:
            return
        span = min(max(1.0, 2 * blocked, 8 / self.rate), _KEPT_S, max(1.0, end - self._began))
        measured = max(1, self._passed.between(end - span, end)) / span
        if measured < _LOW * self._rate.ceiling:
            self._limit(measured)
