"""How many calls of one model are under way at once, over all streams of one backend.

The rule: calls under way never exceed the number of slots, and a free slot goes to the waiting
stream that holds the fewest, so no stream starves. Streams may run in several event loops and
threads: the counts are guarded by a lock, and a stream is woken in its own loop.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass


@dataclass(kw_only=True, eq=False, slots=True)
class Seat:
    """One stream's part of the slots.

    num_held     slots of its calls under way
    num_granted  slots given while it waited, not yet used
    """

    loop: asyncio.AbstractEventLoop
    news: asyncio.Event
    num_held: int = 0
    num_granted: int = 0

    def wake(self) -> bool:
        """Set `news` in the stream's loop; False where that loop is closed."""
        try:
            is_here = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            is_here = False
        try:
            if is_here:
                self.news.set()
            else:
                self.loop.call_soon_threadsafe(self.news.set)
        except RuntimeError:
            return False
        return True


class Pace:
    """The slots of one model's calls: fewer while full servers refuse calls, then more again.

    Additive increase, multiplicative decrease, as TCP does it (RFC 5681): a refusal removes a
    tenth, and a number of replies equal to the number of slots adds one.
    """

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._room = float(most)
        self._num_used = 0  # held and granted, over all seats
        self._waiting: list[Seat] = []
        self._lock = threading.Lock()

    @property
    def room(self) -> int:
        """Calls that may be under way; at least one."""
        return max(1, int(self._room))

    def refused(self) -> None:
        """A full server refused a call."""
        with self._lock:
            self._room = max(1.0, self._room * 0.9)

    def answered(self) -> None:
        """A call got a reply."""
        with self._lock:
            self._room = min(self._most, self._room + 1 / self._room)
            self._hand_out()

    def acquire(self, seat: Seat, most: int) -> int:
        """Up to `most` slots: those granted while `seat` waited (it stops waiting), and free
        ones."""
        with self._lock:
            self._stop_waiting(seat)
            count = max(0, min(most, self.room - self._num_used))
            seat.num_held += count
            self._num_used += count
            self._hand_out()
            return count

    def release(self, seat: Seat, count: int = 1) -> None:
        """Return `count` slots that `seat` holds; none where it has left."""
        with self._lock:
            count = min(count, seat.num_held)
            seat.num_held -= count
            self._num_used -= count
            self._hand_out()

    def wait(self, seat: Seat) -> None:
        """Wake `seat` when it has been granted a slot, until it next calls `acquire` or `pause`."""
        with self._lock:
            self._waiting.append(seat)
            self._hand_out()

    def is_waiting(self, seat: Seat) -> bool:
        """Whether `seat` waits for a slot."""
        with self._lock:
            return seat in self._waiting

    def pause(self, seat: Seat) -> None:
        """Stop waiting: the stream is about to be suspended, and could not use a slot."""
        with self._lock:
            self._stop_waiting(seat)
            self._hand_out()

    def leave(self, seat: Seat) -> None:
        """Return all slots that `seat` holds; its stream has ended."""
        with self._lock:
            self._stop_waiting(seat)
            self._num_used -= seat.num_held
            seat.num_held = 0
            self._hand_out()

    def _stop_waiting(self, seat: Seat) -> None:
        if seat in self._waiting:
            self._waiting.remove(seat)
            self._num_used -= seat.num_granted
            seat.num_granted = 0

    def _hand_out(self) -> None:
        """Grant every free slot to a waiting seat; afterwards no seat waits while one is free."""
        while self._waiting and self._num_used < self.room:
            seat = min(self._waiting, key=lambda item: item.num_held + item.num_granted)
            seat.num_granted += 1
            self._num_used += 1
            if seat.num_granted == 1 and not seat.wake():
                self._stop_waiting(seat)
