"""Passes results from work in a separate task to the reader, one after another.

The rule: the work never waits for a single result to be read, only for free space; it ends with its
reader, and what it held (leases, requests, slots) is released before the reader's cancellation
continues.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, Generic, TypeVar

ItemT = TypeVar("ItemT")
MAX_WAITING = 64


class Handover(Generic[ItemT]):
    """Items that several parts of the work put in, and one reader takes out."""

    def __init__(self) -> None:
        self._items: deque[ItemT] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def put(self, items: Iterable[ItemT]) -> None:
        """Pass `items` to the reader; waits while there are more than enough to read."""
        self._items.extend(items)
        self._news.set()
        while len(self._items) >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()

    async def run(self, work: Coroutine[Any, Any, None]) -> AsyncGenerator[ItemT, None]:
        """The items, while `work` puts them in; its error is raised after the last of them."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                while self._items:
                    item = self._items.popleft()
                    self._room.set()
                    yield item
                if task.done():
                    await task
                    return
                await self._news.wait()
                self._news.clear()
        finally:
            await end_task(task)


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end, also where the caller is cancelled meanwhile (again)."""
    task.cancel()
    if await wait_out(task):
        raise asyncio.CancelledError


async def wait_out(future: asyncio.Future[Any]) -> bool:
    """Wait for the end of `future` in any case; returns whether the caller was cancelled."""
    is_cancelled = False
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            is_cancelled = True
    if not future.cancelled():
        future.exception()  # read here, so that none is reported as never retrieved
    return is_cancelled
