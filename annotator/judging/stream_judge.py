"""Any judge, asynchronously: a judge model in the caller's event loop, another one in workers.

The rule: at most a few batches of tasks are held, whatever the number of tasks.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import aclosing
from itertools import islice
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self

from annotator.calls.running.source import Items, Source
from annotator.judging.judge import Judge, Judged, JudgeTask, StreamingJudge
from schemas.hashing import content_key

BATCH_TASKS = 32
_BATCHES_PER_WORKER = 2  # one that is judged and one that waits
# In a worker process: its judges by what decides their verdicts.
_WORKER_JUDGES: dict[str, Judge] = {}


class JudgeProcesses:
    """Worker processes for judges that compute (the lexical one). Use it as a context manager.

    Several annotators may share one; a judge travels to a worker with each batch, so it must be
    small and picklable. The processes start with the first batch.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"count is {count}; at least 1 process is needed")
        self.count = count
        # Spawned, not forked: a fork of a process with threads and open stores is not safe.
        self.executor: Executor = ProcessPoolExecutor(count, mp_context=get_context("spawn"))

    def close(self) -> None:
        """End the processes, after the batches they are at."""
        self.executor.shutdown(cancel_futures=True)

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
    """Finished tasks in order of completion. Without `processes` a judge computes in a thread."""
    if isinstance(judge, StreamingJudge):
        judged = judge.judge_stream(tasks)
    elif processes is not None:
        ask = functools.partial(_judge_in_process, judge)
        judged = _in_workers(ask, tasks, processes.executor, processes.count)
    else:
        judged = _in_thread(judge, tasks)
    async with aclosing(judged) as batches:
        async for batch in batches:
            yield batch


async def _in_thread(judge: Judge, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
    with ThreadPoolExecutor(1) as thread:
        ask = functools.partial(judge_batch, judge)
        async with aclosing(_in_workers(ask, tasks, thread, 1)) as batches:
            async for batch in batches:
                yield batch


async def _in_workers(
    ask: Callable[[list[JudgeTask]], Judged],
    tasks: Items[JudgeTask],
    executor: Executor,
    count: int,
) -> AsyncGenerator[Judged, None]:
    loop = asyncio.get_running_loop()
    under_way: dict[asyncio.Future[Judged], list[JudgeTask]] = {}
    batches = in_batches(tasks, BATCH_TASKS)
    coming: asyncio.Task[list[JudgeTask] | None] | None = asyncio.create_task(_next(batches))
    try:
        while coming or under_way:
            has_room = len(under_way) < _BATCHES_PER_WORKER * count
            waited: list[asyncio.Future[Any]] = [*under_way]
            if coming and has_room:
                waited.append(coming)
            done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if coming in done and coming is not None:
                batch = coming.result()
                coming = None
                if batch is not None:
                    under_way[loop.run_in_executor(executor, ask, batch)] = batch
                    coming = asyncio.create_task(_next(batches))
            for future in [item for item in under_way if item in done]:
                # The tasks that were given, not the copies that came back from a process.
                given = under_way.pop(future)
                outcomes = [outcome for _, outcome in future.result()]
                yield list(zip(given, outcomes, strict=True))
    finally:
        for future in under_way:
            future.cancel()
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        await batches.aclose()


async def _next(batches: AsyncGenerator[list[JudgeTask], None]) -> list[JudgeTask] | None:
    return await anext(batches, None)


def _judge_in_process(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """`judge_batch` in a worker, with the judge of earlier batches: it has its indices."""
    kept = _WORKER_JUDGES.setdefault(content_key(judge.fingerprint()), judge)
    return judge_batch(kept, tasks)


def judge_batch(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """All of `tasks` judged, in their order."""
    outcomes = {id(task): outcome for batch in judge.judge(tasks) for task, outcome in batch}
    return [(task, outcomes[id(task)]) for task in tasks]


async def in_batches(tasks: Items[JudgeTask], size: int) -> AsyncGenerator[list[JudgeTask], None]:
    """Lists of at most `size` tasks: what there is now, so that a slow source delays nothing."""
    news = asyncio.Event()
    async with Source(tasks, ahead=size, on_item=news.set) as source:
        while True:
            news.clear()
            batch = list(islice(iter(source.next, None), size))
            if batch:
                yield batch
            elif source.is_over:
                return
            else:
                await news.wait()
