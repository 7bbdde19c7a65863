"""One stream of requests: taken from the caller, sent at once, returned as replies arrive.

The rule that limits the loss when the process is killed or cancelled: requests under way, those
that wait to be sent again, and replies that arrived but were not yielded yet, are together never
more than `concurrency`, and a new request is taken only after the caller asked for more, that is,
after it has stored what was yielded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from annotator.models.backend import Finished, OnRetry, Request, Take
from annotator.models.openai.endpoints import MIN_FAILURES_IN_A_ROW, EndpointPool
from annotator.models.openai.held_failures import (
    SERVER_FAILURES,
    Answered,
    FailureWindow,
    HeldFailures,
)
from annotator.models.openai.pace import Pace, Permit, Seat
from annotator.models.openai.resends import Again, Resends, earliest, may_be_the_servers
from schemas.errors import BackendError

Ask = Callable[[Request, Permit], Coroutine[Any, Any, Answered]]
_LOOK_S = 0.05  # for a permit of the one server that a call may be sent to


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
        max_retries: int = 0,
        window: FailureWindow | None = None,
        on_retry: OnRetry = lambda key, reason, wait_s: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._take = take
        self._ask = ask
        self._pace = pace
        self._pool = pool
        self._concurrency = concurrency
        self._on_retry = on_retry
        self._check = check  # raises where no call can be sent any more
        # Set by the caller, by an arriving reply, and by a slot that becomes free.
        self._news = ready or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._seat = Seat(loop=self._loop, news=self._news)
        self._under_way: set[asyncio.Task[Answered]] = set()
        self._arrived: list[asyncio.Task[Answered]] = []
        self._again: list[Again] = []
        self._resends = Resends(pool, max_retries=max_retries)
        self._timer: asyncio.TimerHandle | None = None
        self._held = HeldFailures(
            patience=max(MIN_FAILURES_IN_A_ROW, concurrency), window=window or FailureWindow(0)
        )
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
                end = self._find_end()
                if end is None:
                    self._send()
                else:
                    self._pace.pause(self._seat)
                if self._arrived:
                    continue
                is_again = bool(self._again) and end is None
                if self._under_way or is_again or self._pace.is_waiting(self._seat):
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
        """Send as many requests as there are permits, earlier refused ones first."""
        most = self._concurrency - len(self._under_way) - len(self._arrived)
        permits = self._pace.acquire(self._seat, most)
        unused = list(permits)
        try:
            unused = self._send_again(unused, is_last=False)
            num_new = min(len(unused), most - (len(permits) - len(unused)) - len(self._again))
            groups = self._take(num_new) if num_new > 0 else ()
            for request in [request for group in groups for request in group]:
                self._start(request, unused.pop(0))
            unused = self._send_again(unused, is_last=True)
            self._send_elsewhere()
        finally:
            self._pace.put_back(self._seat, unused)
        if not unused and len(permits) < most:  # there may be more to send than permits
            self._pace.wait(self._seat)
        self._wake_for_again()

    def _send_again(self, permits: Sequence[Permit], *, is_last: bool) -> list[Permit]:
        """Send waiting calls again; returns the permits that none of them could use.

        is_last  also those that give way to new calls
        """
        unused: list[Permit] = []
        now = time.monotonic()
        for permit in permits:
            fitting = [
                item
                for item in self._again
                if item.fits(permit.endpoint, now) and (is_last or not item.gives_way)
            ]
            if fitting:
                self._send_waiting(min(fitting, key=lambda item: item.num_refused), permit)
            else:
                unused.append(permit)
        return unused

    def _send_elsewhere(self) -> None:
        """Send waiting calls to the one server that may have them."""
        now = time.monotonic()
        for item in list(self._again):
            allowed = [end for end in self._pool.awake(now) if item.fits(end, now)]
            permit = self._pace.acquire_at(self._seat, allowed) if allowed else None
            if permit is not None:
                self._send_waiting(item, permit)

    def _send_waiting(self, item: Again, permit: Permit) -> None:
        self._forget([item])
        permit.is_suspect = item.is_suspect
        self._start(item.failed.finished[0], permit)

    def _start(self, request: Request, permit: Permit) -> None:
        task = self._loop.create_task(self._ask(request, permit))
        self._under_way.add(task)
        task.add_done_callback(partial(self._note, permit))

    def _wake_for_again(self) -> None:
        """Look again when the first of the waiting calls may be sent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._again:
            seconds = earliest(self._again, time.monotonic())
            is_due = any(item.due <= time.monotonic() for item in self._again)
            if is_due and not self._pace.is_waiting(self._seat):
                seconds = _LOOK_S
            if seconds is not None:
                self._timer = self._loop.call_later(seconds, self._news.set)

    def _note(self, permit: Permit, task: asyncio.Task[Answered]) -> None:
        """A request has ended."""
        self._under_way.discard(task)
        self._pace.release(self._seat, permit)
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
            answers += self._settle(task.result())
        answers += self._give_up()
        return self._held.sort(answers) if answers else []

    def _settle(self, answer: Answered) -> list[Answered]:
        """The calls that have ended for good with this answer: itself, or none, or more."""
        now = time.monotonic()
        again = self._resends.decide(answer, now)
        endpoint, failure = answer.endpoint, answer.failure
        if endpoint is None:
            return [answer]
        if again is None or again.but is not None:
            # Where there are other servers, one that fails a request that they answer is itself
            # the cause.
            is_one = len(self._pool.endpoints) == 1
            is_lost = SERVER_FAILURES.__contains__ if is_one else may_be_the_servers
            if failure is not None and is_lost(failure.reason):
                self._pool.lost(endpoint, now, f"{failure.reason}: {failure.detail}")
            else:
                self._pool.answered(endpoint)
        if again is None or failure is None:
            return [answer]
        self._again.append(again)
        self._pace.note_again(endpoint, 1)
        self._on_retry(answer.finished[0].id, failure.reason, max(0.0, again.due - now))
        return self._end_refusals(again, now) if again.held is not None else []

    def _end_refusals(self, again: Again, now: float) -> list[Answered]:
        """What a server that refuses every call for long leaves: a few calls fail, or it is set
        aside."""
        endpoint, failure = again.held, again.failed.failure
        if endpoint is None or failure is None or not endpoint.gate.refused_for(now):
            return []
        refused = [item for item in self._again if item.held is endpoint]
        others = self._pool.choose(now, but=endpoint)
        if others is None and self._held.has_answer and len(refused) < MIN_FAILURES_IN_A_ROW:
            self._forget(refused)
            return [item.failed for item in refused]
        self._pool.set_aside(endpoint, now, f"{failure.reason}: {failure.detail}")
        return []

    def _give_up(self) -> list[Answered]:
        """Waiting calls that no server may have any more: their failures are final."""
        now = time.monotonic()
        lost = [
            item
            for item in self._again
            if item.but is not None and self._pool.choose(now, but=item.but) is None
        ]
        self._forget(lost)
        return [item.failed for item in lost]

    def _forget(self, items: Sequence[Again]) -> None:
        """These no longer wait."""
        for item in list(items):
            self._again.remove(item)
            if item.failed.endpoint is not None:
                self._pace.note_again(item.failed.endpoint, -1)

    def _all_rest(self) -> BackendError | None:
        """The error that ends a run when all servers are set aside."""
        if self._pool.choose(time.monotonic()) is not None:
            return None
        return BackendError("; ".join(item.describe_failure() for item in self._pool.endpoints))

    def _find_end(self) -> BaseException | None:
        """The error that ends the stream; None while it continues. A reply that was under way may
        change it, but not once too many calls have failed."""
        self._check()
        end = self._stop or self._all_rest()
        if end is not None:
            return end
        urls = ", ".join(item.url for item in self._pool.endpoints)
        if why := self._held.too_many():
            self._stop = BackendError(
                f"{why} at {urls}; repair the cause, then run the same command: it continues, and "
                "with --retry-failed it asks the failed calls again"
            )
            return self._stop
        why = self._held.all_alike()
        return BackendError(f"{why} at {urls}") if why else None

    async def _cancel(self) -> None:
        """Cancel what is under way, wait for its end, and return every slot."""
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._forget(self._again)
        try:
            under_way = list(self._under_way)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        finally:
            self._pace.leave(self._seat)
