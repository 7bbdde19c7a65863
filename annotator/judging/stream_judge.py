"""Any judge, asynchronously: a judge model in the caller's event loop, another one in workers.

The rule: at most a few batches of tasks are held, whatever the number of tasks.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from annotator.calls.running.source import Items, iterate
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
        async for judged in judge.judge_stream(tasks):
            yield judged
        return
    if processes is not None:
        ask = functools.partial(_judge_in_process, judge)
        async for judged in _in_workers(ask, tasks, processes.executor, processes.count):
            yield judged
        return
    with ThreadPoolExecutor(1) as thread:
        async for judged in _in_workers(functools.partial(judge_batch, judge), tasks, thread, 1):
            yield judged


async def _in_workers(
    ask: Callable[[list[JudgeTask]], Judged],
    tasks: Items[JudgeTask],
    executor: Executor,
    count: int,
) -> AsyncGenerator[Judged, None]:
    loop = asyncio.get_running_loop()
    under_way: dict[asyncio.Future[Judged], list[JudgeTask]] = {}
    try:
        async for batch in in_batches(tasks, BATCH_TASKS):
            while len(under_way) >= _BATCHES_PER_WORKER * count:
                yield await _first(under_way)
            future = loop.run_in_executor(executor, ask, batch)
            under_way[future] = batch
        while under_way:
            yield await _first(under_way)
    finally:
        for future in under_way:
            future.cancel()


async def _first(under_way: dict[asyncio.Future[Judged], list[JudgeTask]]) -> Judged:
    """The batch that is finished first, with the tasks that were given, not copies of them."""
    done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    future = done.pop()
    batch = under_way.pop(future)
    return [(task, outcome) for task, (_, outcome) in zip(batch, future.result(), strict=True)]


def _judge_in_process(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """`judge_batch` in a worker, with the judge of earlier batches: it has its indices."""
    kept = _WORKER_JUDGES.setdefault(content_key(judge.fingerprint()), judge)
    return judge_batch(kept, tasks)


def judge_batch(judge: Judge, tasks: list[JudgeTask]) -> Judged:
    """All of `tasks` judged, in their order."""
    outcomes = {id(task): outcome for batch in judge.judge(tasks) for task, outcome in batch}
    return [(task, outcomes[id(task)]) for task in tasks]


async def in_batches(tasks: Items[JudgeTask], size: int) -> AsyncGenerator[list[JudgeTask], None]:
    """Lists of `size` tasks; the last may be shorter."""
    batch: list[JudgeTask] = []
    async for task in iterate(tasks):
        batch.append(task)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
