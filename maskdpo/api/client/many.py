"""Many annotations at once, given in the order of their completion.

The rule: at most `concurrency` requests are under way, and a response is pulled only when there is
room for it, so a source of any length needs no memory. What is under way when the caller stops is
cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from annotator.calls.running.source import Items, Source
from maskdpo.api.client.edge import Edge
from maskdpo.api.client.given import Given
from maskdpo.api.client.single import annotate_one_of_many
from maskdpo.api.inputs import ResponseLike
from maskdpo.api.results import JudgedResponse
from schemas.errors import ConfigError
from schemas.records import Failure, Response
from schemas.validation import show_value

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Responses = Path | Iterable[ResponseLike] | AsyncIterable[ResponseLike]
MAX_CONCURRENCY = 1024


def check_concurrency(given: object) -> int:
    """Raise ConfigError for anything but a number of requests."""
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    if not is_whole or not 1 <= given <= MAX_CONCURRENCY:  # type: ignore[operator]
        raise ConfigError(
            f"concurrency is {show_value(given)}, but it must be from 1 to {MAX_CONCURRENCY}"
        )
    return given  # type: ignore[return-value]


async def annotate_many(
    edge: Edge, given: Given, responses: Items[ResponseLike], concurrency: int
) -> AsyncGenerator[JudgedResponse | Failure, None]:
    """Results of any number of responses."""

    async def judge(response: Response | Failure) -> JudgedResponse | Failure:
        return await annotate_one_of_many(edge, given, response)

    async with (
        aclosing(given.maker.each_async(responses)) as records,
        aclosing(_in_parallel(records, judge, concurrency)) as results,
    ):
        async for result in results:
            yield result


async def _in_parallel(
    items: Items[ItemT], work: Callable[[ItemT], Awaitable[ResultT]], concurrency: int
) -> AsyncGenerator[ResultT, None]:
    news = asyncio.Event()
    running: set[asyncio.Task[ResultT]] = set()

    async def run(item: ItemT) -> ResultT:
        try:
            return await work(item)
        finally:
            news.set()

    async with Source(items, ahead=concurrency, on_item=news.set) as source:
        try:
            while running or not source.is_over:
                news.clear()
                while len(running) < concurrency and (item := source.next()) is not None:
                    running.add(asyncio.create_task(run(item)))
                done = {task for task in running if task.done()}
                running -= done
                for task in done:
                    yield task.result()
                if not done and (running or not source.is_over):
                    await news.wait()
            source.check()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
