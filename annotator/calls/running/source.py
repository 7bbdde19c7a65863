"""Where work comes from: a plain iterable, or an asynchronous one that may make the run wait.

The rule: nothing is pulled before it can be used, so a source of any length needs no memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from itertools import islice
from typing import Generic, TypeVar

from annotator.calls.running.handover import end_task

ItemT = TypeVar("ItemT")

Items = Iterable[ItemT] | AsyncIterable[ItemT]


async def iterate(items: Items[ItemT]) -> AsyncGenerator[ItemT, None]:
    """The items of either kind of iterable; an asynchronous generator is closed with this one."""
    if isinstance(items, AsyncIterable):
        iterator = aiter(items)
        try:
            async for item in iterator:
                yield item
        finally:
            await _close(iterator)
        return
    for item in items:
        yield item


class Source(Generic[ItemT]):
    """The next item, if one is ready. Use it as an asynchronous context manager.

    A plain iterable is asked directly. An asynchronous one is read ahead by at most `ahead` items
    in a separate task, which calls `on_item` for each, and once more at the end. Where the items
    end with an error, `check` raises it: earlier items can be finished first.
    """

    def __init__(self, items: Items[ItemT], *, ahead: int, on_item: Callable[[], None]) -> None:
        self._items = items
        self._plain = None if isinstance(items, AsyncIterable) else iter(items)
        self._read: deque[ItemT] = deque()
        self._room = asyncio.Semaphore(ahead)
        self._on_item = on_item
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self.is_over = False

    def next(self) -> ItemT | None:
        """The next item, or None: none is ready, or there are no more (`is_over`)."""
        if self._plain is not None:
            try:
                if not self.is_over:
                    for item in self._plain:
                        return item
            except Exception as error:
                self._error = error
            self.is_over = True
            return None
        if self._read:
            self._room.release()
            return self._read.popleft()
        if self._task is not None and self._task.done():
            self.is_over = True
        return None

    def check(self) -> None:
        """Raise the error with which the items ended, if any."""
        if self._error is not None:
            raise self._error

    async def _read_ahead(self) -> None:
        assert isinstance(self._items, AsyncIterable)
        iterator = aiter(self._items)
        try:
            while True:
                await self._room.acquire()
                self._read.append(await anext(iterator))
                self._on_item()
        except StopAsyncIteration:
            pass
        except BaseException as error:  # a cancelled source has ended early, too
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            try:
                await _close(iterator)
            finally:
                asyncio.get_running_loop().call_soon(self._on_item)

    async def __aenter__(self) -> Source[ItemT]:
        if self._plain is None:
            self._task = asyncio.create_task(self._read_ahead())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_task(self._task)


async def in_batches(items: Items[ItemT], size: int | None) -> AsyncGenerator[list[ItemT], None]:
    """Lists of at most `size` items: those that are ready, so that a slow source delays nothing.

    They are full as long as the source does not make the run wait. Without `size` there is no
    bound.
    """
    news = asyncio.Event()
    async with Source(items, ahead=size or sys.maxsize, on_item=news.set) as source:
        while True:
            news.clear()
            batch = list(islice(iter(source.next, None), size))
            if batch:
                yield batch
            elif source.is_over:
                source.check()
                return
            else:
                await news.wait()


async def _close(iterator: AsyncIterator[ItemT]) -> None:
    if isinstance(iterator, AsyncGenerator):
        await iterator.aclose()
