"""Long file and CPU work of jobs, in threads of their own.

The rule: a caller that is cancelled still waits for the end of its thread, so nothing is closed
under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from annotator.calls.running.handover import wait_out

ResultT = TypeVar("ResultT")


class Threads:
    """At most `count` pieces of work at the same time. Close it when all have ended."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="maskdpo-job")

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """The result of `work`; a cancelled caller waits for its end, and is cancelled then."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        if await wait_out(future):
            raise asyncio.CancelledError
        return future.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
