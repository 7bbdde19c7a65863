"""When the next call to one server may be sent: rate, room, and pauses after refusals.

The rule: every call passes here before it is sent, also one that is sent again. After a refusal
nothing is sent for a moment; then one call tries whether the server accepts again, each time after
twice the pause, or after the time that the server asked for. Times are seconds of one monotonic
clock, passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from annotator.models.pacing.control import FIRST_CALLS
from annotator.models.pacing.reports import PaceState

_FIRST_PAUSE_S = (0.05, 0.5)
_RAMP_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 8.0
_GRACE_S = (0.02, 0.25)  # a call that was not refused for this long is taken as accepted
_BURST_S = 0.03  # calls that may be caught up on, in seconds of the rate
_LOOK_AGAIN_S = 0.2  # while the room rises without a reply: the first may take a minute
_FEWEST_BURST = 1.25
PATIENCE_S = 60.0
"""A server that has refused every call for this long is not waited for."""
_FEWEST_REFUSALS = 4  # in a row, before that


@dataclass(kw_only=True, eq=False, slots=True)
class Ticket:
    """A call under way at one server.

    num_others  calls under way there when it was sent
    """

    sent_at: float
    num_others: int


class Limits(Protocol):
    """Where a gate takes its limits from, and what it reports; see `PaceControl`."""

    @property
    def rate(self) -> float:
        """Calls per second that may be sent now."""

    @property
    def known_rate(self) -> float | None:
        """`rate`, or None while the server has refused nothing."""

    @property
    def room(self) -> int:
        """Calls that may be under way."""

    @property
    def room_rises(self) -> bool:
        """Whether `room` rises with time, also while no call ends."""

    def sent(self, at: float, count: int = 1) -> None:
        """Calls were sent; a negative count takes some back."""

    def accepted(self, count: int, latency: float | None = None) -> None:
        """Calls got a reply, after `latency` seconds."""

    def advance(self, now: float, *, rate_short: bool, room_short: bool) -> None:
        """Let limits that are used up rise."""

    def refused(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that were sent after the last change of the limits."""

    def refused_late(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that say nothing new: only counted."""

    def refused_for_room(self, num_others: int) -> None:
        """The server refuses whenever that many calls are under way."""

    def timed_out(self, num_in_flight: int, sent_at: float, now: float) -> None:
        """A call got no reply in time."""


class RoomSuspicion:
    """Whether refusals come from a limit on calls under way: all that pass find fewer of them."""

    def __init__(self) -> None:
        self._refused = 0  # others under way at the last refusal; 0: none known
        self._most_passed = -1
        self._num_passed = 0

    def passed(self, num_others: int) -> None:
        """A call passed with that many others under way."""
        self._most_passed = max(self._most_passed, num_others)
        self._num_passed += 1

    def refused(self, num_others: int) -> int:
        """A call was refused; the suspected limit, or 0 where the refusals do not suggest one."""
        is_one = (
            0 < self._refused <= num_others
            and self._num_passed >= 5
            and self._most_passed < self._refused
        )
        found = self._refused if is_one else 0
        self._refused, self._most_passed, self._num_passed = num_others, -1, 0
        return found


class Gate:
    """The calls to one server from this process."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.in_flight = 0
        self.num_sent = 0
        self.num_refused = 0
        self.num_accepted = 0
        self._accepted_at = float("-inf")
        self.refused_since: float | None = None  # the server has accepted nothing since
        self.refusals_in_a_row = 0
        self._tokens = float(FIRST_CALLS)
        self._filled_at = now
        self._rate_short_at = self._room_short_at = float("-inf")
        self._open_since = float("-inf")  # refusals of calls sent before say nothing new
        self._closed_until: float | None = None
        self._probe: Ticket | None = None
        self._pause = 0.0
        self._refusal_latency = _GRACE_S[0]
        self._suspicion = RoomSuspicion()
        self._under_way: set[Ticket] = set()
        self._was_refused = False

    def delay(self, now: float) -> float | None:
        """Seconds until a call may be sent; 0.0: now. None: when a call under way has ended."""
        self._refresh(now)
        if self._closed_until is not None:
            return self._closed_until - now
        if self.in_flight >= self.limits.room:
            self._room_short_at = now
            return _LOOK_AGAIN_S if self.limits.room_rises else None
        if self._probe is not None:
            return max(self._probe.sent_at + self._grace - now, 0.001)
        if self._tokens >= 1.0:
            return 0.0
        self._rate_short_at = now
        return (1.0 - self._tokens) / max(self.limits.rate, 1e-6) + 1e-4

    def take(self, now: float) -> Ticket:
        """A call is sent. Whether it may was asked with `delay`; one sent without asking counts."""
        ticket = Ticket(sent_at=now, num_others=self.in_flight)
        self.in_flight += 1
        self.num_sent += 1
        self._under_way.add(ticket)
        self._tokens -= 1.0
        self.limits.sent(now)
        if self._pause and self._probe is None:
            self._probe = ticket
        return ticket

    def put_back(self, ticket: Ticket) -> None:
        """A call that was allowed was not sent."""
        self._end(ticket)
        self.num_sent -= 1
        self._tokens += 1.0
        self.limits.sent(ticket.sent_at, -1)
        if self._probe is ticket:
            self._probe = None

    def ended(self, ticket: Ticket, now: float, *, is_answer: bool) -> None:
        """A call ended without a refusal; `is_answer` when the server replied."""
        self._end(ticket)
        if not is_answer:
            return
        self.num_accepted += 1
        self._accepted_at = now
        self.refused_since = None
        self.refusals_in_a_row = 0
        self.limits.accepted(1, now - ticket.sent_at)
        if ticket.sent_at >= self._open_since:
            self._suspicion.passed(ticket.num_others)
        if self._probe is not None and ticket.sent_at >= self._probe.sent_at:
            self._open(self._probe.sent_at)

    def timed_out(self, ticket: Ticket, now: float) -> None:
        """A call got no reply in time."""
        self.limits.timed_out(self.in_flight, ticket.sent_at, now)
        self._end(ticket)

    def refused(
        self,
        ticket: Ticket,
        now: float,
        retry_after: float | None,
        *,
        is_suspect: bool = False,
    ) -> None:
        """The server refused a call for lack of room, and asked to wait `retry_after` seconds.

        `is_suspect`: the call itself may be the cause, since others were accepted meanwhile.
        """
        self._end(ticket)
        self.num_refused += 1
        self.refusals_in_a_row += 1
        if self.refused_since is None:
            self.refused_since = now
        self._refusal_latency += 0.3 * (now - ticket.sent_at - self._refusal_latency)
        is_trial = ticket is self._probe
        is_late = ticket.sent_at < self._open_since or self._closed_until is not None
        if is_late or (is_suspect and not is_trial):
            self.limits.refused_late(now, sent_at=ticket.sent_at)
            return
        for item in self._under_way:
            if self._open_since <= item.sent_at < now - self._grace:
                self._suspicion.passed(item.num_others)
        room = self._suspicion.refused(ticket.num_others)
        if room:
            self.limits.refused_for_room(room)
            self.limits.refused_late(now, sent_at=ticket.sent_at)
        else:
            self.limits.refused(now, sent_at=ticket.sent_at)
        self._close(now, retry_after)

    def accepted_within(self, seconds: float, now: float) -> bool:
        """Whether a call got a reply in the last `seconds`."""
        return now - self._accepted_at <= seconds

    def refused_for(self, now: float) -> float:
        """Seconds for which the server has refused every call; 0.0 where it may still accept."""
        if self.refused_since is None or self.refusals_in_a_row < _FEWEST_REFUSALS:
            return 0.0
        seconds = now - self.refused_since
        return seconds if seconds >= PATIENCE_S else 0.0

    def state(self, url: str, num_waiting: int) -> PaceState:
        """What progress and metrics show."""
        return PaceState(
            url=url,
            in_flight=self.in_flight,
            room=self.limits.room,
            rate=self.limits.known_rate,
            num_sent=self.num_sent,
            num_refused=self.num_refused,
            num_waiting=num_waiting,
        )

    def hold(self, now: float, seconds: float) -> None:
        """Send nothing for some seconds."""
        until = now + seconds
        if self._closed_until is None or until > self._closed_until:
            self._closed_until = until
            self._pause = self._pause or _FIRST_PAUSE_S[0]

    @property
    def _grace(self) -> float:
        return min(max(2 * self._refusal_latency, _GRACE_S[0]), _GRACE_S[1])

    def _end(self, ticket: Ticket) -> None:
        self.in_flight -= 1
        self._under_way.discard(ticket)

    def _close(self, now: float, retry_after: float | None) -> None:
        is_again = self._probe is not None  # the call that tried was refused, too
        self._probe = None
        low, high = _FIRST_PAUSE_S
        first = min(max(1.5 / max(self.limits.rate, 1e-6), low), high)
        if not self._was_refused:  # the rate was far too high
            self._was_refused, first = True, _RAMP_PAUSE_S
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S) if is_again else first
        is_full = is_again and self._pause > 3 * first
        wait = max(self._pause, retry_after or 0.0) if is_full else self._pause
        self._closed_until = now + wait

    def _open(self, since: float) -> None:
        self._probe = None
        self._pause = 0.0
        self._open_since = since

    def _refresh(self, now: float) -> None:
        """Fill the bucket, end pauses, and let limits rise."""
        if self._closed_until is not None:
            if now < self._closed_until:
                self._filled_at = now
                return
            self._closed_until = None
            self._open_since = now
            self._tokens, self._filled_at = 1.0, now
        if self._probe is not None and now >= self._probe.sent_at + self._grace:
            self._open(self._probe.sent_at)
        rate = self.limits.rate
        most = max(_FEWEST_BURST, rate * _BURST_S)
        if self.limits.known_rate is None:
            most = max(most, float(FIRST_CALLS))
        self._tokens = min(self._tokens + (now - self._filled_at) * rate, most)
        self._filled_at = now
        if self._probe is None and not self._pause:
            recent = now - max(0.25, 2 / max(rate, 1e-6))
            self.limits.advance(
                now,
                rate_short=self._rate_short_at >= recent,
                room_short=self._room_short_at >= recent,
            )
