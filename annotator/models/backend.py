"""Backends: from messages to replies. One interface for sampling, questions and judging.

A backend yields outcomes in the order it finishes, and a failed request is a `RequestFailure` in
the stream, never an exception: only a fault that makes every request fail (no server, no model
folder) raises `BackendError` or `ConfigError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from annotator.models.served_model import ServedModel
from schemas.records import FinishReason, Message

if TYPE_CHECKING:
    import asyncio

# The end of a failure that a longer context would fix: no content key includes the context.
RETRY_LONGER = "with a longer context, --retry-failed sends it again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How a reply is sampled.

    max_tokens  longest reply, in tokens
    schema      a JSON Schema the reply should follow; a server may ignore it, so the reader of the
                reply validates it
    logprobs    ask for the log-probability of each reply token; a server may not report it
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    schema: Mapping[str, Any] | None = None
    logprobs: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One conversation to continue. `seed` makes its reply independent of its batch."""

    id: str
    messages: Sequence[Message]
    seed: int
    decoding: Decoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A reply of the model. Token counts are None where the server does not report them.

    cached_tokens  those of `prompt_tokens` that came from the server's prefix cache
    sampling       how it was sampled: the fields sent, without those refused, and the kind of
                   `server`; empty for a local model, where the settings say it, and for older
                   versions
    system_in_user the system text was sent in front of the first user message
    logprobs       (text of a token, natural log of its probability), in order, where asked for
                   and reported; the texts joined are `text`, except for what a server strips
    seconds        from sending the request (for the last time) to the reply; not part of its
                   content, and not stored
    """

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    logprobs: tuple[tuple[str, float], ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    system_in_user: bool = False
    seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestFailure:
    """A request that got no reply; `reason` is a short code, `detail` one line for a person."""

    reason: str
    detail: str


Outcome = Reply | RequestFailure
Finished = tuple[Request, Outcome]

Take = Callable[[int], Sequence[Sequence[Request]]]
"""`take(limit)`: at most `limit` planned groups that are ready to run; none when none is ready.

Replies may lead to new requests, so an empty result means "not now" while anything is under way,
and the end when nothing is.
"""


class Backend(Protocol):
    """Makes replies to messages.

    `plan` and `generate` are separate so that a rerun leaves out finished groups without changing
    the others: plan all requests, drop the groups that are stored, generate the rest. A killed run
    then continues to exactly the bytes of an uninterrupted one.
    """

    model: str
    streams: bool
    """Whether requests are processed one by one (a server), never in groups."""

    def fingerprint(self) -> dict[str, Any]:
        """The settings of this backend that decide a reply's content: they are part of the content
        key."""

    def identify(self) -> list[ServedModel]:
        """Which model is behind the name, one entry per server that reports it; not part of the
        key.

        May be called before `generate`; servers are asked once per backend. Servers that are down,
        or that list no models, are left out; ConfigError when a server refuses the key.
        """

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """The requests in groups that run together; every request is in exactly one group.

        Servers process each request separately (groups of one). The groups of a local model depend
        only on `requests`, never on what is stored.
        """

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Run what `take` returns until it returns nothing and nothing is under way.

        Every request is yielded exactly once; a group of several requests is yielded as a whole.
        The caller stores a yielded list in one transaction before it asks for the next, and `take`
        is called only after that.
        """

    def notes(self) -> list[str]:
        """Notes on what a server did not do as requested, for the end of a run."""


OnRetry = Callable[[str, str, float], None]
"""`on_retry(id, reason, wait_s)`: a request is sent again after a wait, in seconds."""


class StreamingBackend(Backend, Protocol):
    """A backend whose requests are processed one by one: a server."""

    on_retry: OnRetry

    def connected(self) -> AbstractAsyncContextManager[object]:
        """Keeps connections open between several uses of `stream` in the running event loop."""

    def stream(
        self, take: Take, ready: asyncio.Event | None = None
    ) -> AsyncGenerator[list[Finished], None]:
        """`generate` in the caller's event loop.

        While something is under way and `ready` is set, it is cleared and `take` is called again.
        Ends when `take` returns nothing and nothing is under way; it may be called again later.
        Several may run at once: they share the backend's limits. Closing it cancels what is under
        way.
        """


@runtime_checkable
class DrawsInBatches(Protocol):
    """A backend that runs a batch for a long time before it yields anything, and reports its
    steps."""

    on_step: Callable[[int], None]
    """Called at each step of a batch with its number: the token that every row draws, from 1."""
