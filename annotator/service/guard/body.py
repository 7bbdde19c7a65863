"""The body of one request as a route reads it: counted, timed, and read to its end.

The rule: a response to a body that was not read ends the connection, and what the client is still
sending is read and dropped for a moment first. A closed socket with unread bytes would reset the
connection, and the client would lose the response that explains it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Message, Receive

from annotator.service.errors import ApiError
from annotator.service.guard.checks import too_large

_DRAIN_S = 2.0
_DRAIN_BYTES = 64 * 2**20


class Body:
    """What the client sends after its headers; `unread` until the last part was received."""

    __slots__ = ("_limit", "_rate", "_receive", "_received", "_started", "_timeout_s", "unread")

    def __init__(
        self, receive: Receive, *, limit: int | None, timeout_s: float, min_rate: int
    ) -> None:
        self._receive = receive
        self._limit = limit or 0
        self._timeout_s = timeout_s
        self._rate = min_rate
        self._received = 0
        self._started: float | None = None
        self.unread = limit is not None

    async def receive(self) -> Message:
        """The next ASGI message. Raises ApiError 413 or 408."""
        if not self.unread:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        if self._started is None:
            self._started = now
        deadline = self._started + self._timeout_s + self._received / self._rate
        try:
            async with asyncio.timeout_at(deadline):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(
                status=408, code="too_slow", message="the body came too slowly, or not to its end"
            ) from None
        self._note_end(message)
        self._received += len(message.get("body", b""))
        if self._received > self._limit:
            raise too_large(self._limit)
        return message

    async def drain(self) -> None:
        """Reads and drops what is still coming, for a moment."""
        dropped = 0
        try:
            async with asyncio.timeout(_DRAIN_S):
                while self.unread and dropped < _DRAIN_BYTES:
                    message = await self._receive()
                    dropped += len(message.get("body", b""))
                    self._note_end(message)
        except TimeoutError:
            return

    def _note_end(self, message: Any) -> None:
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.unread = False
