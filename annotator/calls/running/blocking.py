"""Asynchronous work for synchronous callers: one item after another, as a plain iterator.

The rule: the event loop runs in a separate thread, so it works inside a running loop (a notebook)
as well, and Ctrl-C reaches the caller, never the middle of a request. When the caller stops, for
any reason, the work is closed before the iterator is; at the latest when the interpreter ends.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from annotator.calls.running.handover import wait_out

ItemT = TypeVar("ItemT")
_END: Any = object()


def block_on(items: AsyncGenerator[ItemT, None]) -> Generator[ItemT, None, None]:
    """The items of `items`; closed with the iterator."""
    with LoopThread() as loop:
        yield from iterate_in(loop, items)


def iterate_in(
    loop: LoopThread, items: AsyncGenerator[ItemT, None]
) -> Generator[ItemT, None, None]:
    """The same in a loop that continues afterwards."""
    steps: set[asyncio.Task[Any]] = set()

    async def step() -> Any:
        steps.clear()
        steps.add(asyncio.current_task())  # type: ignore[arg-type]
        return await anext(items, _END)

    async def close() -> None:
        if steps:  # a step whose result was not waited for must end first
            await asyncio.wait(steps)
        await items.aclose()

    try:
        while (item := loop.run(step())) is not _END:
            yield item
    finally:
        if not loop.is_stopped:
            loop.run(close())


class LoopThread:
    """An event loop in a thread. Use it as a context manager; `run` may be called from any other
    thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="maskdpo-loop", daemon=True)
        self.is_stopped = False

    def run(self, work: Coroutine[Any, Any, ItemT]) -> ItemT:
        """The result of `work`; cancelled where the wait for it is interrupted."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

    def __enter__(self) -> Self:
        self._thread.start()
        # An iterator that still exists when the interpreter ends is closed too late: its thread is
        # frozen by then, and waiting for it would never end.
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Cancel what is under way, close what is open and end the thread; safe to call twice."""
        if not self.is_stopped:
            self.is_stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        atexit.unregister(self.stop)
        self.stop()


async def in_thread(items: Iterator[ItemT]) -> AsyncGenerator[ItemT, None]:
    """The items of a plain iterator that blocks, each made in a thread.

    When this is closed, the step under way is waited for: a batch of a local model cannot be
    interrupted.
    """
    with ThreadPoolExecutor(1) as thread:
        loop = asyncio.get_running_loop()
        step: asyncio.Future[Any] | None = None
        try:
            while True:
                step = loop.run_in_executor(thread, next, items, _END)
                item = await asyncio.shield(step)
                if item is _END:
                    return
                yield item
        finally:
            is_cancelled = step is not None and await wait_out(step)
            close = getattr(items, "close", None)
            if close is not None:
                close()  # it releases calls, which takes no time
            if is_cancelled:
                raise asyncio.CancelledError
