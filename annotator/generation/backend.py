"""Backends: messages in, replies out. One interface for sampling, questions and judging.

A backend answers in the order it finishes, and a failed request is a `RequestFailure` in the
stream, never an exception: only what makes every request fail (no server, no model folder)
raises `BackendError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.records import FinishReason, Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One conversation to continue. `seed` makes its reply its own, wherever it is batched."""

    id: str
    messages: Sequence[Message]
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the model said. Token counts are None where the server does not tell."""

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestFailure:
    """A request that got no reply; `reason` is a short code, `detail` one line for a person."""

    reason: str
    detail: str


Outcome = Reply | RequestFailure


class Backend(Protocol):
    """Messages in, replies out."""

    model: str

    def fingerprint(self) -> dict[str, Any]:
        """What of this backend decides a reply's content: it goes into the store's key."""

    def generate(self, requests: Sequence[Request]) -> Iterator[list[tuple[Request, Outcome]]]:
        """Yield finished batches; every request appears exactly once.

        A batch is stored in one transaction. Servers finish one request at a time (batches of
        one); local models finish whole batches, whose make-up depends on `requests` alone.
        """
