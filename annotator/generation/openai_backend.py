"""Replies from any OpenAI-compatible server, a bounded number of requests at a time.

The rule that bounds what a kill can cost: a new request goes out only after every reply that
came in was handed to the caller and stored. So at most `concurrency` requests are ever under way
or unsaved. The event loop lives inside the generator and runs only while the caller waits for
the next replies: no thread, nothing left behind when the caller stops or presses Ctrl-C.

Retries are the client's own (`max_retries`). One request that fails is a RequestFailure; a
server that is gone, or that refuses every request for the same reason, ends the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from annotator.generation.backend import Outcome, Request, RequestFailure, one_line
from annotator.generation.completion import read_completion
from annotator.generation.config import SampleConfig
from schemas.errors import BackendError, ConfigError

if TYPE_CHECKING:
    import openai

# The client asks for a key even where the server needs none.
NO_KEY = "none"
PROBE_TIMEOUT_S = 30.0
# Failures of the server, not of a request. This many in a row (or one for each request in
# flight, if that is more) and the server counts as gone.
SERVER_FAILURES = frozenset(
    {"connection", "timeout", "http_429", "http_502", "http_503", "http_504"}
)
MIN_FAILURES_IN_A_ROW = 8
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

Finished = tuple[Request, Outcome]


class OpenAIBackend:
    """A model that a server answers for under a name."""

    def __init__(self, config: SampleConfig) -> None:
        """Read the key from the environment; ConfigError when no header can carry it."""
        self._config = config
        self.model = config.model
        self._key = os.environ.get(config.api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"the key in the environment variable {config.api_key_env} holds characters that "
                "no HTTP header can carry; set it again"
            )
        self._served: list[str] = []

    def fingerprint(self) -> dict[str, Any]:
        """The served name; `revision` is the user's word for what stands behind it."""
        return {
            "backend": "openai",
            "model": self.model,
            "revision": self._config.revision,
            "chat_template_kwargs": self._config.chat_template_kwargs,
        }

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """Groups of one: a server answers each request by itself."""
        return [[request] for request in requests]

    def generate(self, groups: Sequence[Sequence[Request]]) -> Iterator[list[Finished]]:
        """Yield replies as they come in.

        Raises BackendError when no server answers or it stops answering, ConfigError when it
        refuses the key or the model: in both cases after yielding all that had come in.
        """
        if not groups:
            return
        requests = (request for group in groups for request in group)
        with asyncio.Runner() as runner:
            client = self._make_client()
            try:
                runner.run(self._probe(client))
                yield from self._pump(runner, client, requests)
            finally:
                runner.run(client.close())

    def _make_client(self) -> openai.AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        config = self._config
        is_loopback = urlsplit(config.base_url).hostname in LOOPBACK_HOSTS
        return AsyncOpenAI(
            base_url=config.base_url,
            api_key=self._key or NO_KEY,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            # A proxy from the environment cannot reach this machine's own servers.
            http_client=DefaultAsyncHttpxClient(trust_env=not is_loopback),
        )

    def _pump(
        self, runner: asyncio.Runner, client: openai.AsyncOpenAI, requests: Iterator[Request]
    ) -> Iterator[list[Finished]]:
        loop = runner.get_loop()
        in_flight: set[asyncio.Task[Finished]] = set()
        num_lost = 0  # server failures since the last request that was answered
        try:
            while True:
                for request in islice(requests, self._config.concurrency - len(in_flight)):
                    in_flight.add(loop.create_task(self._ask(client, request)))
                if not in_flight:
                    return
                done, in_flight = runner.run(_first_done(in_flight))
                errors = [error for task in done if (error := task.exception()) is not None]
                finished = [task.result() for task in done if task.exception() is None]
                if finished:
                    yield finished
                if errors:
                    raise errors[0]
                failures = [item for _, item in finished if isinstance(item, RequestFailure)]
                lost = [failure for failure in failures if failure.reason in SERVER_FAILURES]
                num_lost = num_lost + len(lost) if len(lost) == len(finished) else 0
                if num_lost >= max(MIN_FAILURES_IN_A_ROW, self._config.concurrency):
                    raise BackendError(
                        f"the server at {self._config.base_url} stopped answering: {num_lost} "
                        f"requests failed in a row (last: {lost[-1].reason}: {lost[-1].detail})"
                    )
        finally:
            for task in in_flight:
                task.cancel()
            if in_flight:
                runner.run(_settle(in_flight))

    async def _ask(self, client: openai.AsyncOpenAI, request: Request) -> Finished:
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        config = self._config
        extra = {"chat_template_kwargs": config.chat_template_kwargs}
        try:
            answer = await client.chat.completions.with_raw_response.create(
                model=self.model,
                messages=[message.model_dump() for message in request.messages],  # type: ignore[misc]
                temperature=config.temperature,
                top_p=config.top_p,
                max_tokens=config.max_tokens,
                seed=request.seed,
                extra_body=extra if config.chat_template_kwargs else None,
            )
        except APITimeoutError:
            detail = f"no answer within {config.timeout_s:g} s"
            return request, RequestFailure(reason="timeout", detail=detail)
        except APIConnectionError as error:
            detail = self._safe_line(error.__cause__ or error)
            return request, RequestFailure(reason="connection", detail=detail)
        except APIStatusError as error:
            self._refuse_if_hopeless(error)
            reason = f"http_{error.status_code}"
            return request, RequestFailure(reason=reason, detail=self._safe_line(error))
        return request, read_completion(answer.content)

    async def _probe(self, client: openai.AsyncOpenAI) -> None:
        """Ask what is served, before anything is spent; only a refused key or silence stops."""
        from openai import APIConnectionError, APIStatusError

        patient = client.with_options(
            max_retries=0, timeout=min(PROBE_TIMEOUT_S, self._config.timeout_s)
        )
        try:
            answer = await patient.models.with_raw_response.list()
        except APIConnectionError as error:
            raise BackendError(
                f"no server answers at base_url {self._config.base_url} "
                f"({self._safe_line(error.__cause__ or error)}); start one, for example with: "
                f"vllm serve {self.model}, or set base_url"
            ) from None
        except APIStatusError as error:
            if error.status_code in (401, 403):
                self._refuse_if_hopeless(error)
            return  # a server need not have the list of models
        self._served = _read_names(answer.content)

    def _refuse_if_hopeless(self, error: openai.APIStatusError) -> None:
        """Raise ConfigError for an answer that every other request would get as well."""
        config = self._config
        if error.status_code in (401, 403):
            advice = (
                f"check the key in the environment variable {config.api_key_env}"
                if self._key
                else f"set the environment variable {config.api_key_env} to a key"
            )
            raise ConfigError(
                f"the server at {config.base_url} answered HTTP {error.status_code}; {advice}"
            )
        if error.status_code == 404:
            served = f"; it serves: {', '.join(self._served[:10])}" if self._served else ""
            raise ConfigError(
                f"the server at {config.base_url} answered HTTP 404 for model {self.model!r} "
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
    tasks: set[asyncio.Task[Finished]],
) -> tuple[set[asyncio.Task[Finished]], set[asyncio.Task[Finished]]]:
    return await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _settle(tasks: set[asyncio.Task[Finished]]) -> None:
    """Wait for cancelled tasks; how they ended no longer matters."""
    await asyncio.gather(*tasks, return_exceptions=True)
