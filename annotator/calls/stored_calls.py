"""Answers as the store keeps them, and the one place where calls meet the store.

The rule: an answer that goes back into a dialogue is the stored one, never the one just
received. Two processes, or two equal calls of one run, therefore go on from the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from annotator.calls.store import Store
from annotator.calls.usage import Meter
from annotator.models.backend import (
    Finished,
    Outcome,
    Reply,
    RequestFailure,
)


class StoredCalls:
    """The calls of one kind in a store, counted by a meter."""

    def __init__(self, store: Store, *, kind: str, meter: Meter) -> None:
        self.store = store
        self.kind = kind
        self.meter = meter
        self._fresh: set[str] = set()  # keys asked in this run, of dialogues that have not ended

    def find(self, keys: Iterable[str]) -> dict[str, Outcome]:
        """The answers that are there."""
        found = {key: unpack(value) for key, value in self.store.get_many(keys).items()}
        for outcome in found.values():
            self.meter.note(outcome)
        return found

    def keep(self, finished: Sequence[Finished]) -> None:
        """Store finished requests, whose ids are their keys, and count what they cost."""
        failed = {request.id for request, item in finished if isinstance(item, RequestFailure)}
        values = {request.id: pack(outcome) for request, outcome in finished}
        self.store.put_many(self.kind, values, failed=failed)
        for request, outcome in finished:
            self._fresh.add(request.id)
            self.meter.finish(request, outcome)

    def judge_usefulness(self, keys: Sequence[str], *, is_useless: bool) -> None:
        """A dialogue that asked `keys` has ended: count those of its replies that are new."""
        fresh = [key for key in keys if key in self._fresh]
        self._fresh.difference_update(fresh)
        if is_useless:
            found = self.find(fresh)
            self.meter.useless.count_useless([found[key] for key in fresh])
        else:
            self.meter.useless.count_useful(len(fresh))


def pack(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON object, less what is unset."""
    if isinstance(outcome, RequestFailure):
        return {"failure": {"reason": outcome.reason, "detail": outcome.detail}}
    values = asdict(outcome)
    for name in ("cached_tokens", "logprobs", "sampling", "system_in_user"):
        if not values[name]:
            del values[name]
    return values


def unpack(value: Mapping[str, Any]) -> Outcome:
    """The outcome again."""
    if "failure" in value:
        return RequestFailure(**value["failure"])
    logprobs = tuple((str(text), float(number)) for text, number in value.get("logprobs", ()))
    return Reply(**{**value, "logprobs": logprobs})
