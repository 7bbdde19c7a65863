"""Group commit: what several callers submit at about the same time is written to disk in one step.

The rule: a future is resolved after the commit of its item and never before. A thread takes all
that was submitted since its last commit, so that all share one wait for the disk: the slower the
disk, the larger the group. A submitted item is committed even if its future was cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class GroupCommit(Generic[ItemT, ResultT]):
    """Calls `commit` with groups of items, in a thread that starts with the first of them.

    `commit` returns a result per item, in order, or raises for the whole group.
    """

    def __init__(self, commit: Callable[[Sequence[ItemT]], Sequence[ResultT]]) -> None:
        self._commit = commit
        self._queue: SimpleQueue[tuple[ItemT, Future[ResultT]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def submit(self, item: ItemT) -> Future[ResultT]:
        """Have `item` committed soon. Raises RuntimeError after `close`."""
        future: Future[ResultT] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("nothing can be submitted to what was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-commit", daemon=True)
                self._thread.start()
            self._queue.put((item, future))
        return future

    def close(self) -> None:
        """Commit what was submitted and end the thread; safe to call twice."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
            thread = self._thread
        # A callback of a future runs in the thread itself, which ends when it returns.
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group = []
            item = self._queue.get()
            while True:
                if item is None:
                    is_last = True
                    break
                group.append(item)
                try:
                    item = self._queue.get_nowait()
                except Empty:
                    break
            if group:
                self._settle(group)

    def _settle(self, group: Sequence[tuple[ItemT, Future[ResultT]]]) -> None:
        waiting = [future.set_running_or_notify_cancel() for _, future in group]
        results: Sequence[ResultT] = ()
        failure: Exception | None = None
        try:
            results = self._commit([item for item, _ in group])
        except Exception as error:  # each caller gets it
            failure = error
        for index, (_, future) in enumerate(group):
            if not waiting[index]:
                continue
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(results[index])
