"""Who may send the next call to one model's servers, over all streams of one backend.

The rule: calls under way never exceed the number of slots, every call has a permit of its server's
gate, and a free permit goes to the waiting stream that holds the fewest, so no stream starves.
Streams may run in several event loops and threads: the state, gates included, is guarded by a lock,
and a stream is woken in its own loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from annotator.models.openai.endpoints import Endpoint, EndpointPool
from annotator.models.pacing.gate import Ticket
from annotator.models.pacing.reports import PaceState

_POLL_S = 0.25  # looks for room that grows with time
_LATE_S = 0.5  # a timer that is this late will not fire: its loop has stopped


@dataclass(kw_only=True, eq=False, slots=True)
class Permit:
    """One call that may be sent to one server.

    ticket      None when the call has ended
    is_suspect  the call was refused while others were accepted: a refusal may be about itself
    """

    endpoint: Endpoint
    ticket: Ticket | None
    is_suspect: bool = False


@dataclass(kw_only=True, eq=False, slots=True)
class Seat:
    """One stream's part of the slots.

    num_held  slots of its calls under way
    granted   permits given while it waited, not yet used
    """

    loop: asyncio.AbstractEventLoop
    news: asyncio.Event
    num_held: int = 0
    granted: list[Permit] = field(default_factory=list)

    @property
    def num_granted(self) -> int:
        """Slots given while it waited."""
        return len(self.granted)

    def wake(self) -> bool:
        """Set `news` in the stream's loop; False where that loop is closed."""
        return self._run(self.news.set)

    def wake_later(self, seconds: float, call: Callable[[], None]) -> bool:
        """Call something in the stream's loop after some seconds; False where it is closed."""
        return self._run(lambda: self.loop.call_later(seconds, call))

    def _run(self, call: Callable[[], object]) -> bool:
        try:
            is_here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_here = False
        try:
            if is_here:
                call()
            else:
                self.loop.call_soon_threadsafe(call)
        except RuntimeError:
            return False
        return True


class Pace:
    """The slots of one model's calls, and the gates of its servers. `most` is the number of slots,
    and `waiting` how many refused calls wait at a server, for `states`."""

    def __init__(
        self, most: int, pool: EndpointPool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._pool = pool
        self._clock = clock
        self._num_used = 0  # held and granted, over all seats
        self._waiting: list[Seat] = []
        self._timer_at: float | None = None
        self._timer_loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.RLock()
        self._num_again: dict[Endpoint, int] = {}

    def acquire(self, seat: Seat, most: int) -> list[Permit]:
        """Up to `most` permits: those granted while `seat` waited (it stops waiting), and free
        ones."""
        with self._lock:
            permits, seat.granted = seat.granted, []
            self._num_used -= len(permits)
            self._stop_waiting(seat)
            for permit in permits[max(0, most) :]:
                self._return(permit)
            permits = permits[: max(0, most)]
            now = self._clock()
            while len(permits) < most and self._num_used + len(permits) < self._most:
                if (free := self._pick(now)) is None:
                    break
                permits.append(free)
            seat.num_held += len(permits)
            self._num_used += len(permits)
            self._hand_out()
            return permits

    def acquire_at(self, seat: Seat, endpoints: Sequence[Endpoint]) -> Permit | None:
        """A free permit of one of these servers; None where there is none now."""
        with self._lock:
            if self._num_used >= self._most:
                return None
            permit = self._pick(self._clock(), endpoints)
            if permit is not None:
                seat.num_held += 1
                self._num_used += 1
            return permit

    def put_back(self, seat: Seat, permits: Sequence[Permit]) -> None:
        """Return permits without having sent a call."""
        with self._lock:
            for permit in permits:
                self._return(permit)
            self._free(seat, len(permits))
            self._hand_out()

    def release(self, seat: Seat, permit: Permit) -> None:
        """Return the slot of a call that has ended; nothing where `seat` has left."""
        with self._lock:
            self._end(permit, is_answer=False)  # where none of the methods below was called
            self._free(seat, 1)
            self._hand_out()

    def answered(self, permit: Permit) -> None:
        """The server replied to a call, with any content."""
        with self._lock:
            self._end(permit, is_answer=True)

    def answered_and_sent(self, permit: Permit) -> None:
        """The server replied to a call, and another one is sent in its place at once."""
        with self._lock:
            self._end(permit, is_answer=True)
            permit.ticket = permit.endpoint.gate.take(self._clock())

    def timed_out(self, permit: Permit) -> None:
        """A call got no reply in time."""
        with self._lock:
            if permit.ticket is not None:
                permit.endpoint.gate.timed_out(permit.ticket, self._clock())
                permit.ticket = None

    def refused(self, permit: Permit, retry_after: float | None) -> None:
        """The server refused a call for lack of room."""
        with self._lock:
            if permit.ticket is not None:
                permit.endpoint.gate.refused(
                    permit.ticket, self._clock(), retry_after, is_suspect=permit.is_suspect
                )
                permit.ticket = None

    def wait(self, seat: Seat) -> None:
        """Wake `seat` when it has been granted a permit, until it next calls `acquire` or
        `pause`."""
        with self._lock:
            self._waiting.append(seat)
            self._hand_out()

    def is_waiting(self, seat: Seat) -> bool:
        """Whether `seat` waits for a permit."""
        with self._lock:
            return seat in self._waiting

    def pause(self, seat: Seat) -> None:
        """Stop waiting: the stream is about to be suspended, and could not use a permit."""
        with self._lock:
            self._stop_waiting(seat)
            self._hand_out()

    def leave(self, seat: Seat) -> None:
        """Return all slots that `seat` holds; its stream has ended."""
        with self._lock:
            self._stop_waiting(seat)
            self._free(seat, seat.num_held)
            self._timer_at = None  # its loop may end now, and the next stream may have another one
            self._hand_out()

    def note_again(self, endpoint: Endpoint, change: int) -> None:
        """`change` more refused calls wait to be sent again."""
        with self._lock:
            self._num_again[endpoint] = self._num_again.get(endpoint, 0) + change

    def states(self) -> list[PaceState]:
        """The pace of each server, in the order of the settings."""
        with self._lock:
            return [
                item.gate.state(item.url, self._num_again.get(item, 0))
                for item in self._pool.endpoints
            ]

    def resize(self, most: int) -> None:
        """Another number of slots."""
        with self._lock:
            self._most = most
            self._hand_out()

    def guard(self) -> threading.RLock:
        """The lock that guards the gates, for code that reads or changes several at once."""
        return self._lock

    def look(self) -> None:
        """Grant what is free now: limits were changed from outside."""
        with self._lock:
            self._hand_out()

    def wake_all(self) -> None:
        """Let every waiting stream look whether it can still be served."""
        with self._lock:
            for seat in self._waiting:
                seat.wake()

    def _end(self, permit: Permit, *, is_answer: bool) -> None:
        if permit.ticket is not None:
            permit.endpoint.gate.ended(permit.ticket, self._clock(), is_answer=is_answer)
            permit.ticket = None

    def _return(self, permit: Permit) -> None:
        if permit.ticket is not None:
            permit.endpoint.gate.put_back(permit.ticket)
            permit.ticket = None

    def _free(self, seat: Seat, count: int) -> None:
        count = min(count, seat.num_held)
        seat.num_held -= count
        self._num_used -= count

    def _pick(self, now: float, among: Sequence[Endpoint] | None = None) -> Permit | None:
        """A permit of the server with the fewest calls under way that takes one now."""
        free = [
            item
            for item in self._pool.awake(now)
            if (among is None or item in among) and item.gate.delay(now) == 0.0
        ]
        if not free:
            return None
        best = min(free, key=lambda item: item.num_under_way)
        return Permit(endpoint=best, ticket=best.gate.take(now))

    def _stop_waiting(self, seat: Seat) -> None:
        if seat in self._waiting:
            self._waiting.remove(seat)
        for permit in seat.granted:
            self._return(permit)
            self._num_used -= 1
        seat.granted = []

    def _hand_out(self) -> None:
        """Grant every free permit to a waiting seat; afterwards no seat waits while one is free."""
        now = self._clock()
        while self._waiting and self._num_used < self._most:
            permit = self._pick(now)
            if permit is None:
                self._look_later(now)
                return
            seat = min(self._waiting, key=lambda item: item.num_held + item.num_granted)
            seat.granted.append(permit)
            self._num_used += 1
            if seat.num_granted == 1 and not seat.wake():
                self._stop_waiting(seat)

    def _look_later(self, now: float) -> None:
        """Look again when the first server takes a call."""
        delays = [item.gate.delay(now) for item in self._pool.awake(now)]
        at = now + min((item for item in delays if item is not None), default=_POLL_S)
        at = min(at, now + _POLL_S) if None in delays else at
        timer = self._timer_at
        is_alive = self._timer_loop is not None and self._timer_loop.is_running()
        if timer is not None and is_alive and now - _LATE_S < timer <= at + 1e-4:
            return
        for seat in list(self._waiting):
            if seat.wake_later(at - now, lambda: self._tick(at)):
                self._timer_at, self._timer_loop = at, seat.loop
                return
            self._stop_waiting(seat)

    def _tick(self, at: float) -> None:
        with self._lock:
            if self._timer_at == at:
                self._timer_at = None
            self._hand_out()
