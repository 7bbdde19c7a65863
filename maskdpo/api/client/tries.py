"""Which calls are sent again, and the error that a caller gets for the rest.

The rule: every call may be repeated, because an annotation costs nothing twice (its calls are
stored by content) and a job has a key of its own. Asked again is what another try can help: a
broken connection, a full queue (429), a service that stops or is not ready (503), and a proxy
without a service behind it. What the service itself refused is not asked again.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotator.models.openai.retries import retry_after, retry_delay
from maskdpo.api.client.address import TOKEN_VARIABLE
from maskdpo.api.client.edge import Edge, Opened
from maskdpo.api.client.wire import Call, ConnectionFailed, Reply
from schemas.errors import (
    BackendError,
    ConfigError,
    Fault,
    InputError,
    LimitReachedError,
    MaskDpoError,
)

_MAX_SHOWN = 500
_SPREAD = 0.5
_WRONG_TOKENS = "too_many_wrong_tokens"
# The status of an error in a stream, which began as a success, by its code.
_STATUS_OF = {"invalid_request": 422, "unknown_name": 422, "busy": 429, "stopping": 503}


class NotJudgedError(BackendError):
    """One response could not be judged, or not in time; others can."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The body of an error: a short code, a sentence, and more sentences.

    The code is empty where something else than the service replied.
    """

    code: str
    message: str
    details: tuple[str, ...] = ()


class Tries:
    """How often one piece of work was tried since it last got on.

    A full service (429) is waited for, for `patience_s` seconds in all, before that counts as a
    failed try: for one of many requests it only means that their number is right.
    """

    def __init__(self, max_retries: int, *, patience_s: float = 0.0) -> None:
        self._max_retries = max_retries
        self._patience_s = patience_s
        self._failed = 0

    def reset(self) -> None:
        """The work got on."""
        self._failed = 0

    def after_break(self, error: ConnectionFailed) -> float:
        """The seconds before the next try. Raises BackendError where there is none."""
        if error.is_new or self._failed >= self._max_retries:
            raise BackendError(str(error)) from None
        return self._wait({})

    def after_refusal(self, reply: Reply) -> float:
        """The same for a reply that reports an error; its error is raised where it is final."""
        refusal = read_refusal(reply.body)
        error = error_of(reply.status, refusal)
        if refusal.code == "busy" and self._patience_s > 0:
            wait = _delay(0, reply.headers)
            self._patience_s -= wait
            return wait
        if self._failed >= self._max_retries or not _is_passing(reply.status, refusal):
            raise error
        return self._wait(reply.headers)

    def _wait(self, headers: Mapping[str, str]) -> float:
        self._failed += 1
        return _delay(self._failed - 1, headers)


def _delay(num_retries: int, headers: Mapping[str, str]) -> float:
    """Seconds to wait; what the service asks for is made longer, so that not all come at once."""
    asked = retry_after(headers)
    spread = 1 + _SPREAD * random.random() if asked else 1.0
    return spread * retry_delay(num_retries, asked)


async def send(edge: Edge, call: Call, *, patience_s: float = 0.0) -> Reply:
    """The reply of a success; anything else is tried again or raised."""
    tries = Tries(edge.address.max_retries, patience_s=patience_s)
    return (await open_stream(edge, call, tries, as_stream=False)).reply


async def open_stream(edge: Edge, call: Call, tries: Tries, *, as_stream: bool = True) -> Opened:
    """The same for a reply that is read piece by piece. Close it."""
    while True:
        try:
            opened = await edge.ask(call, as_stream=as_stream)
        except ConnectionFailed as error:
            await asyncio.sleep(tries.after_break(error))
            continue
        if opened.reply.is_success:
            return opened
        await asyncio.sleep(tries.after_refusal(opened.reply))


def read_refusal(body: bytes) -> Refusal:
    """The error in a body; of anything else than the service's form, its beginning."""
    try:
        values: Any = json.loads(body)["error"]
        details = values.get("details") or []
        return Refusal(
            code=str(values["code"]), message=str(values["message"]), details=(*map(str, details),)
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        text = " ".join(body[:_MAX_SHOWN].decode(errors="replace").split())
        return Refusal(code="", message=text)


def refused_in_stream(data: str) -> Reply:
    """An error that came as an event, as the reply that it would have been."""
    body = data.encode()
    return Reply(status=_STATUS_OF.get(read_refusal(body).code, 502), headers={}, body=body)


def error_of(status: int, refusal: Refusal) -> MaskDpoError:
    """The error for a status that reports one."""
    message = refusal.message or f"HTTP {status}"
    if not refusal.code:
        return _of_a_stranger(status, message)
    if refusal.code == "limit_reached":
        return LimitReachedError(message)
    is_of_token = status == 401 or refusal.code == _WRONG_TOKENS
    if is_of_token or status == 403:
        return ConfigError(message + (f" (token= or {TOKEN_VARIABLE})" if is_of_token else ""))
    if status >= 500 or status in (408, 429):
        is_single = refusal.code in ("timeout", "not_judged")
        return (NotJudgedError if is_single else BackendError)(message)
    return InputError([_fault(text) for text in refusal.details or (message,)])


def _of_a_stranger(status: int, message: str) -> MaskDpoError:
    if 300 <= status < 400:
        return ConfigError(
            f"base_url leads to another address (HTTP {status}), which is not followed, because "
            "the token would go there; give the final address"
        )
    if status in (401, 403, 404, 405):
        return ConfigError(
            f"no annotation service answers at base_url (HTTP {status}); check the address, and a "
            "proxy in front of the service"
        )
    return BackendError(f"the service is not reached (HTTP {status}): {message}")


def _is_passing(status: int, refusal: Refusal) -> bool:
    if refusal.code in ("limit_reached", _WRONG_TOKENS):
        return False
    return status in (429, 503) or (status in (502, 504) and not refusal.code)


def _fault(text: str) -> Fault:
    """A sentence as a fault; most begin with the place that is wrong."""
    place, _, rest = text.partition(": ")
    if not rest or " " in place:
        place, rest = "request", text
    path, _, line = place.rpartition(":")
    if path and line.isdecimal():
        return Fault(path=path, line=int(line), message=rest)
    return Fault(path=place, line=None, message=rest)
