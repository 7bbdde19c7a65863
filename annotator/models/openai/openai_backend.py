"""Replies from OpenAI-compatible servers, a bounded number of requests at a time.

The rule that bounds what a kill can cost: a new request goes out only after every reply that
came in was handed to the caller and stored. So at most `concurrency` requests are ever under way
or unsaved. The event loop lives inside the generator and runs only while the caller waits for
the next replies: no thread, nothing left behind when the caller stops or presses Ctrl-C.

Retries are the client's own (`max_retries`, `Retry-After` honoured). A request its server failed
after them goes once to another server, where there is one; one refused for want of room (HTTP 429)
is sent again, up to MOST_REFUSALS times in all, when there is room: fewer are then sent at once.
A request that fails is a RequestFailure; servers that are gone, or that fail every request for the
same reason, end the run, once what is under way has come in and is stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, cast

from annotator.models.backend import Finished, Request, Take
from annotator.models.config import ModelConfig
from annotator.models.openai.endpoints import MIN_FAILURES_IN_A_ROW, Endpoint, EndpointPool, Pace
from annotator.models.openai.held_failures import SERVER_FAILURES, Answered, HeldFailures
from annotator.models.openai.server_access import Clients, ServerAccess, close_all
from annotator.models.openai.server_calls import ServerCalls
from annotator.models.openai.server_probe import ServerProbe
from annotator.models.served_model import ServedModel
from schemas.errors import BackendError

# A server that is full says nothing of what was asked; one that says so this often may mean it.
# Fewer than set a server aside: one request alone does not.
MOST_REFUSALS = MIN_FAILURES_IN_A_ROW - 2


class OpenAIBackend:
    """A model that servers answer for under a name."""

    streams = True

    def __init__(self, config: ModelConfig) -> None:
        """Read the key from the environment; ConfigError when no header can carry it."""
        self._config = config
        self.model = config.model
        self._pool = EndpointPool(config.urls, patience=-(-config.concurrency // len(config.urls)))
        self._pace = Pace(config.concurrency)
        self._access = ServerAccess(config)
        self._probe = ServerProbe(config, self._access, self._pool)
        self._calls = ServerCalls(config, self._access, self._pool)

    def fingerprint(self) -> dict[str, Any]:
        """The served name; `revision` is the user's word for what stands behind it."""
        config = self._config
        values: dict[str, Any] = {
            "backend": "openai",
            "model": self.model,
            "revision": config.revision,
            "chat_template_kwargs": config.chat_template_kwargs,
        }
        if config.structured != "response_format":
            values["structured"] = config.structured  # counts with a schema only (`call_key`)
        # Where unset, a key stays what it was before these settings existed.
        if config.params:
            values["params"] = config.params
        if config.extra_body:
            values["extra_body"] = config.extra_body
        return values

    def identify(self) -> list[ServedModel]:
        """What each server lists under the model's name; a server that lists nothing is left out.

        ConfigError when the key is refused. Asked once: `generate` does not ask again.
        """
        with asyncio.Runner() as runner:
            clients = self._access.make_clients()
            try:
                runner.run(self._probe.ask_all(clients))
            finally:
                runner.run(close_all(clients))
        return [item.model for item in self._pool.endpoints if item.model is not None]

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Groups of one: a server answers each request by itself."""
        return [[request] for request in requests]

    def notes(self) -> list[str]:
        """What the servers would not do."""
        return self._calls.notes() + self._pool.notes()

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Yield replies as they come in; see `stream`."""
        from annotator.calls.running.blocking import block_on

        yield from block_on(self.stream(take))

    async def stream(
        self, take: Take, ready: asyncio.Event | None = None
    ) -> AsyncGenerator[list[Finished], None]:
        """See `generate`."""
        clients = self._access.make_clients()
        in_flight: set[asyncio.Task[Answered]] = set()
        again: deque[Request] = deque()
        refusals: Counter[str] = Counter()
        held = HeldFailures(patience=max(MIN_FAILURES_IN_A_ROW, self._config.concurrency))
        stop: BaseException | None = None
        try:
            silent = await self._probe.ask_all(clients)
            if silent:
                raise self._probe.no_server(silent)
            while True:
                hopeless = stop or self._all_rest() or self._all_alike(held)
                room = 0 if hopeless else self._pace.room - len(in_flight)
                batch = [again.popleft() for _ in range(min(room, len(again)))]
                if ready is not None:
                    ready.clear()
                if room > len(batch):
                    batch += [request for group in take(room - len(batch)) for request in group]
                for request in batch:
                    in_flight.add(asyncio.create_task(self._ask(clients, request)))
                if not in_flight:
                    if hopeless:
                        raise hopeless
                    lost = held.release()
                    if not lost:
                        return
                    yield lost
                    continue
                waiter = asyncio.create_task(ready.wait()) if ready is not None else None
                done, _ = await asyncio.wait(
                    in_flight | ({waiter} if waiter else set()), return_when=asyncio.FIRST_COMPLETED
                )
                if waiter:
                    waiter.cancel()
                done.discard(waiter)  # type: ignore[arg-type]
                in_flight -= done  # type: ignore[arg-type]
                done = cast(set[asyncio.Task[Answered]], done)
                errors = [error for task in done if (error := task.exception()) is not None]
                answers = [task.result() for task in done if task.exception() is None]
                stop = stop or next(iter(errors), None)
                refused = [item for item in answers if self._is_too_much(item, refusals)]
                again += [item.finished[0] for item in refused]
                finished = held.sort([item for item in answers if item not in refused])
                if finished:
                    yield finished
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)
            await close_all(clients)

    def _is_too_much(self, item: Answered, refusals: Counter[str]) -> bool:
        """Whether a request met a full server, and is worth sending again."""
        failure = item.failure
        if failure is None:
            self._pace.answered()
            return False
        if failure.reason != "http_429":
            return False
        self._pace.refused()
        refusals[item.finished[0].id] += 1
        return refusals[item.finished[0].id] < MOST_REFUSALS

    def _all_rest(self) -> BackendError | None:
        """The end of the run while no server is awake."""
        if self._pool.choose(time.monotonic()) is not None:
            return None
        return BackendError(
            "; ".join(
                f"the server at {item.url} stopped answering: {item.num_failed} requests failed "
                f"in a row (last: {item.last_failure})"
                for item in self._pool.endpoints
            )
        )

    def _all_alike(self, held: HeldFailures) -> BackendError | None:
        """The end of a run in which nothing has been answered, and all failed of one thing."""
        why = held.all_alike()
        return BackendError(f"{why} at {', '.join(self._config.urls)}") if why else None

    async def _ask(self, clients: Clients, request: Request) -> Answered:
        """One request, on the server with most room, and once on another if that one fails it."""
        first = self._pool.choose(time.monotonic()) or self._pool.endpoints[0]
        answer = await self._ask_one(clients, first, request)
        if answer.failure is not None and _may_be_the_servers(answer.failure.reason):
            other = self._pool.choose(time.monotonic(), but=first)
            if other is not None:
                return await self._ask_one(clients, other, request)
        return answer

    async def _ask_one(self, clients: Clients, endpoint: Endpoint, request: Request) -> Answered:
        endpoint.num_under_way += 1
        sent = time.monotonic()
        try:
            if endpoint.kind is None:  # it was down when the others were asked
                await self._probe.ask_late(clients[endpoint.url], endpoint)
            outcome = await self._calls.call(clients[endpoint.url], endpoint, request)
        finally:
            endpoint.num_under_way -= 1
        answer = Answered(finished=(request, outcome), sent=sent, ended=time.monotonic())
        failure = answer.failure
        # Where there are other servers, one that fails what they answer is at fault itself.
        blamed = (
            _may_be_the_servers if len(self._pool.endpoints) > 1 else SERVER_FAILURES.__contains__
        )
        if failure is not None and blamed(failure.reason):
            self._pool.lost(endpoint, answer.ended, f"{failure.reason}: {failure.detail}")
        else:
            self._pool.answered(endpoint)
        return answer


def _may_be_the_servers(reason: str) -> bool:
    """Whether another server might answer a request that failed so."""
    if reason in SERVER_FAILURES or reason in {"bad_response", "no_choices"}:
        return True
    return reason.startswith("http_5") or reason in {"http_401", "http_403", "http_404"}


async def _first_done(
    tasks: set[asyncio.Task[Answered]],
) -> tuple[set[asyncio.Task[Answered]], set[asyncio.Task[Answered]]]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _settle(tasks: set[asyncio.Task[Answered]]) -> None:
    """Wait for cancelled tasks; how they ended no longer matters."""
    await asyncio.gather(*tasks, return_exceptions=True)
