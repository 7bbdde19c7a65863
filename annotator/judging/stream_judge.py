"""Any judge, asynchronously: a judge model in the caller's event loop, any other in worker
processes.

The rule: at most a few batches of tasks are held, whatever the number of tasks.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import aclosing
from multiprocessing import get_context, parent_process
from types import TracebackType
from typing import Any, Self

from annotator.calls.running.handover import end_task
from annotator.calls.running.source import Items, in_batches
from annotator.judging.judge import Judge, Judged, JudgeFailure, JudgeTask, StreamingJudge
from schemas.errors import BackendError
from schemas.hashing import content_key

_Future = Future[Judged]
_Submit = Callable[[list[JudgeTask]], _Future]
BATCH_TASKS = 32
_BATCHES_PER_WORKER = 2  # one that is judged and one that waits
# In a worker process: its judges, by the settings that decide their verdicts.
_WORKER_JUDGES: dict[str, Judge] = {}


class JudgeProcesses:
    """Worker processes for judges that compute (the lexical one). Use it as a context manager.

    `count` is the number of processes, `batch_tasks` the most tasks that one of them gets at once:
    few for a short wait, many for little overhead. Both are at least 1; ValueError for fewer.
    Several annotators may share one; a judge is sent to a worker with each batch, so it must be
    small and picklable. The processes start with the first batch. Where one of them is killed, the
    batches under way end with BackendError, and later batches get new processes.
    """

    def __init__(self, count: int, *, batch_tasks: int = BATCH_TASKS) -> None:
        if count < 1:
            raise ValueError(f"count is {count}; at least 1 process is needed")
        if batch_tasks < 1:
            raise ValueError(f"batch_tasks is {batch_tasks}; at least 1 task is needed")
        self.count = count
        self.batch_tasks = batch_tasks
        self._lock = threading.Lock()
        self._is_closed = False
        self._executor = self._start()

    def _start(self) -> ProcessPoolExecutor:
        # Spawned, not forked: a fork of a process with threads and open stores is not safe.
        return ProcessPoolExecutor(
            self.count, mp_context=get_context("spawn"), initializer=_end_with_parent
        )

    def submit(self, ask: Callable[[list[JudgeTask]], Judged], tasks: list[JudgeTask]) -> _Future:
        """Have `tasks` judged in a process."""
        with self._lock:
            try:
                return self._executor.submit(ask, tasks)
            except BrokenProcessPool:
                if self._is_closed:
                    raise
                self._executor.shutdown(wait=False)
                self._executor = self._start()
                return self._executor.submit(ask, tasks)

    async def start(self, judge: Judge) -> None:
        """Start the processes now, and wait until they can judge with `judge`."""
        ask = functools.partial(_judge_in_process, judge)
        begun = [asyncio.wrap_future(self.submit(ask, [])) for _ in range(self.count)]
        await asyncio.gather(*begun)

    def close(self) -> None:
        """End the processes, after their current batches."""
        self._is_closed = True
        self._executor.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


async def stream_judge(
    judge: Judge, tasks: Items[JudgeTask], processes: JudgeProcesses | None = None
) -> AsyncGenerator[Judged, None]:
    """Finished tasks in order of completion. Without `processes` a judge runs in a thread."""
    if isinstance(judge, StreamingJudge):
        judged = judge.judge_stream(tasks)
    elif processes is not None:
        ask = functools.partial(_judge_in_process, judge)
        submit = functools.partial(processes.submit, ask)
        judged = _in_workers(submit, tasks, processes.count, processes.batch_tasks)
    else:
        judged = _in_thread(judge, tasks)
    async with aclosing(judged) as batches:
        async for batch in batches:
            yield batch


async def _in_thread(judge: Judge, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
    with ThreadPoolExecutor(1) as thread:
        ask = functools.partial(judge_batch, judge)
        submit: _Submit = functools.partial(thread.submit, ask)
        async with aclosing(_in_workers(submit, tasks, 1, BATCH_TASKS)) as batches:
            async for batch in batches:
                yield batch


async def _in_workers(
    submit: _Submit, tasks: Items[JudgeTask], count: int, batch_tasks: int
) -> AsyncGenerator[Judged, None]:
    under_way: dict[asyncio.Future[Judged], list[JudgeTask]] = {}
    batches = in_batches(tasks, batch_tasks)
    coming: asyncio.Task[list[JudgeTask] | None] | None = asyncio.create_task(_next(batches))
    fault: BaseException | None = None
    try:
        while coming or under_way:
            has_room = len(under_way) < _BATCHES_PER_WORKER * count
            waited: list[asyncio.Future[Any]] = [*under_way]
            if coming and has_room:
                waited.append(coming)
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if coming in done and coming is not None:
                fault = coming.exception()  # raised after earlier tasks are judged
                batch = None if fault else coming.result()
                coming = None
                if batch is not None:
                    under_way[asyncio.wrap_future(submit(batch))] = batch
                    coming = asyncio.create_task(_next(batches))
            for future in [item for item in under_way if item in done]:
                # The original tasks, not the copies from a process.
                given = under_way.pop(future)
                outcomes = [outcome for _, outcome in future.result()]
                yield list(zip(given, outcomes, strict=True))
        if fault is not None:
            raise fault
    except BrokenProcessPool:
        raise BackendError(
            "a worker process of the judge ended abruptly (killed, or out of memory); its batch "
            "is lost and can be judged again"
        ) from None
    finally:
        for future in under_way:
            future.cancel()
            future.add_done_callback(_read_error)
        try:
            if coming is not None:
                await end_task(coming)
        finally:
            await batches.aclose()


def _read_error(future: asyncio.Future[Judged]) -> None:
    """Retrieve an error that no one waits for, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()


async def _next(batches: AsyncGenerator[list[JudgeTask], None]) -> list[JudgeTask] | None:
    return await anext(batches, None)


def _end_with_parent() -> None:
    """End this worker when its parent ends, also where the parent was killed."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _judge_in_process(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """`judge_batch` in a worker, with the judge of earlier batches: it has its indices."""
    kept = _WORKER_JUDGES.setdefault(content_key(judge.fingerprint()), judge)
    return judge_batch(kept, tasks)


def judge_batch(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """All of `tasks` judged, in their order."""
    outcomes = {id(task): outcome for batch in judge.judge(tasks) for task, outcome in batch}
    missing = JudgeFailure(reason="not_judged", detail=f"the judge {judge.name} left it out")
    return [(task, outcomes.get(id(task), missing)) for task in tasks]
