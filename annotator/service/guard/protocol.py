"""What a connection may cost before there is a request: bytes, headers, seconds, a place.

The rule: only a connection that has a request in progress keeps its place. One that waits for a
request, or is still sending its header section, has `first_request_s`, and gives its place to a new
connection when all are taken, the longest wait first. So idle connections never keep a client out.

The parser (llhttp, in httptools) is strict: it refuses both lengths of a body at once, two lengths,
folded headers, and bare line ends. What it does not bound, the size of headers, trailers and chunk
extensions, is counted here.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from annotator.service.errors import ApiError, unavailable
from annotator.service.guard.middleware import POLICY, SECURITY_HEADERS
from annotator.service.guard.settings import ConnectionLimits

_HEADER_SYNTAX_BYTES = 4  # the colon, the blank and the line end
_OVERHEAD_PER_BYTE = 8  # a chunk of one byte has five bytes around it
_LINGER_S = 2.0
_VERSIONS = ("1.0", "1.1")
Waiting = dict["GuardedProtocol", None]


_TOO_LONG = ApiError(
    status=431, code="headers_too_large", message="the header section is too large"
)
_MALFORMED = ApiError(status=400, code="bad_request", message="this is not a valid HTTP request")
_FULL = unavailable(
    "too_many_connections", "the service has too many connections; try again", retry_after_s=1
)


def guarded_protocol(limits: ConnectionLimits) -> Callable[..., GuardedProtocol]:
    """What uvicorn takes as `http`: makes protocols that share one set of places."""
    waiting: Waiting = {}

    def make(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> GuardedProtocol:
        return GuardedProtocol(
            config, server_state, app_state, _loop, limits=limits, waiting=waiting
        )

    return make


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol over httptools, with limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop | None,
        *,
        limits: ConnectionLimits,
        waiting: Waiting,
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._limits = limits
        self._waiting = waiting
        self._timer: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self._refusal = _MALFORMED
        self._in_section = self._in_body = False
        self._section_bytes = 0
        self._overhead = 0
        self._payload = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a place, from the connection that waited longest if all are taken."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            if not self._waiting:
                self._refuse(_FULL)
                return
            next(iter(self._waiting)).give_way()
        self._waiting[self] = None
        self._start_timer(self._limits.first_request_s)

    def give_way(self) -> None:
        """Ends a connection that has no request in progress."""
        self._waiting.pop(self, None)
        self.connections.discard(self)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Frees the place and the timers."""
        self._waiting.pop(self, None)
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses, and counts what is not part of a body."""
        self._overhead += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        allowed = self._limits.max_header_bytes + self._payload * _OVERHEAD_PER_BYTE
        if self._overhead > allowed:
            self._refuse(_TOO_LONG)
        elif self._in_section and self._timer is None:
            self._start_timer(self._limits.first_request_s)

    def on_message_begin(self) -> None:
        """A new request: the counters start again."""
        super().on_message_begin()
        self._in_section = True
        self._section_bytes = self._payload = 0

    def on_url(self, url: bytes) -> None:
        """Counts the address as part of the header section."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; a trailer, which comes after the body, is dropped."""
        if not self._in_section:
            return
        super().on_header(name, value)
        self._count(len(name) + len(value) + _HEADER_SYNTAX_BYTES)
        if len(self.headers) > self._limits.max_headers:
            raise self._refuse_with(_TOO_LONG)

    def on_headers_complete(self) -> None:
        """Starts the request, if it is for this server and in a known version."""
        is_known = self.parser.get_http_version() in _VERSIONS
        if not is_known or self.url[:1] != b"/" or len(self.pipeline) >= self._limits.max_pipelined:
            raise self._refuse_with(_MALFORMED)
        self._in_section, self._in_body = False, True
        self._overhead = 0
        self._stop_timer()
        self._waiting.pop(self, None)
        super().on_headers_complete()
        if self.parser.should_upgrade():  # the rest of the bytes would be in another protocol
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Counts the body's own bytes."""
        self._payload += len(body)
        self._overhead = max(0, self._overhead - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is complete: nothing is left to linger for."""
        super().on_message_complete()
        self._in_body = False
        self._overhead = 0
        if self.cycle.response_complete:
            self._stop_timer()

    def on_response_complete(self) -> None:
        """Waits for the next request; a body that still comes has a moment to end."""
        super().on_response_complete()
        if self.transport.is_closing() or not self.cycle.response_complete:
            return
        self._waiting[self] = None
        if self._in_body:
            self._start_timer(_LINGER_S)

    def pause_writing(self) -> None:
        """The client does not read: it has `stalled_write_s`."""
        super().pause_writing()
        self._stop_write_timer()
        stalled_s = self._limits.stalled_write_s
        self._write_timer = self.loop.call_later(stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._stop_write_timer()

    def timeout_keep_alive_handler(self) -> None:
        """Closes an idle connection; one that still reads its response has more time."""
        if self.transport.get_write_buffer_size():
            self.loop.call_later(self._limits.stalled_write_s, self.transport.abort)
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that the parser refuses; its own text is not used."""
        self._refuse(self._refusal)

    def _count(self, size: int) -> None:
        self._section_bytes += size
        if self._section_bytes > self._limits.max_header_bytes:
            raise self._refuse_with(_TOO_LONG)

    def _refuse_with(self, refusal: ApiError) -> ValueError:
        """Notes `refusal` for `send_400_response`; the parser stops at what a callback raises."""
        self._refusal = refusal
        return ValueError(refusal.code)

    def _refuse(self, refusal: ApiError) -> None:
        """Sends `refusal` and closes. A response that has begun is cut off instead."""
        self._stop_timer()
        cycle = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.close()
            return
        body = refusal.body()
        headers = (
            *SECURITY_HEADERS,
            (b"content-security-policy", POLICY),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
        )
        lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
        self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        self.transport.close()

    def _start_timer(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
