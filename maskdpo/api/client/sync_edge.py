"""Does what flows ask for in the caller's thread, with httpx2.

The rule: an edge may be used from several threads, and each flow has its own open stream.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypedDict

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
    import ssl

    import httpx2


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
        content = body if body is None or isinstance(body, bytes) else pieces_of(body)
        return self._http.build_request(
            call.method,
            call.path,
            params=call.query or None,
            headers=headers_of(call, self.address),
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
        "timeout": httpx2.Timeout(patience, connect=min(CONNECT_S, patience), pool=None),
        "limits": httpx2.Limits(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS
        ),
        "verify": httpx2.create_ssl_context() if has_tls else False,  # slow to make
        "proxy": proxy,
        "trust_env": False,  # among others .netrc, which would replace the token
        "follow_redirects": False,
    }


def _reply(found: httpx2.Response, body: bytes) -> Reply:
    headers = {name.lower(): value for name, value in found.headers.items()}
    return Reply(status=found.status_code, headers=headers, body=body)


def _failed(error: httpx2.HTTPError, address: Address, was_reached: bool) -> ConnectionFailed:
    """Why there is no reply. Raises ConfigError where no try can help."""
    import httpx2

    why = str(error) or type(error).__name__
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        raise ConfigError(f"base_url {address.base_url} cannot be asked: {why}") from None
    if isinstance(error, httpx2.ReadTimeout):
        return silent(address)
    if isinstance(error, httpx2.ConnectError) and not was_reached:
        return not_there(address, why)
    return broken(address, why)
