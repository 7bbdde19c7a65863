"""Backends: messages in, replies out. One interface for sampling, questions and judging.

A backend answers in the order it finishes, and a failed request is a `RequestFailure` in the
stream, never an exception: only what makes every request fail (no server, no model folder)
raises `BackendError` or `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.records import FinishReason, Message

MAX_DETAIL_CHARS = 300


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
    """Messages in, replies out.

    `plan` and `generate` are apart so that a rerun leaves finished groups out without changing
    the make-up of the others: plan all requests, drop the groups that are stored, generate the
    rest. A killed run then continues to the very bytes of an uninterrupted one.
    """

    model: str

    def fingerprint(self) -> dict[str, Any]:
        """What of this backend decides a reply's content: it goes into the store's key."""

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """The requests in groups that run together; every request is in exactly one group.

        Servers answer each request alone (groups of one). The groups of a local model depend
        on `requests` alone, never on what is stored.
        """

    def generate(
        self, groups: Sequence[Sequence[Request]]
    ) -> Iterator[list[tuple[Request, Outcome]]]:
        """Yield finished work; every request appears exactly once.

        The caller stores a yielded list in one transaction before it asks for the next. A
        group of more than one request is yielded whole.
        """


def one_line(text: str) -> str:
    """`text` as one line for a person, cut to a length that fits a message."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_DETAIL_CHARS else line[: MAX_DETAIL_CHARS - 3] + "..."
