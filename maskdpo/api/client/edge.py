"""Sends requests in an event loop, with aiohttp.

The rules: the token goes to the given address only: no redirect is followed, and no setting of the
environment changes the address or the credentials. A proxy of the environment is used, except for
this machine. And hundreds of requests at once cost little: httpx2 looks at every connection of its
pool for each request (3.4 ms of CPU per request with 256 at once), aiohttp does not.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from annotator.models.openai.proxies import find_proxy
from maskdpo.api.client.address import Address
from maskdpo.api.client.wire import Call, ConnectionFailed, Events, Reply
from schemas.errors import ConfigError

if TYPE_CHECKING:
    import aiohttp

_CONNECT_S = 10.0
_MAX_CONNECTIONS = 1024
_IDLE_S = 10.0  # less than the service keeps a connection, so that it does not close one in use
_PIECE = 1 << 16


class Edge:
    """Calls in one event loop, which need not run yet when this is made.

    What it does raises ConnectionFailed where the service is not reached or a connection breaks.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.was_reached = False
        self._proxy = find_proxy(address.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, call: Call, *, as_stream: bool = False) -> Opened:
        """The reply to a call, with its whole body; with `as_stream` that of a success is left to
        be read. Close it."""
        with self.failures():
            opened = Opened(self, await self._send(call))
            self.was_reached = True
            if not as_stream or not opened.reply.is_success:
                await opened.read()
        return opened

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        self._session = None

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raise ConnectionFailed in place of aiohttp's errors."""
        import aiohttp

        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _failed(error, self.address, self.was_reached) from None

    async def _send(self, call: Call) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = _make_session(self.address, has_proxy=self._proxy is not None)
        body = call.body
        return await self._session.request(
            call.method,
            self.address.base_url + call.path,
            params=call.query,
            data=body if body is None or isinstance(body, bytes) else _pieces(body),
            headers=_headers(call, self.address),
            proxy=self._proxy,
            allow_redirects=False,
        )


class Opened:
    """A reply whose body may still come. Close it."""

    def __init__(self, edge: Edge, response: aiohttp.ClientResponse) -> None:
        self._edge = edge
        self._response = response
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.reply = Reply(status=response.status, headers=headers)

    async def read(self) -> None:
        """Read the whole body."""
        try:
            self.reply = replace(self.reply, body=await self._response.read())
        finally:
            self.close()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            with self._edge.failures():
                chunk = await self._response.content.readany()
            if not chunk:
                return
            yield chunk

    async def events(self) -> AsyncIterator[tuple[str, str]]:
        """Server-sent events as (name, data)."""
        events = Events()
        async for chunk in self:
            for event in events.feed(chunk):
                yield event

    def close(self) -> None:
        """End the reply; of one that was read, the connection is kept."""
        self._response.close()


def _make_session(address: Address, *, has_proxy: bool) -> aiohttp.ClientSession:
    import aiohttp
    from httpx2 import create_ssl_context

    has_tls = has_proxy or address.base_url.lower().startswith("https:")
    patience = address.timeout_s
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=_MAX_CONNECTIONS,
            keepalive_timeout=_IDLE_S,
            ssl=create_ssl_context() if has_tls else True,  # slow to make
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=min(_CONNECT_S, patience), sock_read=patience
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # among others .netrc, which would replace the token
    )


def _headers(call: Call, address: Address) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", **call.headers}
    if call.has_token:
        headers["Authorization"] = f"Bearer {address.token}"
    if call.body is not None:
        headers["Content-Type"] = call.content_type
    if call.body is not None and not isinstance(call.body, bytes):
        headers["Content-Length"] = str(call.body.seek(0, os.SEEK_END))
    return headers


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _failed(error: Exception, address: Address, was_reached: bool) -> ConnectionFailed:
    """Why there is no reply. Raises ConfigError where no try can help."""
    import aiohttp

    place, why = f"the service at {address.base_url}", str(error) or type(error).__name__
    if isinstance(error, aiohttp.InvalidURL):
        raise ConfigError(f"base_url {address.base_url} cannot be asked: {why}") from None
    if isinstance(error, aiohttp.SocketTimeoutError):
        return ConnectionFailed(
            f"{place} sent nothing for {address.timeout_s:g} s", was_silent=True
        )
    is_new = isinstance(error, aiohttp.ClientConnectorError) and not was_reached
    hint = "; start it with: maskdpo serve" if is_new else ""
    return ConnectionFailed(f"{place} is not reached: {why}{hint}", is_new=is_new)
