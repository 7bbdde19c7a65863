"""Judges single responses as they come, all of one judge in one stream of tasks.

The rule: one stream per judge, so that slots, commits and connections are shared by all requests,
and one faulty response never fails another: where a stream ends with an unexpected error, each of
its tasks is judged again by itself (what was asked is in the store and costs nothing).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from annotator.calls.running.handover import end_task
from annotator.judging.annotator import Annotator
from annotator.judging.cascade_judge import CascadeJudge
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.llm_judge import LlmJudge
from annotator.service.admission import BusyError
from schemas.errors import MaskDpoError
from schemas.records import Verdict

Outcome = list[Verdict] | JudgeFailure
OnVerdicts = Callable[[int, Sequence[Verdict]], None]
"""`on_verdicts(first, verdicts)`: verdicts of the sentences from number `first` on."""

# Documents with more characters are indexed in a thread, so that other requests are not delayed.
_LONG_CHARS = 50_000


@dataclass(eq=False, slots=True, kw_only=True)
class _Order:
    """A task that a request waits for."""

    task: JudgeTask
    future: asyncio.Future[Outcome]
    on_verdicts: OnVerdicts | None
    came: float
    num_told: int = 0


class Engine:
    """One judge at work. Used in one event loop; close it before the annotator's store.

    `max_wait_s` is the longest time that a task may wait before it begins; None: any.
    """

    def __init__(self, annotator: Annotator, *, max_wait_s: float | None = None) -> None:
        self.annotator = annotator
        self._max_wait_s = max_wait_s
        self._orders: deque[_Order] = deque()  # not yet in the stream
        self._inside: dict[int, _Order] = {}  # by the id of their task
        self._news = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        judge = annotator.judge
        # A cascade judges its tasks chunk by chunk: a shared stream would make requests wait.
        self._is_shared = not isinstance(judge, CascadeJudge)
        if isinstance(judge, LlmJudge):
            judge.on_verdicts = self._tell

    async def judge(self, task: JudgeTask, *, on_verdicts: OnVerdicts | None = None) -> Outcome:
        """The verdicts on one task.

        Cancelled, a task that has not begun is dropped; one that has begun continues, and its
        replies are stored. Raises BackendError where the judge's servers fail, LimitReachedError
        at a limit, BusyError where it has waited too long to begin.
        """
        if sum(len(item.text) for item in task.documents) > _LONG_CHARS:
            await self._index(task)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        order = _Order(task=task, future=future, on_verdicts=on_verdicts, came=loop.time())
        if not self._is_shared:
            return await self._judge_alone(order)
        self._orders.append(order)
        self._news.set()
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        outcome = await future
        if on_verdicts and isinstance(outcome, list) and not order.num_told:
            on_verdicts(0, outcome)  # a judge that decides whole responses
        return outcome

    async def close(self) -> None:
        """Cancel what is under way; its stored replies stay."""
        if self._worker is not None:
            await end_task(self._worker)

    async def _index(self, task: JudgeTask) -> None:
        judge = self.annotator.judge
        if isinstance(judge, LlmJudge):
            await asyncio.to_thread(judge.prepare, task)

    async def _work(self) -> None:
        """Run streams until nothing waits; each error ends one stream."""
        try:
            while True:
                try:
                    await self._run_stream()
                except MaskDpoError as error:
                    self._fail(error)
                except Exception as error:
                    if not self._inside:
                        self._fail(error)
                    await self._judge_each()
        finally:
            self._cancel_all()

    async def _run_stream(self) -> None:
        async with aclosing(self.annotator.judge_stream(self._tasks())) as batches:
            async for batch in batches:
                for task, outcome in batch:
                    _settle(self._inside.pop(id(task)), outcome)

    async def _tasks(self) -> AsyncGenerator[JudgeTask, None]:
        """Tasks as they come; without end."""
        while True:
            while self._orders:
                order = self._orders.popleft()
                if self._is_late(order):
                    order.future.set_exception(BusyError(1))
                elif not order.future.done():
                    self._inside[id(order.task)] = order
                    yield order.task
            self._news.clear()
            await self._news.wait()

    def _is_late(self, order: _Order) -> bool:
        if self._max_wait_s is None or order.future.done():
            return False
        return asyncio.get_running_loop().time() - order.came > self._max_wait_s

    async def _judge_each(self) -> None:
        """Judge what was inside a stream that ended unexpectedly, each task by itself."""
        inside, self._inside = list(self._inside.values()), {}
        await asyncio.gather(*(self._settle_alone(order) for order in inside))

    async def _settle_alone(self, order: _Order) -> None:
        try:
            _settle(order, await self._judge_alone(order))
        except Exception as error:
            if not order.future.done():
                order.future.set_exception(error)

    async def _judge_alone(self, order: _Order) -> Outcome:
        async with aclosing(self.annotator.judge_stream([order.task])) as batches:
            async for batch in batches:
                for _, outcome in batch:
                    return outcome
        return JudgeFailure(reason="not_judged", detail="the judge left it out")

    def _tell(self, task: JudgeTask, first: int, verdicts: Sequence[Verdict]) -> None:
        order = self._inside.get(id(task))
        if order is not None and order.on_verdicts is not None:
            order.num_told += len(verdicts)
            order.on_verdicts(first, verdicts)

    def _fail(self, error: Exception) -> None:
        """Pass an error that concerns the whole judge to all that wait inside it."""
        failed = list(self._inside.values()) or list(self._orders)
        if not self._inside:
            self._orders.clear()
        self._inside.clear()
        for order in failed:
            if not order.future.done():
                order.future.set_exception(error)

    def _cancel_all(self) -> None:
        for order in (*self._inside.values(), *self._orders):
            order.future.cancel()
        self._inside.clear()
        self._orders.clear()


def _settle(order: _Order, outcome: Outcome) -> None:
    if not order.future.done():
        order.future.set_result(outcome)
