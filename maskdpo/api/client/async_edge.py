"""Does what flows ask for in an event loop, with aiohttp.

The rule: it must serve hundreds of requests at once. httpx2 looks at every connection of its pool
for each request (3.4 ms of CPU per request with 256 at once), aiohttp does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from annotator.models.openai.proxies import find_proxy
from maskdpo.api.client.address import Address
from maskdpo.api.client.edges import (
    CONNECT_S,
    MAX_CONNECTIONS,
    Steps,
    broken,
    headers_of,
    not_there,
    pieces_of,
    silent,
)
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
    import aiohttp

_IDLE_S = 10.0  # less than the service keeps a connection, so that it does not close one in use


class AsyncEdge:
    """Calls in one event loop, which need not run yet when this is made."""

    def __init__(self, address: Address, *, was_reached: bool = False) -> None:
        self.address = address
        self.was_reached = was_reached
        self._proxy = find_proxy(address.base_url)
        self._session: aiohttp.ClientSession | None = None

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """The result of a flow that gives nothing before it."""
        steps, opened = Steps(flow), _Opened()
        try:
            while (effect := steps.effect) is not None:
                steps.go_on(await self._do(effect, opened))
            return steps.result
        finally:
            opened.close()
            steps.close()

    async def iterate(self, flow: Flow[Any]) -> AsyncGenerator[Any, None]:
        """What a flow gives; its stream is closed with the iterator."""
        steps, opened = Steps(flow), _Opened()
        try:
            while (effect := steps.effect) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    steps.go_on(None)
                else:
                    steps.go_on(await self._do(effect, opened))
        finally:
            opened.close()
            steps.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def _do(self, effect: Effect, opened: _Opened) -> Any:
        import aiohttp

        if isinstance(effect, Sleep):
            return await asyncio.sleep(effect.seconds)
        try:
            if isinstance(effect, Read):
                return await opened.read()
            assert isinstance(effect, Send | Open)
            opened.close()
            found = await self._send(effect.call)
            opened.response = found
            self.was_reached = True
            reply = _reply(found)
            if isinstance(effect, Open) and reply.is_success:
                return reply
            return replace(reply, body=await found.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            opened.close()
            return _failed(error, self.address, self.was_reached)

    async def _send(self, call: Call) -> aiohttp.ClientResponse:
        body = call.body
        return await self._open_session().request(
            call.method,
            self.address.base_url + call.path,
            params=call.query,
            data=body if body is None or isinstance(body, bytes) else _pieces(body),
            headers=headers_of(call, self.address),
            proxy=self._proxy,
            allow_redirects=False,
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = _make_session(self.address, has_proxy=self._proxy is not None)
        return self._session


class _Opened:
    """The reply that a flow reads piece by piece, if there is one."""

    def __init__(self) -> None:
        self.response: aiohttp.ClientResponse | None = None

    async def read(self) -> bytes:
        return b"" if self.response is None else await self.response.content.readany()

    def close(self) -> None:
        if self.response is not None:
            self.response.close()  # of a reply that was read, the connection is kept
        self.response = None


def _make_session(address: Address, *, has_proxy: bool) -> aiohttp.ClientSession:
    import aiohttp
    from httpx2 import create_ssl_context

    has_tls = has_proxy or address.base_url.lower().startswith("https:")
    patience = address.timeout_s
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS,
            keepalive_timeout=_IDLE_S,
            ssl=create_ssl_context() if has_tls else True,  # slow to make
        ),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=min(CONNECT_S, patience), sock_read=patience
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,  # among others .netrc, which would replace the token
    )


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces_of(file):
        yield piece


def _reply(found: aiohttp.ClientResponse) -> Reply:
    headers = {name.lower(): value for name, value in found.headers.items()}
    return Reply(status=found.status, headers=headers)


def _failed(error: Exception, address: Address, was_reached: bool) -> ConnectionFailed:
    """Why there is no reply. Raises ConfigError where no try can help."""
    import aiohttp

    why = str(error) or type(error).__name__
    if isinstance(error, aiohttp.InvalidURL):
        raise ConfigError(f"base_url {address.base_url} cannot be asked: {why}") from None
    if isinstance(error, aiohttp.SocketTimeoutError):
        return silent(address)
    if isinstance(error, aiohttp.ClientConnectorError) and not was_reached:
        return not_there(address, why)
    return broken(address, why)
