"""Dialogues over servers: a call is sent as soon as there is a free slot.

The rule: replies are stored when they arrive, whether or not anyone waits for results. The work is
done in a separate task; a caller that does not take results stops new dialogues, and loses nothing.
One commit stores all replies that arrived during the commit before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Generic

from annotator.calls.dialogue import Ask
from annotator.calls.running.handover import end_task
from annotator.calls.running.open_dialogues import (
    MAX_HELD,
    POLL_S,
    Done,
    Named,
    OpenDialogue,
    OpenDialogues,
    ResultT,
    make_request,
)
from annotator.calls.running.pace_reports import reporting_paces
from annotator.calls.running.source import Items, Source
from annotator.calls.stored_calls import ClaimedCalls, StoredCalls
from annotator.models.backend import Outcome, Request, StreamingBackend
from schemas.events import CallAsked, CallRetried

_READ_AHEAD = 64


class Stream(Generic[ResultT]):
    """One run of dialogues over a backend that streams."""

    def __init__(
        self,
        backend: StreamingBackend,
        calls: StoredCalls,
        dialogues: Items[Named[ResultT]],
    ) -> None:
        self._backend = backend
        self._calls = calls
        self._open: OpenDialogues[ResultT] = OpenDialogues(backend, calls)
        self._ready: deque[Request] = deque()
        self._waiting: dict[str, list[OpenDialogue[ResultT]]] = {}
        self._elsewhere: dict[str, Request] = {}
        self._under_way: dict[str, Request] = {}
        self._last_poll = 0.0
        self._work = asyncio.Event()  # a call can be made now that could not before
        self._news = asyncio.Event()  # there are results, or the end
        backend.on_retry = self._report_retry
        self._source: Source[Named[ResultT]] = Source(
            dialogues, ahead=_READ_AHEAD, on_item=self._work.set
        )

    async def run(self) -> AsyncGenerator[Done[ResultT], None]:
        """Yield results when dialogues end; closing this cancels what is under way."""
        task = asyncio.create_task(self._work_off())
        task.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._open.done:
                    done = self._open.collect()
                    self._work.set()  # more results can be kept
                    yield done
                if task.done() and not self._open.done:
                    await task
                    return
                if task.done():
                    self._news.set()
        finally:
            try:
                await end_task(task)
            finally:
                self._let_go()

    def _report_retry(self, key: str, reason: str, wait_s: float) -> None:
        self._calls.meter.on_event(CallRetried(key=key, reason=reason, wait_s=wait_s))

    def _let_go(self) -> None:
        """Release calls that were cancelled: any process may make them."""
        for request in self._under_way.values():
            self._calls.meter.abandon(request)
        self._calls.store.release(self._under_way)

    async def _work_off(self) -> None:
        """Make calls until the source has ended and no call is left."""
        paced = reporting_paces(self._backend, self._calls.meter.on_event)
        async with self._source, self._backend.connected(), paced:
            while True:
                self._work.clear()
                self._fill()
                if self._ready and self._open.is_halted:
                    raise self._open.stop()
                if self._ready:
                    await self._ask()
                elif self._elsewhere:
                    await self._wait(POLL_S)
                    self._poll()
                elif self._source.is_over:
                    self._source.check()
                    return
                else:  # for an item of the source, or for the caller to take results
                    await self._wait(None)

    async def _ask(self) -> None:
        is_idle = True
        async with aclosing(self._backend.stream(self._take, self._work)) as stream:
            async for finished in stream:
                is_idle = False
                answers = await self._calls.keep(finished)
                for key in answers:
                    self._under_way.pop(key, None)
                self._resume(answers)
        if is_idle and not self._open.is_halted:
            # No free slot: other runs that share the meter use them, and their replies will arrive.
            await self._wait(POLL_S)

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._work.wait()
        except TimeoutError:
            pass

    def _fill(self) -> None:
        """Begin dialogues until one has a call to make, as long as more results can be kept."""
        while not self._ready and len(self._open.done) < MAX_HELD:
            item = self._source.next()
            if item is None:
                return
            name, dialogue = item
            self._advance(OpenDialogue(name=name, dialogue=dialogue), None)

    def _advance(self, item: OpenDialogue[ResultT], answer: Outcome | None) -> None:
        """Continue until the dialogue makes a call or ends."""
        while True:
            asked = self._open.send(item, answer)
            if asked is None:
                self._news.set()
                return
            key, ask = asked
            if key in self._waiting:
                self._waiting[key].append(item)
                return
            found = self._calls.find([key]).get(key)
            if found is None:
                self._wait_for(key, ask, item)
                return
            self._calls.meter.serve(1)
            answer = found

    def _wait_for(self, key: str, ask: Ask, item: OpenDialogue[ResultT]) -> None:
        self._waiting[key] = [item]
        self._ready.append(make_request(key, ask))

    def _resume(self, answers: Mapping[str, Outcome]) -> None:
        """Send stored answers to the dialogues that wait for them."""
        for key, answer in answers.items():
            for item in self._waiting.pop(key):
                self._advance(item, answer)

    def _take(self, limit: int) -> list[list[Request]]:
        if self._elsewhere and time.monotonic() - self._last_poll > POLL_S:
            self._poll()
        taken: list[Request] = []
        while len(taken) < limit and (wanted := self._admit(limit - len(taken))):
            claimed = self._claim(wanted)
            for request in wanted:
                if request.id in claimed.mine:
                    self._under_way[request.id] = request
                    taken.append(request)
                else:
                    self._calls.meter.withdraw([request])
                    self._leave_to_others(request)
            for key in claimed.mine:
                self._calls.meter.on_event(CallAsked(key=key))
            self._serve(claimed.found)
        return [[request] for request in taken]

    def _claim(self, wanted: Sequence[Request]) -> ClaimedCalls:
        try:
            return self._calls.claim(request.id for request in wanted)
        except BaseException:
            self._calls.meter.withdraw(wanted)
            raise

    def _admit(self, most: int) -> list[Request]:
        """Requests that are ready and fit the limits, counted as under way."""
        admitted: list[Request] = []
        while len(admitted) < most and not self._open.is_halted:
            self._fill()
            if not self._ready:
                break
            if not self._calls.meter.start([self._ready[0]]):
                if self._serve_from_other_stores():
                    continue
                # Calls under way were counted at their maximum: when they arrive, the limit may
                # allow more.
                self._open.is_at_limit = not self._calls.meter.refusing.num_under_way
                break
            admitted.append(self._ready.popleft())
        return admitted

    def _serve_from_other_stores(self) -> bool:
        """Whether the next request, which does not fit the limits, needs no call: another store of
        the run has its reply."""
        found = self._calls.find_elsewhere(self._ready[0].id)
        if found:
            self._ready.popleft()
            self._calls.meter.serve(1)
            self._resume(found)
        return bool(found)

    def _leave_to_others(self, request: Request) -> None:
        """Another process makes this call, or has made it: look for its reply from time to time."""
        self._elsewhere[request.id] = request
        asyncio.get_running_loop().call_later(POLL_S, self._work.set)

    def _poll(self) -> None:
        """Calls that another process had under way: stored by now, or released when it ended."""
        self._last_poll = time.monotonic()
        claimed = self._calls.claim(self._elsewhere)
        self._calls.store.release(claimed.mine)  # `_take` claims what it takes
        self._ready.extend(self._elsewhere.pop(key) for key in claimed.mine)
        self._serve(claimed.found)

    def _serve(self, found: Mapping[str, Outcome]) -> None:
        """Replies that others stored while this run waited."""
        for key in found:
            del self._elsewhere[key]
        self._calls.meter.serve(len(found))
        self._resume(found)
