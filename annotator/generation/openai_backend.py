"""Replies from OpenAI-compatible servers, a bounded number of requests at a time.

The rule that bounds what a kill can cost: a new request goes out only after every reply that
came in was handed to the caller and stored. So at most `concurrency` requests are ever under way
or unsaved. The event loop lives inside the generator and runs only while the caller waits for
the next replies: no thread, nothing left behind when the caller stops or presses Ctrl-C.

Retries are the client's own (`max_retries`, `Retry-After` honoured); a request its server lost
after them goes once to another server, where there is one. A request that fails is a
RequestFailure; servers that are gone, or that refuse every request for the same reason, end the
run. A failure of the server's is handed on only once a request sent after it was answered: what
a dying server did to a request says nothing about the request.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from annotator.generation.backend import Finished, Outcome, Request, RequestFailure, Take, one_line
from annotator.generation.completion import read_completion
from annotator.generation.config import ModelConfig
from annotator.generation.endpoints import Endpoint, EndpointPool
from annotator.generation.request_body import RequestBody
from schemas.errors import BackendError, ConfigError

if TYPE_CHECKING:
    import openai

# The client asks for a key even where the server needs none.
NO_KEY = "none"
PROBE_TIMEOUT_S = 30.0
# Failures of the server, not of a request.
SERVER_FAILURES = frozenset(
    {"connection", "timeout", "http_429", "http_502", "http_503", "http_504"}
)
# Each call makes the client's pool look at all of its connections; a few a client stay quick.
CALLS_A_LANE = 4
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


Clients = dict[str, "list[openai.AsyncOpenAI]"]
"""A few clients for each server, by its address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answered:
    """A finished request, and when it was sent and ended (monotonic clock, seconds)."""

    finished: Finished
    sent: float
    ended: float

    @property
    def is_lost(self) -> bool:
        outcome = self.finished[1]
        return isinstance(outcome, RequestFailure) and outcome.reason in SERVER_FAILURES


class OpenAIBackend:
    """A model that servers answer for under a name."""

    streams = True

    def __init__(self, config: ModelConfig) -> None:
        """Read the key from the environment; ConfigError when no header can carry it."""
        self._config = config
        self.model = config.model
        self._key = os.environ.get(config.api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"the key in the environment variable {config.api_key_env} holds characters that "
                "no HTTP header can carry; set it again"
            )
        self._pool = EndpointPool(config.urls, patience=-(-config.concurrency // len(config.urls)))
        self._body = RequestBody(config=config)
        self._is_probed = False
        self._num_sent = 0

    def fingerprint(self) -> dict[str, Any]:
        """The served name; `revision` is the user's word for what stands behind it."""
        config = self._config
        values: dict[str, Any] = {
            "backend": "openai",
            "model": self.model,
            "revision": config.revision,
            "chat_template_kwargs": config.chat_template_kwargs,
        }
        # Where unset, a key stays what it was before these settings existed.
        if config.params:
            values["params"] = config.params
        if config.extra_body:
            values["extra_body"] = config.extra_body
        return values

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Groups of one: a server answers each request by itself."""
        return [[request] for request in requests]

    def notes(self) -> list[str]:
        """What the servers would not do."""
        return self._body.notes() + self._pool.notes()

    def generate(self, take: Take) -> Iterator[list[Finished]]:
        """Yield replies as they come in.

        Raises BackendError when no server answers or all stop answering, ConfigError when one
        refuses the key or the model: in both cases after yielding all that had come in.
        """
        with asyncio.Runner() as runner:
            num_lanes = -(-self._config.concurrency // CALLS_A_LANE)
            clients = {
                item.url: [self._make_client(item.url) for _ in range(num_lanes)]
                for item in self._pool.endpoints
            }
            try:
                if not self._is_probed:
                    runner.run(self._probe_all(clients))
                    self._is_probed = True
                yield from self._pump(runner, clients, take)
            finally:
                runner.run(_close_all(clients))

    def _make_client(self, url: str) -> openai.AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        config = self._config
        is_loopback = urlsplit(url).hostname in LOOPBACK_HOSTS
        return AsyncOpenAI(
            base_url=url,
            api_key=self._key or NO_KEY,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            # A proxy from the environment cannot reach this machine's own servers.
            http_client=DefaultAsyncHttpxClient(trust_env=not is_loopback),
        )

    def _pump(
        self, runner: asyncio.Runner, clients: Clients, take: Take
    ) -> Iterator[list[Finished]]:
        loop = runner.get_loop()
        in_flight: set[asyncio.Task[_Answered]] = set()
        held: list[_Answered] = []  # lost to a server, and nothing sent since was answered
        try:
            while True:
                room = self._config.concurrency - len(in_flight)
                for group in take(room) if room else ():
                    for request in group:
                        in_flight.add(loop.create_task(self._ask(clients, request)))
                if not in_flight:
                    if not held:
                        return
                    lost, held = held, []
                    yield [item.finished for item in lost]
                    continue
                done, in_flight = runner.run(_first_done(in_flight))
                errors = [error for task in done if (error := task.exception()) is not None]
                answers = [task.result() for task in done if task.exception() is None]
                held += [item for item in answers if item.is_lost]
                good = [item for item in answers if not item.is_lost]
                if good:
                    alive_at = max(item.sent for item in good)
                    good += [item for item in held if item.ended < alive_at]
                    held = [item for item in held if item.ended >= alive_at]
                    yield [item.finished for item in good]
                if errors:
                    raise errors[0]
                self._end_if_all_rest()
        finally:
            for task in in_flight:
                task.cancel()
            if in_flight:
                runner.run(_settle(in_flight))

    def _end_if_all_rest(self) -> None:
        if self._pool.choose(time.monotonic()) is not None:
            return
        named = "; ".join(
            f"the server at {item.url} stopped answering: {item.num_failed} requests failed in a "
            f"row (last: {item.last_failure})"
            for item in self._pool.endpoints
        )
        raise BackendError(named)

    async def _ask(self, clients: Clients, request: Request) -> _Answered:
        """One request, on the server with most room, and once on another if that one loses it."""
        first = self._pool.choose(time.monotonic()) or self._pool.endpoints[0]
        answer = await self._ask_one(clients, first, request)
        if answer.is_lost:
            other = self._pool.choose(time.monotonic(), but=first)
            if other is not None:
                return await self._ask_one(clients, other, request)
        return answer

    async def _ask_one(self, clients: Clients, endpoint: Endpoint, request: Request) -> _Answered:
        endpoint.num_under_way += 1
        sent = time.monotonic()
        try:
            lanes = clients[endpoint.url]
            self._num_sent += 1
            lane = lanes[self._num_sent % len(lanes)]
            outcome = await self._call(lane, endpoint, request)
        finally:
            endpoint.num_under_way -= 1
        answer = _Answered(finished=(request, outcome), sent=sent, ended=time.monotonic())
        if answer.is_lost and isinstance(outcome, RequestFailure):
            why = f"{outcome.reason}: {outcome.detail}"
            self._pool.lost(endpoint, time.monotonic(), why)
        else:
            self._pool.answered(endpoint)
        return answer

    async def _call(
        self, client: openai.AsyncOpenAI, endpoint: Endpoint, request: Request
    ) -> Outcome:
        from httpx2 import Response
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        messages = [message.model_dump() for message in request.messages]
        body = self._body
        while True:
            fields = body.fields(request)
            try:
                # The body as it stands: the client's typed call walks it again, item by item.
                answer = await client.post(
                    "/chat/completions",
                    cast_to=Response,
                    body={"model": self.model, "messages": messages, **fields},
                )
            except APITimeoutError:
                detail = f"no answer within {self._config.timeout_s:g} s"
                return RequestFailure(reason="timeout", detail=detail)
            except APIConnectionError as error:
                detail = self._safe_line(error.__cause__ or error)
                return RequestFailure(reason="connection", detail=detail)
            except APIStatusError as error:
                self._refuse_if_hopeless(error, endpoint)
                refused = str(error) if error.status_code in (400, 422) else ""
                leaner = body.without(refused, fields) if refused else None
                if leaner is None:
                    reason = f"http_{error.status_code}"
                    return RequestFailure(reason=reason, detail=self._safe_line(error))
                body = leaner
                continue
            self._body = RequestBody(config=self._config, refused=self._body.refused | body.refused)
            return read_completion(answer.content)

    async def _probe_all(self, clients: Clients) -> None:
        """Ask each server what it serves before anything is spent; one that answers is enough."""
        endpoints = self._pool.endpoints
        silent = await asyncio.gather(
            *(self._probe(clients[item.url][0], item) for item in endpoints)
        )
        if not all(silent):
            now = time.monotonic()
            for endpoint, why in zip(endpoints, silent, strict=True):
                if why:
                    self._pool.set_aside(endpoint, now, why)
            return
        if len(endpoints) == 1:
            place = f"no server answers at base_url {endpoints[0].url} ({silent[0]})"
        else:
            named = "; ".join(f"{e.url}: {why}" for e, why in zip(endpoints, silent, strict=True))
            place = f"no server answers at any of the base_urls ({named})"
        raise BackendError(
            f"{place}; start one, for example with: vllm serve {self.model}, or set base_url"
        )

    async def _probe(self, client: openai.AsyncOpenAI, endpoint: Endpoint) -> str:
        """Why a server cannot be asked, or "" when it can; a refused key raises ConfigError."""
        from openai import APIConnectionError, APIStatusError

        patient = client.with_options(
            max_retries=0, timeout=min(PROBE_TIMEOUT_S, self._config.timeout_s)
        )
        try:
            answer = await patient.models.with_raw_response.list()
        except APIConnectionError as error:
            return self._safe_line(error.__cause__ or error)
        except APIStatusError as error:
            if error.status_code in (401, 403):
                self._refuse_if_hopeless(error, endpoint)
            return ""  # a server need not have the list of models
        endpoint.served = _read_names(answer.content)
        return ""

    def _refuse_if_hopeless(self, error: openai.APIStatusError, endpoint: Endpoint) -> None:
        """Raise ConfigError for an answer that every other request would get as well."""
        config = self._config
        if error.status_code in (401, 403):
            advice = (
                f"check the key in the environment variable {config.api_key_env}"
                if self._key
                else f"set the environment variable {config.api_key_env} to a key"
            )
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP {error.status_code}; {advice}"
            )
        if error.status_code == 404:
            served = f"; it serves: {', '.join(endpoint.served[:10])}" if endpoint.served else ""
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP 404 for model {self.model!r} "
                f"({self._safe_line(error)}){served}; check model and base_url"
            )

    def _safe_line(self, error: BaseException) -> str:
        """An error as one line; servers and clients may repeat the key in theirs."""
        text = str(error) or type(error).__name__
        return one_line(text.replace(self._key, "***") if self._key else text)


class _ServedModel(BaseModel):
    id: str


class _ServedModels(BaseModel):
    data: list[_ServedModel]


def _read_names(body: bytes) -> list[str]:
    try:
        return [one_line(item.id) for item in _ServedModels.model_validate_json(body).data]
    except ValidationError:
        return []


async def _first_done(
    tasks: set[asyncio.Task[_Answered]],
) -> tuple[set[asyncio.Task[_Answered]], set[asyncio.Task[_Answered]]]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _settle(tasks: set[asyncio.Task[_Answered]]) -> None:
    """Wait for cancelled tasks; how they ended no longer matters."""
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close_all(clients: Clients) -> None:
    await asyncio.gather(*(lane.close() for lanes in clients.values() for lane in lanes))
