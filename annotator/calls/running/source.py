"""Where work comes from: a plain iterable, or an asynchronous one that may keep us waiting.

The rule: nothing is pulled before there is room for it, so a source of any length takes no memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")

Items = Iterable[ItemT] | AsyncIterable[ItemT]


async def iterate(items: Items[ItemT]) -> AsyncGenerator[ItemT, None]:
    """The items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
        return
    for item in items:
        yield item


class Source(Generic[ItemT]):
    """The next item, if there is one now. Use it as an asynchronous context manager.

    A plain iterable is asked directly. An asynchronous one is read ahead by at most `ahead` items
    in a task of its own, which calls `on_item` for each, and once more at the end.
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
        """The next item, or None: not now, or never more (`is_over`). Raises what the items do."""
        if self._plain is not None:
            for item in self._plain:
                return item
            self.is_over = True
            return None
        if self._read:
            self._room.release()
            return self._read.popleft()
        if self._task is not None and self._task.done():
            self.is_over = True
            if self._error is not None:
                raise self._error
        return None

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
        except Exception as error:
            self._error = error
        finally:
            asyncio.get_running_loop().call_soon(self._on_item)

    async def __aenter__(self) -> Source[ItemT]:
        if self._plain is None:
            self._task = asyncio.create_task(self._read_ahead())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
