"""Replies from OpenAI-compatible servers, with a limited number of requests at a time.

The rule: all streams of one backend, in any event loop or thread, share its limit on requests under
way, its servers and what was learned about them; connections belong to one event loop.

How fast each server is asked is found from what it accepts and refuses (`annotator.models.pacing`).
Every send has a permit, also of a call that is sent again (`resends`): retries up to `max_retries`,
then once at another server; a call that a full server refused, until one accepts it. A request that
fails is a RequestFailure; servers that are down, that refuse everything, or that fail more than
half of the calls end the stream, after the replies under way have arrived and were yielded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from annotator.models.backend import Finished, OnRetry, Request, Take
from annotator.models.config import ModelConfig
from annotator.models.openai.connections import Connections
from annotator.models.openai.endpoints import Endpoint, EndpointPool
from annotator.models.openai.held_failures import Answered, FailureWindow
from annotator.models.openai.pace import Pace, Permit
from annotator.models.openai.pace_reports import PaceReporter
from annotator.models.openai.request_stream import RequestStream
from annotator.models.openai.server_access import ServerAccess
from annotator.models.openai.server_calls import ServerCalls
from annotator.models.openai.server_probe import ServerProbe
from annotator.models.pacing.control import PaceControl
from annotator.models.pacing.gate import Gate
from annotator.models.pacing.reports import PaceState, SharesPace
from annotator.models.pacing.shared_limits import SharedLimits
from annotator.models.served_model import ServedModel
from schemas.validation import show_value


class OpenAIBackend:
    """A model that servers serve under a name.

    A pickle contains only the config and the coordinator: the unpickling process reads the key from
    its environment, and has separate connections, and separate limits without a coordinator.
    """

    streams = True

    def __init__(self, config: ModelConfig, coordinator: SharesPace | None = None) -> None:
        """Read the key from the environment; ConfigError when it cannot be sent in a header.

        `coordinator`: shares the pace with other processes that use the same servers.
        """
        self._config = config
        self.model = config.model
        self._pool = EndpointPool(
            config.urls,
            patience=-(-config.concurrency // len(config.urls)),
            make_gate=partial(_make_gate, config, coordinator is not None),
        )
        self._pace = Pace(config.concurrency, self._pool)
        self._coordinator = coordinator
        self._reporter = (
            None
            if coordinator is None
            else PaceReporter(coordinator, self._pace, _shared_limits(self._pool))
        )
        self._window = FailureWindow(config.failure_window)
        self.on_retry: OnRetry = _ignore
        self._access = ServerAccess(config)
        self._probe = ServerProbe(config, self._access, self._pool)
        self._calls = ServerCalls(config, self._access, self._pool)
        self._connections: dict[asyncio.AbstractEventLoop, Connections] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[OpenAIBackend], tuple[ModelConfig, SharesPace | None]]:
        return OpenAIBackend, (self._config, self._coordinator)

    def fingerprint(self) -> dict[str, Any]:
        """The served name; `revision` is the user's name for the model behind it."""
        config = self._config
        values: dict[str, Any] = {
            "backend": "openai",
            "model": self.model,
            "revision": config.revision,
            "chat_template_kwargs": config.chat_template_kwargs,
        }
        if config.structured != "response_format":
            values["structured"] = config.structured  # counts with a schema only (`call_key`)
        # Where unset, a content key stays as before these settings existed.
        if config.params:
            values["params"] = config.params
        if config.extra_body:
            values["extra_body"] = config.extra_body
        return values

    def identify(self) -> list[ServedModel]:
        """`identify_async` for callers outside an event loop."""
        return asyncio.run(self.identify_async())

    async def identify_async(self) -> list[ServedModel]:
        """What each server lists under the model's name; a server that lists nothing is left out.

        ConfigError when the key is refused. Asked once: `stream` does not ask again.
        """
        async with self.connected() as connections:
            await self._probe.ask_all(connections)
        return [item.model for item in self._pool.endpoints if item.model is not None]

    async def find_fault(self) -> str:
        """Why no call can be made now, as a sentence; empty where one can.

        ConfigError when the key is refused. It looks once per backend: make a new one to look
        again.
        """
        async with self.connected() as connections:
            silent = await self._probe.ask_all(connections)
        if silent:
            return str(self._probe.no_server(silent))
        listed = sorted({name for item in self._pool.endpoints for name in item.served})
        if listed and not any(item.model for item in self._pool.endpoints):
            return (
                f"the servers do not list {show_value(self.model)}; they list {show_value(listed)}"
            )
        return ""

    def _report_retry(self, key: str, reason: str, wait_s: float) -> None:
        self.on_retry(key, reason, wait_s)

    def paces(self) -> list[PaceState]:
        """The pace of each server, in the order of the settings."""
        return self._pace.states()

    def wake(self) -> None:
        """Try servers that were set aside again now: somebody found that they reply."""
        self._pool.wake()

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Groups of one: a server processes each request separately."""
        return [[request] for request in requests]

    def notes(self) -> list[str]:
        """Notes on what the servers did not support."""
        return self._calls.notes() + self._pool.notes()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Connections]:
        """The connections of the running event loop, open until the last of its users leaves.

        Every stream uses it; a caller that runs several streams one after another keeps them open
        with it.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            connections = self._connections.get(loop)
            if connections is None:
                connections = Connections(self._config, self._access.headers())
                self._connections[loop] = connections
            connections.num_users += 1
        if self._reporter is not None:
            self._reporter.begin()
        try:
            yield connections
        finally:
            if self._reporter is not None:
                self._reporter.end()
            with self._lock:
                connections.num_users -= 1
                is_last = not connections.num_users
                if is_last:
                    del self._connections[loop]
            if is_last:
                await connections.close()

    async def stream(
        self, take: Take, ready: asyncio.Event | None = None
    ) -> AsyncGenerator[list[Finished], None]:
        """Yield replies as they arrive, until `take` has nothing and nothing is under way.

        `take` is called when a slot is free, after each list that was yielded, and when `ready` is
        set, which clears it; give each stream its own event. When it ends it may be called again.
        Raises BackendError when no server replies or all stop, ConfigError when one refuses the key
        or the model: in both cases after yielding everything that had arrived.

        Closing it (`aclose`, a cancelled task) cancels and awaits the requests under way and gives
        their slots back. A reply is yielded in the loop step in which it arrives, so only requests
        under way are lost, as seen by a caller that still works on the list before: at most
        `concurrency`.
        """
        async with self.connected() as connections:
            silent = await self._probe.ask_all(connections)
            if silent:
                raise self._probe.no_server(silent)
            requests = RequestStream(
                take,
                ask=partial(self._ask, connections),
                pace=self._pace,
                pool=self._pool,
                concurrency=self._config.concurrency,
                ready=ready,
                max_retries=self._config.max_retries,
                window=self._window,
                on_retry=self._report_retry,
                check=(lambda: None) if self._reporter is None else self._reporter.check,
            )
            async with aclosing(requests.run()) as lists:
                async for finished in lists:
                    yield finished

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """`stream` for callers outside an event loop: it runs while they wait for the next list."""
        with asyncio.Runner() as runner:
            lists = self.stream(take)
            try:
                while finished := runner.run(_next(lists)):
                    yield finished
            finally:
                runner.run(lists.aclose())

    async def _ask(self, connections: Connections, request: Request, permit: Permit) -> Answered:
        """One request, sent once, to the server of its permit."""
        endpoint = permit.endpoint
        if endpoint.kind is None:  # it was down when the others were probed
            await self._probe.ask_late(connections, endpoint)
        sent = time.monotonic()
        called = await self._calls.call(
            connections, endpoint, request, partial(self._pace.answered_and_sent, permit)
        )
        if called.is_refusal:
            self._pace.refused(permit, called.retry_after)
        elif called.is_timeout:
            self._pace.timed_out(permit)
        elif called.is_answer:
            self._pace.answered(permit)
        return Answered(
            finished=(request, called.outcome),
            sent=sent,
            ended=time.monotonic(),
            endpoint=endpoint,
            is_refusal=called.is_refusal,
            is_retried=called.is_retried,
            retry_after=called.retry_after,
        )


def _make_gate(config: ModelConfig, is_shared: bool, url: str) -> Gate:
    now = time.monotonic()
    most = config.concurrency
    return Gate(SharedLimits(url, config.model, most) if is_shared else PaceControl(most, now), now)


def _shared_limits(pool: EndpointPool) -> dict[Endpoint, SharedLimits]:
    return {
        item: limits
        for item in pool.endpoints
        if isinstance(limits := item.gate.limits, SharedLimits)
    }


def _ignore(key: str, reason: str, wait_s: float) -> None:
    """Does nothing: retries are not reported."""


async def _next(lists: AsyncIterator[list[Finished]]) -> list[Finished] | None:
    return await anext(lists, None)
