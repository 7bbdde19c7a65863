"""Dialogues over a local model: one call of every dialogue in the window, then the next one.

The rule: round r holds the r-th call of every dialogue of a window, stored or not, so that batches,
and with them the last bits of every reply, do not depend on what an earlier run had finished.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic

from annotator.calls.running.open_dialogues import (
    POLL_S,
    Done,
    Named,
    OpenDialogue,
    OpenDialogues,
    ResultT,
    make_request,
)
from annotator.calls.stored_calls import StoredCalls
from annotator.models.backend import Backend, Outcome, Request
from schemas.events import CallAsked

Pending = Sequence[tuple[OpenDialogue[ResultT], Outcome | None]]


class Rounds(Generic[ResultT]):
    """One run of dialogues over a backend that works in batches."""

    def __init__(
        self,
        backend: Backend,
        calls: StoredCalls,
        dialogues: Iterable[Named[ResultT]],
        *,
        window: int | None,
    ) -> None:
        self._backend = backend
        self._calls = calls
        self._open: OpenDialogues[ResultT] = OpenDialogues(backend, calls)
        self._source = iter(dialogues)
        self._window = window

    def run(self) -> Iterator[Done[ResultT]]:
        """Yield results when dialogues end, and an empty list after every batch."""
        while named := list(islice(self._source, self._window)):
            pending: Pending[ResultT] = [
                (OpenDialogue(name=name, dialogue=dialogue), None) for name, dialogue in named
            ]
            while pending:
                pending = yield from self._round(pending)
            yield self._open.collect()

    def _round(self, pending: Pending[ResultT]) -> Generator[Done[ResultT], None, Pending[ResultT]]:
        """Make one call of each; returns the dialogues with their answers."""
        asked: list[tuple[OpenDialogue[ResultT], str]] = []
        requests: dict[str, Request] = {}
        for item, answer in pending:
            sent = self._open.send(item, answer)
            if sent is not None:
                key, ask = sent
                requests.setdefault(key, make_request(key, ask))
                asked.append((item, key))
        if self._open.done:
            yield self._open.collect()
        yield from self._answer(list(requests.values()))
        return [(item, self._calls.find([key])[key]) for item, key in asked]

    def _answer(self, requests: Sequence[Request]) -> Iterator[Done[ResultT]]:
        """Run the planned groups that are not completely stored, and wait for those of other
        processes."""
        store = self._calls.store
        stored = store.present(request.id for request in requests)
        self._calls.meter.serve(len(stored))
        owed = [
            group
            for group in self._backend.plan(requests)
            if any(request.id not in stored for request in group)
        ]
        while owed:
            left = yield from self._run_groups(owed)
            if self._open.is_halted:
                raise self._open.stop()
            stored = store.present(request.id for group in left for request in group)
            left = [group for group in left if any(item.id not in stored for item in group)]
            if len(left) == len(owed):
                time.sleep(POLL_S)
                yield []  # a caller that wants to stop can
            owed = left

    def _run_groups(
        self, groups: Sequence[list[Request]]
    ) -> Generator[Done[ResultT], None, list[list[Request]]]:
        """Generate what can be leased; returns the groups under way in other stores.

        Yields an empty list per finished group, so that the caller can show progress.
        """
        waiting = deque(groups)
        elsewhere: list[list[Request]] = []
        under_way: dict[str, Request] = {}

        def take(limit: int) -> list[list[Request]]:
            taken: list[list[Request]] = []
            while waiting and len(taken) < limit and not self._open.is_halted:
                group = waiting.popleft()
                claimed = self._calls.store.claim_missing(request.id for request in group)
                owed = [request for request in group if request.id not in claimed.stored]
                if not owed:  # another process has stored its reply meanwhile
                    continue
                if len(claimed.mine) < len(owed):
                    self._calls.store.release(claimed.mine)
                    elsewhere.append(group)
                elif not self._calls.meter.start(owed):
                    self._calls.store.release(claimed.mine)
                    self._open.is_at_limit = True
                else:
                    taken.append(group)
                    under_way.update({request.id: request for request in owed})
                    for request in owed:
                        self._calls.meter.on_event(CallAsked(key=request.id))
            return taken

        try:
            for finished in self._backend.generate(take):
                self._calls.keep_now(finished)
                for request, _ in finished:
                    under_way.pop(request.id, None)
                yield []
        finally:
            self._let_go(under_way)
        return elsewhere

    def _let_go(self, under_way: Mapping[str, Request]) -> None:
        """Release calls that were not made after all: any process may make them."""
        for request in under_way.values():
            self._calls.meter.abandon(request)
        self._calls.store.release(under_way)
