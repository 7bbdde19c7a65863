"""Replies in the form that is stored, and the only place where calls are looked up and stored.

The rule: a dialogue gets the stored answer, never the one just received. Two processes, or two
equal calls of one run, therefore continue from the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.calls.running.handover import wait_out
from annotator.calls.store import Store
from annotator.calls.usage import Meter
from annotator.models.backend import (
    Finished,
    Outcome,
    Reply,
    RequestFailure,
)

# Fields of a Reply that are stored.
_ALWAYS = ("text", "finish_reason", "reasoning", "prompt_tokens", "completion_tokens")
_WHERE_SET = ("cached_tokens", "logprobs", "sampling", "system_in_user")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedCalls:
    """Calls that were claimed; those in neither field are under way elsewhere.

    mine    keys of calls that the caller must make
    found   answers that are stored
    """

    mine: set[str]
    found: dict[str, Outcome]


class StoredCalls:
    """The calls of one kind in a store, counted by a meter. Safe to use from several threads."""

    def __init__(self, store: Store, *, kind: str, meter: Meter) -> None:
        self.store = store
        self.kind = kind
        self.meter = meter
        self._fresh: set[str] = set()  # calls of this run, of dialogues that have not ended
        self._failed: set[str] = set()  # the ones of them whose replies a dialogue could not use

    def find(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The answers that are stored."""
        return self._read(self.store.get_many(keys))

    def find_elsewhere(self, key: str) -> dict[str, Outcome]:
        """The answer to a call that another store of the run has; {} for none."""
        return self.find([key]) if self.store.fetch([key]) else {}

    def claim(self, keys: Iterable[str]) -> ClaimedCalls:
        """Claim calls that are needed and were not stored a moment ago."""
        claimed = self.store.claim_missing(keys)
        return ClaimedCalls(mine=claimed.mine, found=self._read(claimed.stored))

    async def keep(self, finished: Sequence[Finished]) -> dict[str, Outcome]:
        """Store finished requests, whose ids are their keys, and count what they cost.

        Returns what is stored under those keys now: the reply of another process where it was
        first. One commit stores all waiting replies of all callers. A caller that is cancelled
        still waits for the commit: replies that arrived were paid for, and count.
        """
        values, failed = _pack_all(finished)
        stored = asyncio.wrap_future(self.store.submit(self.kind, values, failed=failed))
        is_cancelled = await wait_out(stored)
        found = stored.result()
        self._count(finished)
        if is_cancelled:
            raise asyncio.CancelledError
        return self._read(found)

    def keep_now(self, finished: Sequence[Finished]) -> None:
        """`keep` for callers without an event loop."""
        values, failed = _pack_all(finished)
        self.store.put_many(self.kind, values, failed=failed)
        self._count(finished)

    def end(self, keys: Sequence[str], *, is_usable: bool, is_useless: bool) -> None:
        """Record the end of a dialogue that used `keys`: whether its calls were useful."""
        fresh = [key for key in keys if key in self._fresh]
        self._fresh.difference_update(fresh)
        if is_useless:
            found = self.find(fresh)
            self.meter.useless.count_useless([found[key] for key in fresh if key in found])
        else:
            self.meter.useless.count_useful(len(fresh))
        if not is_usable:
            self._failed.update(keys)
            self.store.mark_failed(keys)
            return
        # A reply of this run is stored as good, unless another dialogue could not use it.
        if doubtful := [key for key in keys if key not in fresh or key in self._failed]:
            self.store.mark_good(doubtful)

    def _count(self, finished: Sequence[Finished]) -> None:
        for request, outcome in finished:
            self._fresh.add(request.id)
            self.meter.finish(request, outcome)

    def _read(self, values: Mapping[str, Mapping[str, Any]]) -> dict[str, Outcome]:
        found = {key: unpack(value) for key, value in values.items()}
        for outcome in found.values():
            self.meter.note(outcome)
        return found


def _pack_all(finished: Sequence[Finished]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    failed = {request.id for request, item in finished if isinstance(item, RequestFailure)}
    return {request.id: pack(outcome) for request, outcome in finished}, failed


def pack(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON object, without unset fields."""
    if isinstance(outcome, RequestFailure):
        return {"failure": {"reason": outcome.reason, "detail": outcome.detail}}
    values: dict[str, Any] = {name: getattr(outcome, name) for name in _ALWAYS}
    values |= {name: value for name in _WHERE_SET if (value := getattr(outcome, name))}
    return values


def unpack(value: Mapping[str, Any]) -> Outcome:
    """The outcome, read from that object."""
    if "failure" in value:
        return RequestFailure(**value["failure"])
    logprobs = tuple((str(text), float(number)) for text, number in value.get("logprobs", ()))
    return Reply(**{**value, "logprobs": logprobs})
