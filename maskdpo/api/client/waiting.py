"""Asynchronous work of a client for callers that wait for it: an event loop in a thread.

The rule: the loop starts with the first work and ends with the client, so connections are kept
between calls, whichever thread makes them.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import suppress
from typing import Any, TypeVar

from annotator.calls.running.blocking import LoopThread, iterate_in
from maskdpo.api.client.edge import Edge
from schemas.errors import ConfigError

ResultT = TypeVar("ResultT")


class Waiting:
    """The loop of one client, and what it sends with. Used from any thread."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._open: set[AsyncGenerator[Any, None]] = set()
        self._is_closed = False

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """The result of `work`, which is cancelled where the wait for it is interrupted."""
        try:
            thread = self._started()
        except ConfigError:
            work.close()
            raise
        return thread.run(work)

    def iterate(self, items: AsyncGenerator[ResultT, None]) -> Generator[ResultT, None, None]:
        """The items of `items`, which is closed with the iterator, or with the client."""
        rows = iterate_in(self._started(), items)
        self._open.add(items)
        try:
            for row in rows:
                yield row
                self._started()
        finally:
            self._open.discard(items)
            rows.close()

    def close(self) -> None:
        """Close what is open, all connections and the loop; safe to call twice."""
        with self._lock:
            thread, self._thread, self._is_closed = self._thread, None, True
        if thread is not None and not thread.is_stopped:
            atexit.unregister(self.close)
            thread.run(self._close())
            thread.__exit__(None, None, None)

    async def _close(self) -> None:
        for items in list(self._open):
            with suppress(RuntimeError):  # another thread waits for its next item
                await items.aclose()
        await self.edge.close()

    def _started(self) -> LoopThread:
        with self._lock:
            if self._is_closed:
                raise ConfigError("the client is closed; make a new one")
            if self._thread is None:
                self._thread = LoopThread().__enter__()
                atexit.register(self.close)  # before the loop is stopped there
            return self._thread
