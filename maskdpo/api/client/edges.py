"""Does what flows ask for, in a thread or in an event loop.

The rule: the token goes to the given address only: no redirect is followed, and no setting of the
environment changes the address or the credentials. A proxy of the environment is used, except for
this machine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import IO, TYPE_CHECKING, Any, Generic, TypedDict

from annotator.models.openai.proxies import find_proxy
from maskdpo.api.client.address import Address
from maskdpo.api.client.effects import (
    Call,
    ConnectionFailed,
    Effect,
    Emit,
    Flow,
    Open,
    Read,
    Reply,
    ResultT,
    Send,
    Sleep,
)
from schemas.errors import ConfigError

if TYPE_CHECKING:
    import ssl

    import httpx2

_CONNECT_S = 10.0
_MAX_CONNECTIONS = 1024
_PIECE = 1 << 16


class Steps(Generic[ResultT]):
    """A flow, one effect after the other; `effect` is None when it has ended with `result`."""

    result: ResultT

    def __init__(self, flow: Flow[ResultT]) -> None:
        self._flow = flow
        self.effect: Effect | None = None
        self.go_on(None)

    def go_on(self, value: Any) -> None:
        """Give the flow what its effect led to."""
        try:
            if isinstance(value, ConnectionFailed):
                self.effect = self._flow.throw(value)
            else:
                self.effect = self._flow.send(value)
        except StopIteration as end:
            self.effect, self.result = None, end.value

    def close(self) -> None:
        """Leave the flow where it is."""
        self._flow.close()


class Edge:
    """Calls from any thread, each of which waits for its own."""

    def __init__(self, address: Address) -> None:
        import httpx2

        self.address = address
        self.was_reached = False
        self._http = httpx2.Client(**_settings(address))

    def run(self, flow: Flow[ResultT]) -> ResultT:
        """The result of a flow."""
        rows = self.iterate(flow)
        while True:
            try:
                next(rows)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def iterate(self, flow: Flow[ResultT]) -> Generator[Any, None, ResultT]:
        """What a flow gives; its stream is closed with the iterator."""
        steps, opened = Steps(flow), _Opened()
        try:
            while (effect := steps.effect) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    steps.go_on(None)
                else:
                    steps.go_on(self._do(effect, opened))
            return steps.result
        finally:
            opened.close()
            steps.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _do(self, effect: Effect, opened: _Opened) -> Any:
        import httpx2

        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        try:
            if isinstance(effect, Read):
                return next(opened.pieces, b"")
            assert isinstance(effect, Send | Open)
            opened.close()
            found = self._http.send(self._request(effect.call), stream=True)
            opened.hold(found)
            self.was_reached = True
            is_kept = isinstance(effect, Open) and found.is_success
            reply = _reply(found, b"" if is_kept else found.read())
            if not is_kept:
                opened.close()
            return reply
        except httpx2.HTTPError as error:
            opened.close()
            return _failed(error, self.address, self.was_reached)

    def _request(self, call: Call) -> httpx2.Request:
        body = call.body
        content = body if body is None or isinstance(body, bytes) else _pieces(body)
        return self._http.build_request(
            call.method,
            call.path,
            params=call.query or None,
            headers=_headers(call, self.address),
            content=content,
        )


class AsyncEdge:
    """The same in an event loop."""

    def __init__(self, address: Address, *, was_reached: bool = False) -> None:
        import httpx2

        self.address = address
        self.was_reached = was_reached
        self._http = httpx2.AsyncClient(**_settings(address))

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """The result of a flow that gives nothing before it."""
        steps, opened = Steps(flow), _AsyncOpened()
        try:
            while (effect := steps.effect) is not None:
                steps.go_on(await self._do(effect, opened))
            return steps.result
        finally:
            await opened.close()
            steps.close()

    async def iterate(self, flow: Flow[Any]) -> AsyncGenerator[Any, None]:
        """What a flow gives; its stream is closed with the iterator."""
        steps, opened = Steps(flow), _AsyncOpened()
        try:
            while (effect := steps.effect) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    steps.go_on(None)
                else:
                    steps.go_on(await self._do(effect, opened))
        finally:
            await opened.close()
            steps.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _do(self, effect: Effect, opened: _AsyncOpened) -> Any:
        import httpx2

        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        try:
            if isinstance(effect, Read):
                return await anext(opened.pieces, b"")
            assert isinstance(effect, Send | Open)
            await opened.close()
            found = await self._http.send(self._request(effect.call), stream=True)
            opened.hold(found)
            self.was_reached = True
            is_kept = isinstance(effect, Open) and found.is_success
            reply = _reply(found, b"" if is_kept else await found.aread())
            if not is_kept:
                await opened.close()
            return reply
        except httpx2.HTTPError as error:
            await opened.close()
            return _failed(error, self.address, self.was_reached)

    def _request(self, call: Call) -> httpx2.Request:
        body = call.body
        content = body if body is None or isinstance(body, bytes) else _pieces_async(body)
        return self._http.build_request(
            call.method,
            call.path,
            params=call.query or None,
            headers=_headers(call, self.address),
            content=content,
        )


class _Opened:
    """The reply that a flow reads piece by piece, if there is one."""

    def __init__(self) -> None:
        self._response: httpx2.Response | None = None
        self.pieces: Iterator[bytes] = iter(())

    def hold(self, response: httpx2.Response) -> None:
        self._response = response
        self.pieces = response.iter_bytes()

    def close(self) -> None:
        if self._response is not None:
            self._response.close()
        self._response = None


class _AsyncOpened:
    """The same in an event loop."""

    def __init__(self) -> None:
        self._response: httpx2.Response | None = None
        self.pieces: AsyncIterator[bytes]

    def hold(self, response: httpx2.Response) -> None:
        self._response = response
        self.pieces = response.aiter_bytes()

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
        self._response = None


class _Settings(TypedDict):
    base_url: str
    timeout: httpx2.Timeout
    limits: httpx2.Limits
    verify: ssl.SSLContext | bool
    proxy: str | None
    trust_env: bool
    follow_redirects: bool


def _settings(address: Address) -> _Settings:
    import httpx2

    proxy, patience = find_proxy(address.base_url), address.timeout_s
    has_tls = bool(proxy) or address.base_url.lower().startswith("https:")
    return {
        "base_url": address.base_url,
        "timeout": httpx2.Timeout(patience, connect=min(_CONNECT_S, patience), pool=None),
        "limits": httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS
        ),
        "verify": httpx2.create_ssl_context() if has_tls else False,  # slow to make
        "proxy": proxy,
        "trust_env": False,  # among others .netrc, which would replace the token
        "follow_redirects": False,
    }


def _headers(call: Call, address: Address) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", **call.headers}
    if call.has_token:
        headers["Authorization"] = f"Bearer {address.token}"
    if call.body is not None:
        headers["Content-Type"] = call.content_type
    if call.body is not None and not isinstance(call.body, bytes):
        headers["Content-Length"] = str(call.body.seek(0, os.SEEK_END))
    return headers


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


async def _pieces_async(file: IO[bytes]) -> AsyncIterator[bytes]:
    for piece in _pieces(file):
        yield piece


def _reply(found: httpx2.Response, body: bytes) -> Reply:
    headers = {name.lower(): value for name, value in found.headers.items()}
    return Reply(status=found.status_code, headers=headers, body=body)


def _failed(error: httpx2.HTTPError, address: Address, was_reached: bool) -> ConnectionFailed:
    """Why there is no reply. Raises ConfigError where no try can help."""
    import httpx2

    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        raise ConfigError(f"base_url {address.base_url} cannot be asked: {error}") from None
    if isinstance(error, httpx2.ReadTimeout):
        why = f"sent nothing for {address.timeout_s:g} s"
        return ConnectionFailed(f"the service at {address.base_url} {why}", was_silent=True)
    is_new = not was_reached and isinstance(error, httpx2.ConnectError)
    hint = "; start it with: maskdpo serve" if is_new else ""
    why = str(error) or type(error).__name__
    return ConnectionFailed(
        f"the service at {address.base_url} is not reached: {why}{hint}", is_new=is_new
    )
