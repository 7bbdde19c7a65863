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
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from annotator.generation.backend import Finished, Outcome, Request, RequestFailure, Take, one_line
from annotator.generation.completion import read_completion
from annotator.generation.config import ModelConfig
from annotator.generation.endpoints import MIN_FAILURES_IN_A_ROW, Endpoint, EndpointPool, Pace
from annotator.generation.held_failures import SERVER_FAILURES, Answered, HeldFailures
from annotator.generation.request_body import RequestBody
from schemas.errors import BackendError, ConfigError

if TYPE_CHECKING:
    import openai

# The client asks for a key even where the server needs none.
NO_KEY = "none"
PROBE_TIMEOUT_S = 30.0
# A server that is full says nothing of what was asked; one that says so this often may mean it.
# Fewer than set a server aside: one request alone does not.
MOST_REFUSALS = MIN_FAILURES_IN_A_ROW - 2
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


Clients = dict[str, "openai.AsyncOpenAI"]
"""One client a server, by its address."""


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
        self._pace = Pace(config.concurrency)
        self._body = RequestBody(config=config)
        self._is_probed = False

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
            clients = {item.url: self._make_client(item.url) for item in self._pool.endpoints}
            try:
                if not self._is_probed:
                    runner.run(self._probe_all(clients))
                    self._is_probed = True
                yield from self._pump(runner, clients, take)
            finally:
                runner.run(_close_all(clients))

    def _make_client(self, url: str) -> openai.AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        config = self._config
        is_loopback = urlsplit(url).hostname in LOOPBACK_HOSTS
        return AsyncOpenAI(
            base_url=url,
            api_key=self._key or NO_KEY,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            # A proxy from the environment cannot reach this machine's own servers.
            http_client=DefaultAioHttpClient(trust_env=not is_loopback),
        )

    def _pump(
        self, runner: asyncio.Runner, clients: Clients, take: Take
    ) -> Iterator[list[Finished]]:
        loop = runner.get_loop()
        in_flight: set[asyncio.Task[Answered]] = set()
        again: deque[Request] = deque()  # refused for want of room, to be sent again
        refusals: Counter[str] = Counter()
        held = HeldFailures(patience=max(MIN_FAILURES_IN_A_ROW, self._config.concurrency))
        stop: BaseException | None = None
        try:
            while True:
                hopeless = stop or self._all_rest() or self._all_alike(held)
                room = 0 if hopeless else self._pace.room - len(in_flight)
                batch = [again.popleft() for _ in range(min(room, len(again)))]
                if room > len(batch):
                    batch += [request for group in take(room - len(batch)) for request in group]
                for request in batch:
                    in_flight.add(loop.create_task(self._ask(clients, request)))
                if not in_flight:
                    # What was under way has come in: it was paid for, and might have brought hope.
                    if hopeless:
                        raise hopeless
                    lost = held.release()
                    if not lost:
                        return
                    yield lost
                    continue
                done, in_flight = runner.run(_first_done(in_flight))
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
            if in_flight:
                runner.run(_settle(in_flight))

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
            outcome = await self._call(clients[endpoint.url], endpoint, request)
        finally:
            endpoint.num_under_way -= 1
        answer = Answered(finished=(request, outcome), sent=sent, ended=time.monotonic())
        failure = answer.failure
        # With other servers beside it, one that fails what they answer is at fault itself.
        blamed = (
            _may_be_the_servers if len(self._pool.endpoints) > 1 else SERVER_FAILURES.__contains__
        )
        if failure is not None and blamed(failure.reason):
            self._pool.lost(endpoint, answer.ended, f"{failure.reason}: {failure.detail}")
        else:
            self._pool.answered(endpoint)
        return answer

    async def _call(
        self, client: openai.AsyncOpenAI, endpoint: Endpoint, request: Request
    ) -> Outcome:
        from httpx2 import Response
        from openai import APIConnectionError, APIStatusError

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
            except APIConnectionError as error:
                if _timed_out(error):
                    detail = f"no answer within {self._config.timeout_s:g} s"
                    return RequestFailure(reason="timeout", detail=detail)
                detail = self._safe_line(error.__cause__ or error)
                return RequestFailure(reason="connection", detail=detail)
            except APIStatusError as error:
                if error.status_code in (401, 403, 404):
                    return self._refuse(error, endpoint)
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
        silent = await asyncio.gather(*(self._probe(clients[item.url], item) for item in endpoints))
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

    def _refuse(self, error: openai.APIStatusError, endpoint: Endpoint) -> RequestFailure:
        """Set a server aside that refuses key or model; ConfigError when it is the last one."""
        now = time.monotonic()
        if self._pool.choose(now, but=endpoint) is None:
            self._refuse_if_hopeless(error, endpoint)
        failure = RequestFailure(reason=f"http_{error.status_code}", detail=self._safe_line(error))
        self._pool.set_aside(endpoint, now, f"{failure.reason}: {failure.detail}")
        return failure

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
                f"{_advise_v1(endpoint.url)}"
            )

    def _safe_line(self, error: BaseException) -> str:
        """An error as one line; servers and clients may repeat the key in theirs."""
        text = str(error) or type(error).__name__
        return one_line(text.replace(self._key, "***") if self._key else text)


def _advise_v1(url: str) -> str:
    """A hint for an address without the path that such servers mostly have; '' for others."""
    bare = url.rstrip("/")
    return "" if bare.endswith("/v1") else f", which mostly ends in /v1: base_url={bare}/v1"


def _may_be_the_servers(reason: str) -> bool:
    """Whether another server might answer a request that failed so."""
    if reason in SERVER_FAILURES or reason in {"bad_response", "no_choices"}:
        return True
    return reason.startswith("http_5") or reason in {"http_401", "http_403", "http_404"}


def _timed_out(error: BaseException) -> bool:
    """Whether an error began as a time-out. The client says so of a server that hung up, too."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TimeoutError):
            return True
        link = link.__cause__ or link.__context__
    return False


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
    tasks: set[asyncio.Task[Answered]],
) -> tuple[set[asyncio.Task[Answered]], set[asyncio.Task[Answered]]]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _settle(tasks: set[asyncio.Task[Answered]]) -> None:
    """Wait for cancelled tasks; how they ended no longer matters."""
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close_all(clients: Clients) -> None:
    await asyncio.gather(*(client.close() for client in clients.values()))
