"""One stream of requests: taken from the caller, sent at once, returned as replies arrive.

The rule that limits the loss when the process is killed or cancelled: requests under way, and
replies that arrived but were not yielded yet, are together never more than `concurrency`, and a new
request is taken only after the caller asked for more, that is, after it has stored what was
yielded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from annotator.models.backend import Finished, Request, Take
from annotator.models.openai.endpoints import MIN_FAILURES_IN_A_ROW, EndpointPool
from annotator.models.openai.held_failures import Answered, HeldFailures
from annotator.models.openai.pace import Pace, Seat
from schemas.errors import BackendError

# A full server says nothing about the request; one that is full this often may stay full.
# Fewer than the number that sets a server aside: a single request must not do it.
MOST_REFUSALS = MIN_FAILURES_IN_A_ROW - 2
Ask = Callable[[Request], Coroutine[Any, Any, Answered]]


class RequestStream:
    """The requests of one `stream` call. Used once, in the event loop that made it."""

    def __init__(
        self,
        take: Take,
        *,
        ask: Ask,
        pace: Pace,
        pool: EndpointPool,
        concurrency: int,
        ready: asyncio.Event | None,
    ) -> None:
        self._take = take
        self._ask = ask
        self._pace = pace
        self._pool = pool
        self._concurrency = concurrency
        # Set by the caller, by an arriving reply, and by a slot that becomes free.
        self._news = ready or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._seat = Seat(loop=self._loop, news=self._news)
        self._under_way: set[asyncio.Task[Answered]] = set()
        self._arrived: list[asyncio.Task[Answered]] = []
        self._again: deque[Request] = deque()  # refused by a full server, to be sent again
        self._refusals: Counter[str] = Counter()
        self._held = HeldFailures(patience=max(MIN_FAILURES_IN_A_ROW, concurrency))
        self._stop: BaseException | None = None
        self._is_closing = False

    async def run(self) -> AsyncGenerator[list[Finished], None]:
        """Yield what has finished, until `take` has nothing and nothing is under way."""
        try:
            while True:
                finished = self._sort()
                if finished:
                    self._pace.pause(self._seat)
                    yield finished
                end = self._stop or self._all_rest() or self._all_alike()
                if end is None:
                    self._send()
                else:
                    self._pace.pause(self._seat)
                if self._arrived:
                    continue
                if self._under_way or self._pace.is_waiting(self._seat):
                    await self._news.wait()
                    self._news.clear()
                elif end is not None:
                    # Everything under way has arrived: it was paid for, and might have contained a
                    # reply.
                    raise end
                elif self._news.is_set():
                    self._news.clear()
                elif lost := self._held.release():
                    yield lost
                else:
                    return
        finally:
            await self._cancel()

    def _send(self) -> None:
        """Send as many requests as there are free slots, earlier refused ones first."""
        most = self._concurrency - len(self._under_way) - len(self._arrived)
        room = self._pace.acquire(self._seat, most)
        batch = [self._again.popleft() for _ in range(min(room, len(self._again)))]
        if room > len(batch):
            batch += [request for group in self._take(room - len(batch)) for request in group]
        for request in batch:
            task = self._loop.create_task(self._ask(request))
            self._under_way.add(task)
            task.add_done_callback(self._note)
        self._pace.release(self._seat, room - len(batch))
        if len(batch) == room < most:  # there may be more to send than free slots
            self._pace.wait(self._seat)

    def _note(self, task: asyncio.Task[Answered]) -> None:
        """A request has ended."""
        self._under_way.discard(task)
        self._pace.release(self._seat)
        if not task.cancelled():
            task.exception()  # read here, so that none is reported as never retrieved
        if not (task.cancelled() and self._is_closing):
            self._arrived.append(task)
            self._news.set()

    def _sort(self) -> list[Finished]:
        """The outcomes of ended requests that can be yielded now."""
        ended, self._arrived = self._arrived, []
        answers: list[Answered] = []
        for task in ended:
            # One that other code cancelled must not be missing silently.
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                self._stop = self._stop or error
                continue
            answer = task.result()
            if self._is_too_much(answer):
                self._again.append(answer.finished[0])
            else:
                answers.append(answer)
        return self._held.sort(answers) if answers else []

    def _is_too_much(self, item: Answered) -> bool:
        """Whether a full server refused a request that should be sent again."""
        failure = item.failure
        if failure is None:
            self._pace.answered()
            return False
        if failure.reason != "http_429":
            return False
        self._pace.refused()
        self._refusals[item.finished[0].id] += 1
        return self._refusals[item.finished[0].id] < MOST_REFUSALS

    def _all_rest(self) -> BackendError | None:
        """The error that ends a run when all servers are set aside."""
        if self._pool.choose(time.monotonic()) is not None:
            return None
        return BackendError(
            "; ".join(
                f"the server at {item.url} stopped answering: {item.num_failed} requests failed "
                f"in a row (last: {item.last_failure})"
                for item in self._pool.endpoints
            )
        )

    def _all_alike(self) -> BackendError | None:
        """The error that ends a run without any answer, where all requests failed for one
        reason."""
        why = self._held.all_alike()
        urls = ", ".join(item.url for item in self._pool.endpoints)
        return BackendError(f"{why} at {urls}") if why else None

    async def _cancel(self) -> None:
        """Cancel what is under way, wait for its end, and return every slot."""
        self._is_closing = True
        try:
            under_way = list(self._under_way)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        finally:
            self._pace.leave(self._seat)
