"""One request to one server: written, sent, rewritten without refused fields, and read.

The rule: whatever a server does, the outcome is a Reply, with the sampling that was used, or a
RequestFailure, and whether it may be sent again; only a key or model that every server refuses
raises an error.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from annotator.models.backend import (
    RETRY_LONGER,
    Outcome,
    Reply,
    Request,
    RequestFailure,
)
from annotator.models.config import ModelConfig
from annotator.models.detail_line import detail_line
from annotator.models.openai.completion import read_completion
from annotator.models.openai.connections import (
    Connections,
    NoReplyError,
    StatusError,
    TooLongError,
)
from annotator.models.openai.endpoints import Endpoint, EndpointPool
from annotator.models.openai.request_body import RequestBody, sampling_of
from annotator.models.openai.retries import (
    ACCEPTED_LATELY_S,
    is_refusal,
    is_retried,
    retry_after,
)
from annotator.models.openai.server_access import ServerAccess
from annotator.models.openai.server_kinds import UNKNOWN, describe_unset

# Server messages about a prompt that does not fit: "maximum context length", "exceeds the context".
_LONG_CONTEXT = re.compile(r"context (length|size|window)|maximum (model|context)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Called:
    """What became of one request at one server.

    is_answer    the server replied with something other than a refusal or an error of its own
    is_refusal   a full server refused it
    is_timeout   no reply came in time
    is_retried   another try may help
    retry_after  seconds that the server asked to wait; None where it did not
    """

    outcome: Outcome
    is_answer: bool = True
    is_refusal: bool = False
    is_timeout: bool = False
    is_retried: bool = False
    retry_after: float | None = None


class ServerCalls:
    """Requests to one model, and what was learned about it from the replies."""

    def __init__(self, config: ModelConfig, access: ServerAccess, pool: EndpointPool) -> None:
        self._config = config
        self._access = access
        self._pool = pool
        self._body = RequestBody(config=config)
        self._is_sampled = False  # a request had a temperature above 0
        self._num_unfinished = 0  # replies with only thoughts, cut off
        self._lock = threading.Lock()  # calls may be made in several event loops

    def notes(self) -> list[str]:
        """Notes on what the servers did not support, and which of their defaults could not be
        switched off."""
        known = [item for item in self._pool.endpoints if item.kind is not None]
        notes = self._body.notes(sorted({item.kind or UNKNOWN for item in known}))
        if self._is_sampled:
            unset = (describe_unset(item.kind or UNKNOWN, item.url) for item in known)
            notes += list(filter(None, unset))[:1]
        if self._num_unfinished:
            notes.append(
                f"{self._num_unfinished} replies ended at max_tokens while the model was still "
                "thinking; raise max_tokens, or turn thinking off with "
                "chat_template_kwargs={enable_thinking: false} or params={reasoning_effort: low}"
            )
        return notes

    async def call(
        self,
        connections: Connections,
        endpoint: Endpoint,
        request: Request,
        on_resend: Callable[[], None],
    ) -> Called:
        """One request at one server; ConfigError where no other server is left.

        `on_resend` is called before it is sent again without a field that the server refused.
        """
        body = self._body
        kind = endpoint.kind or UNKNOWN
        self._is_sampled = self._is_sampled or request.decoding.temperature > 0.0
        while True:
            fields = body.fields(request, kind)
            sent = time.monotonic()
            try:
                reply = await connections.complete(endpoint.url, body.encode(request, fields))
            except NoReplyError as error:
                return self._silent(error)
            except TooLongError as error:
                return Called(outcome=RequestFailure(reason="bad_response", detail=str(error)))
            except StatusError as error:
                if error.status in (401, 403, 404):
                    return Called(outcome=self._refuse(error, endpoint))
                other = _written_otherwise(body, error, request, fields)
                if other is None:
                    return self._failed(error, endpoint)
                body = other
                on_resend()
                continue
            seconds = time.monotonic() - sent
            self._learn(body)
            outcome = self._noted(read_completion(reply), body, sampling_of(fields, kind))
            if isinstance(outcome, Reply):
                outcome = replace(outcome, seconds=seconds)
            return Called(outcome=outcome)

    def _silent(self, error: NoReplyError) -> Called:
        if error.is_timeout:
            detail = f"no answer within {self._config.timeout_s:g} s"
            failure = RequestFailure(reason="timeout", detail=detail)
        else:
            failure = RequestFailure(reason="connection", detail=self._access.safe_line(error))
        return Called(
            outcome=failure, is_answer=False, is_timeout=error.is_timeout, is_retried=True
        )

    def _learn(self, body: RequestBody) -> None:
        """Write later requests like `body`, which a server accepted."""
        if body is not self._body:
            with self._lock:
                self._body = self._body.joined(body)

    def _failed(self, error: StatusError, endpoint: Endpoint) -> Called:
        detail = self._access.safe_line(error)
        if error.status == 400 and _LONG_CONTEXT.search(detail):
            detail = detail_line(
                f"the prompt is too long for the server; {RETRY_LONGER} ({detail})"
            )
        accepts = endpoint.gate.accepted_within(ACCEPTED_LATELY_S, time.monotonic())
        return Called(
            outcome=RequestFailure(reason=f"http_{error.status}", detail=detail),
            is_answer=error.status < 500 and error.status != 429,
            is_refusal=is_refusal(error.status, error.headers, accepts=accepts),
            is_retried=is_retried(error.status, error.headers),
            retry_after=retry_after(error.headers),
        )

    def _noted(self, outcome: Outcome, body: RequestBody, sampling: dict[str, Any]) -> Outcome:
        """A reply with the sampling that was used; a failure without the key."""
        if isinstance(outcome, RequestFailure):
            return replace(outcome, detail=self._access.without_key(outcome.detail))
        if outcome.finish_reason == "length" and not outcome.text:
            with self._lock:
                self._num_unfinished += 1
        return replace(outcome, sampling=sampling, system_in_user=body.folds_system)

    def _refuse(self, error: StatusError, endpoint: Endpoint) -> RequestFailure:
        """Set a server aside that refuses key or model; ConfigError when it is the last one."""
        now = time.monotonic()
        if self._pool.choose(now, but=endpoint) is None:
            self._access.refuse_if_hopeless(error, endpoint)
        failure = RequestFailure(
            reason=f"http_{error.status}", detail=self._access.safe_line(error)
        )
        self._pool.set_aside(endpoint, now, f"{failure.reason}: {failure.detail}")
        return failure


def _written_otherwise(
    body: RequestBody, error: StatusError, request: Request, fields: Mapping[str, Any]
) -> RequestBody | None:
    """How to rewrite a refused request; None where the refusal names no field of the request.

    llama.cpp reports a refusal of the chat template as an internal error, HTTP 500.
    """
    status, complaint = error.status, str(error)
    if status not in (400, 422, 500):
        return None
    folded = body.without_system(complaint, request)
    return folded if folded or status == 500 else body.without(complaint, fields)
