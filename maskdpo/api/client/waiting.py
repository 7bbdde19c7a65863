"""Asynchronous work of a client for callers that wait for it: an event loop in a thread.

The rule: the loop starts with the first work and ends with the client, so connections are kept
between calls, whichever thread makes them.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
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
        """The items of `items`, which is closed with the iterator."""
        yield from iterate_in(self._started(), items)

    def close(self) -> None:
        """Close all connections and end the loop."""
        with self._lock:
            self._is_closed = True
            if self._thread is not None and not self._thread.is_stopped:
                self._thread.run(self.edge.close())
                self._thread.__exit__(None, None, None)

    def _started(self) -> LoopThread:
        with self._lock:
            if self._is_closed:
                raise ConfigError("the client is closed; make a new one")
            if self._thread is None:
                self._thread = LoopThread().__enter__()
            return self._thread
