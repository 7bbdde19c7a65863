"""Runs many dialogues over one backend, through the store, within limits.

The rules:

- a stored call is never sent, and equal calls under way are one call;
- a reply is stored before its dialogue sees it, so a killed process loses only what was in flight;
- a server gets each call as soon as it has a free slot (running/stream.py), a local model gets
  calls in rounds (running/rounds.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import cast

from annotator.calls.running.blocking import block_on, in_thread
from annotator.calls.running.open_dialogues import Done, Named, ResultT
from annotator.calls.running.rounds import Rounds
from annotator.calls.running.source import Items, in_batches
from annotator.calls.running.stream import Stream
from annotator.calls.stored_calls import StoredCalls
from annotator.models.backend import Backend, StreamingBackend

__all__ = ["run_dialogues", "stream_dialogues"]


def run_dialogues(
    backend: Backend,
    calls: StoredCalls,
    dialogues: Iterable[Named[ResultT]],
    *,
    window: int | None = None,
) -> Iterator[Done[ResultT]]:
    """Yield (name, result) of each dialogue when it ends; each exactly once.

    `window` bounds how many dialogues of a local model run side by side (None: all). Raises
    LimitReachedError when a limit of the meter is reached, BackendError after too many useless
    replies in a row, and the backend's errors; all replies received by then are stored.
    """
    if backend.streams:
        yield from block_on(stream_dialogues(backend, calls, dialogues))
    else:
        rounds: Rounds[ResultT] = Rounds(backend, calls, dialogues, window=window)
        yield from rounds.run()


async def stream_dialogues(
    backend: Backend,
    calls: StoredCalls,
    dialogues: Items[Named[ResultT]],
    *,
    window: int | None = None,
) -> AsyncGenerator[Done[ResultT], None]:
    """`run_dialogues` in the caller's event loop, for a source that may make the run wait.

    Several may run at once over one backend and one meter: limits, pace and connections are shared.
    When it is closed, requests under way are cancelled and their leases released; all replies
    received so far are stored. A local model works in a thread, and its batch under way is
    finished.
    """
    if backend.streams:
        stream: Stream[ResultT] = Stream(cast(StreamingBackend, backend), calls, dialogues)
        results = stream.run()
    else:
        results = _run_windows(backend, calls, dialogues, window)
    async with aclosing(results):
        async for done in results:
            yield done


async def _run_windows(
    backend: Backend, calls: StoredCalls, dialogues: Items[Named[ResultT]], window: int | None
) -> AsyncGenerator[Done[ResultT], None]:
    """Run windows of dialogues in a thread; they are full unless the source makes the run wait."""
    async with aclosing(in_batches(dialogues, window)) as windows:
        async for named in windows:
            rounds: Rounds[ResultT] = Rounds(backend, calls, named, window=None)
            async with aclosing(in_thread(rounds.run())) as results:
                async for done in results:
                    yield done
