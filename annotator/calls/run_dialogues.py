"""Runs many dialogues over one backend, through the store, within limits.

The rules:

- a call that is stored is never asked, and equal calls under way are one call;
- a reply is stored before its dialogue sees it, so a kill costs what was in flight;
- a server gets each call as soon as it has room. A local model gets calls in rounds: round r
  holds the r-th call of every dialogue of a window, stored or not, so that batches, and with
  them the last bits of every reply, do not depend on what an earlier run had finished.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from annotator.calls.dialogue import Ask, Dialogue, Unusable, call_key
from annotator.calls.stored_calls import StoredCalls
from annotator.models.backend import Backend, Outcome, Request
from schemas.errors import BackendError, LimitReachedError, MaskDpoError

ResultT = TypeVar("ResultT")
Done = list[tuple[str, ResultT]]

_MAX_HELD = 1024  # results served from the store before they are handed on
_POLL_S = 0.2  # how often a call under way in another process is looked for


def run_dialogues(
    backend: Backend,
    calls: StoredCalls,
    dialogues: Iterable[tuple[str, Dialogue[ResultT]]],
    *,
    window: int | None = None,
) -> Iterator[Done[ResultT]]:
    """Yield (name, result) of the dialogues as they end; each exactly once.

    `window` bounds how many dialogues of a local model run side by side (None: all). Raises
    LimitReachedError when a limit of the meter is met, BackendError after too many useless replies
    in a row, and what the backend raises; all that was answered by then is stored.
    """
    if backend.streams:
        stream: _Stream[ResultT] = _Stream(backend, calls, dialogues)
        yield from stream.run()
    else:
        rounds: _Rounds[ResultT] = _Rounds(backend, calls, dialogues, window=window)
        yield from rounds.run()


@dataclass(kw_only=True, eq=False)
class _Open(Generic[ResultT]):
    """A dialogue under way, with the keys of what it has asked."""

    name: str
    dialogue: Dialogue[ResultT]
    keys: list[str] = field(default_factory=list)


class _Base(Generic[ResultT]):
    def __init__(
        self,
        backend: Backend,
        calls: StoredCalls,
        dialogues: Iterable[tuple[str, Dialogue[ResultT]]],
    ) -> None:
        self._backend = backend
        self._calls = calls
        self._fingerprint = backend.fingerprint()
        self._source = iter(dialogues)
        self._done: Done[ResultT] = []
        self._is_at_limit = False  # the next call does not fit

    def _start(self) -> _Open[ResultT] | None:
        for name, dialogue in self._source:
            return _Open(name=name, dialogue=dialogue)
        return None

    def _send(self, item: _Open[ResultT], answer: Outcome | None) -> tuple[str, Ask] | None:
        """The dialogue's next call, or None when it has ended and its result is kept."""
        try:
            # A generator is started by sending None.
            ask = item.dialogue.send(answer)  # type: ignore[arg-type]
        except StopIteration as end:
            self._end(item, end.value)
            return None
        key = call_key(self._calls.kind, self._fingerprint, ask)
        item.keys.append(key)
        return key, ask

    def _end(self, item: _Open[ResultT], result: ResultT | Unusable[ResultT]) -> None:
        is_useless = isinstance(result, Unusable) and result.is_useless
        self._calls.judge_usefulness(item.keys, is_useless=is_useless)
        if isinstance(result, Unusable):
            self._calls.store.mark_failed(item.keys)
            result = result.result
        else:
            self._calls.store.mark_good(item.keys)
        self._done.append((item.name, result))

    def _collect(self) -> Done[ResultT]:
        done, self._done = self._done, []
        return done

    def _claim(self, requests: Sequence[Request]) -> list[Request]:
        """Those this process may ask: not claimed elsewhere, and not stored meanwhile."""
        store = self._calls.store
        mine = store.claim(request.id for request in requests)
        stored = store.present(mine)
        store.release(stored)
        return [request for request in requests if request.id in mine - stored]

    @property
    def _is_halted(self) -> bool:
        """Whether no call may be made now. A useful reply that was under way ends hopelessness."""
        return self._is_at_limit or self._calls.meter.useless.is_hopeless

    def _stop(self) -> MaskDpoError:
        """Why a halted run ends."""
        useless = self._calls.meter.useless
        return BackendError(useless.describe()) if useless.is_hopeless else self._limit_reached()

    def _limit_reached(self) -> LimitReachedError:
        return LimitReachedError(
            f"{self._calls.meter.budget.describe_stop()}; all replies are kept in "
            f"{self._calls.store.path}, and the same command with a higher limit continues"
        )


class _Stream(_Base[ResultT]):
    """For servers: a call goes out as soon as there is room for it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._ready: deque[Request] = deque()
        self._waiting: dict[str, list[_Open[ResultT]]] = {}
        self._elsewhere: dict[str, Request] = {}
        self._last_poll = 0.0

    def run(self) -> Iterator[Done[ResultT]]:
        while True:
            while self._fill() and len(self._done) < _MAX_HELD and not self._ready:
                pass
            if self._done:
                yield self._collect()
                continue
            if self._is_halted and self._ready:
                raise self._stop()
            if self._ready:
                for finished in self._backend.generate(self._take):
                    self._calls.keep(finished)
                    self._resume([request.id for request, _ in finished])
                    if self._done:
                        yield self._collect()
            elif self._elsewhere:
                time.sleep(_POLL_S)
                self._poll()
            elif not self._fill():
                return

    def _fill(self) -> bool:
        """Start one more dialogue; False when there is none."""
        item = self._start()
        if item is None:
            return False
        self._advance(item, None)
        return True

    def _advance(self, item: _Open[ResultT], answer: Outcome | None) -> None:
        """Go on until a call is to be made, or the dialogue ends."""
        while True:
            asked = self._send(item, answer)
            if asked is None:
                return
            key, ask = asked
            if key in self._waiting:
                self._waiting[key].append(item)
                return
            found = self._calls.find([key]).get(key)
            if found is None:
                self._waiting[key] = [item]
                self._ready.append(_request(key, ask))
                return
            self._calls.meter.num_served += 1
            answer = found

    def _resume(self, keys: Sequence[str]) -> None:
        """Send stored answers to the dialogues that wait for them."""
        for key, answer in self._calls.find(keys).items():
            for item in self._waiting.pop(key):
                self._advance(item, answer)

    def _take(self, limit: int) -> list[list[Request]]:
        if self._elsewhere and time.monotonic() - self._last_poll > _POLL_S:
            self._poll()
        taken: list[Request] = []
        while len(taken) < limit and not self._is_halted:
            while not self._ready and len(self._done) < _MAX_HELD and self._fill():
                pass
            if not self._ready:
                break
            request = self._ready.popleft()
            if not self._calls.meter.admits([request]):
                self._ready.appendleft(request)
                # What is under way was counted at its most: once it is in, there may be room.
                self._is_at_limit = not self._calls.meter.num_under_way
                break
            if self._claim([request]):
                self._calls.meter.start(request)
                taken.append(request)
            else:
                self._elsewhere[request.id] = request
                self._poll()
        return [[request] for request in taken]

    def _poll(self) -> None:
        """Calls another process had under way: answered by now, or left by its death."""
        self._last_poll = time.monotonic()
        stored = self._calls.store.present(self._elsewhere)
        for key in stored:
            del self._elsewhere[key]
            self._calls.meter.num_served += 1
        self._resume(list(stored))
        free = self._calls.store.claim(self._elsewhere)
        for key in free:
            self._ready.append(self._elsewhere.pop(key))


class _Rounds(_Base[ResultT]):
    """For local models: one call of every dialogue in the window, then the next one."""

    def __init__(self, *arguments: Any, window: int | None) -> None:
        super().__init__(*arguments)
        self._window = window

    def run(self) -> Iterator[Done[ResultT]]:
        while items := list(islice(iter(self._start, None), self._window)):
            pending: list[tuple[_Open[ResultT], Outcome | None]]
            pending = [(item, None) for item in items]
            while pending:
                pending = yield from self._round(pending)
            yield self._collect()

    def _round(
        self, pending: Sequence[tuple[_Open[ResultT], Outcome | None]]
    ) -> Generator[Done[ResultT], None, list[tuple[_Open[ResultT], Outcome | None]]]:
        """Ask one call of each; returns the dialogues with their answers."""
        asked: list[tuple[_Open[ResultT], str]] = []
        requests: dict[str, Request] = {}
        for item, answer in pending:
            sent = self._send(item, answer)
            if sent is not None:
                key, ask = sent
                requests.setdefault(key, _request(key, ask))
                asked.append((item, key))
        if self._done:
            yield self._collect()
        yield from self._answer(list(requests.values()))
        return [(item, self._calls.find([key])[key]) for item, key in asked]

    def _answer(self, requests: Sequence[Request]) -> Iterator[Done[ResultT]]:
        """Run the planned groups that are not stored whole, and wait for those of others."""
        store = self._calls.store
        stored = store.present(request.id for request in requests)
        self._calls.meter.num_served += len(stored)
        owed = [
            group
            for group in self._backend.plan(requests)
            if any(request.id not in stored for request in group)
        ]
        while owed:
            left = yield from self._run_groups(owed)
            if self._is_halted:
                raise self._stop()
            stored = store.present(request.id for group in left for request in group)
            left = [group for group in left if any(item.id not in stored for item in group)]
            if len(left) == len(owed):
                time.sleep(_POLL_S)
            owed = left

    def _run_groups(
        self, groups: Sequence[list[Request]]
    ) -> Generator[Done[ResultT], None, list[list[Request]]]:
        """Generate what can be claimed; returns the groups under way in other processes.

        Yields an empty list per finished group, so that whoever shows progress can do it.
        """
        waiting = deque(groups)
        elsewhere: list[list[Request]] = []
        meter = self._calls.meter

        def take(limit: int) -> list[list[Request]]:
            taken: list[list[Request]] = []
            while waiting and len(taken) < limit and not self._is_halted:
                group = waiting.popleft()
                stored = self._calls.store.present(request.id for request in group)
                owed = [request for request in group if request.id not in stored]
                if not owed:  # another process has answered it meanwhile
                    continue
                if len(self._claim(owed)) < len(owed):
                    self._calls.store.release(request.id for request in owed)
                    elsewhere.append(group)
                elif not meter.admits(owed):
                    self._calls.store.release(request.id for request in owed)
                    self._is_at_limit = True
                else:
                    for request in owed:
                        meter.start(request)
                    taken.append(group)
            return taken

        for finished in self._backend.generate(take):
            self._calls.keep(finished)
            yield []
        return elsewhere


def _request(key: str, ask: Ask) -> Request:
    return Request(id=key, messages=ask.messages, seed=ask.seed, decoding=ask.decoding)
