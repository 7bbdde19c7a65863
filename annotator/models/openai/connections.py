"""HTTP to one model's servers, in one event loop: sends a JSON body, returns the bytes of the
reply.

    ServerError
    ├── StatusError     the server replied with a status other than success
    ├── NoReplyError    no reply: no connection, a broken one, or a time-out
    └── TooLongError    a reply longer than any chat completion

The rule: a call is sent once: who sends it again asks `Pace` first. The key is sent only to the
servers of the config, and not to the target of a redirect to another host.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.models.config import ModelConfig
from annotator.models.openai.proxies import find_proxy

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

MAX_REPLY_BYTES = 64 * 2**20
# Below the 5 s after which uvicorn (vLLM, SGLang) closes an idle connection: a call on a connection
# that the server is just closing would be lost.
_KEEP_ALIVE_S = 4.0


class ServerError(Exception):
    """A call without a usable reply. Its text may repeat the key: show it by `safe_line`."""


class StatusError(ServerError):
    """A reply with an HTTP status other than success. `headers`: its names in any case."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(_describe(status, body))
        self.status = status
        self.headers = headers


class NoReplyError(ServerError):
    """No reply came; the cause is the transport's error."""

    @property
    def is_timeout(self) -> bool:
        """Whether a time-out was the cause."""
        link: BaseException | None = self.__cause__
        while link is not None:
            if isinstance(link, TimeoutError):
                return True
            link = link.__cause__ or link.__context__
        return False


class TooLongError(ServerError):
    """A reply of more than MAX_REPLY_BYTES; the rest was not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Target:
    """The address of one server for one kind of call."""

    url: URL
    proxy: str | None


class Connections:
    """The open connections to every server of a model. Made, used and closed in one event loop.

    probing    held while the servers are asked for their models
    num_users  number of callers that have them open
    """

    def __init__(self, config: ModelConfig, headers: Mapping[str, str]) -> None:
        self._config = config
        self._headers = headers
        self._chat = {url: _target(url, "chat/completions") for url in config.urls}
        self._models = {url: _target(url, "models") for url in config.urls}
        self._session: aiohttp.ClientSession | None = None
        self.probing = asyncio.Lock()
        self.num_users = 0

    async def complete(self, url: str, body: bytes) -> bytes:
        """The body of a chat completion; ServerError where none arrived. Requested once."""
        status, headers, reply = await self._send("POST", self._chat[url], body)
        if not 200 <= status < 300:
            raise StatusError(status, headers, reply)
        return reply

    async def list_models(self, url: str, *, timeout_s: float) -> bytes:
        """The body of a server's list of models; ServerError where none arrived. Requested once."""
        status, headers, reply = await self._send("GET", self._models[url], timeout_s=timeout_s)
        if not 200 <= status < 300:
            raise StatusError(status, headers, reply)
        return reply

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self,
        method: str,
        target: _Target,
        body: bytes | None = None,
        *,
        timeout_s: float | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        from aiohttp import ClientError

        session = self._session or self._open()
        timeout = session.timeout if timeout_s is None else _timeout(timeout_s)
        try:
            async with session.request(
                method, target.url, data=body, proxy=target.proxy, timeout=timeout
            ) as response:
                return response.status, response.headers, await _read(response.content)
        except (ClientError, OSError, UnicodeError) as error:  # UnicodeError: an invalid host name
            raise NoReplyError(_explain(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        from aiohttp import ClientSession, TCPConnector

        self._session = ClientSession(
            connector=TCPConnector(
                limit=0,  # the calls themselves are limited, by `Pace`
                keepalive_timeout=_KEEP_ALIVE_S,
                ssl=_trusted(self._config),
            ),
            headers=self._headers,
            timeout=_timeout(self._config.timeout_s),
        )
        return self._session


def _target(base_url: str, path: str) -> _Target:
    from yarl import URL

    return _Target(url=URL(f"{base_url.rstrip('/')}/{path}"), proxy=find_proxy(base_url))


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """The longest silence of a server. A slow reply may take longer, while bytes keep arriving."""
    from aiohttp import ClientTimeout

    return ClientTimeout(total=None, connect=seconds, sock_connect=seconds, sock_read=seconds)


def _trusted(config: ModelConfig) -> ssl.SSLContext | bool:
    """The certificates that servers are checked against: the system's, or SSL_CERT_FILE."""
    if not any(url.startswith("https:") for url in config.urls):
        return True  # the library's default; a redirect may still lead to https
    from httpx2 import create_ssl_context

    return create_ssl_context()


async def _read(content: aiohttp.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            raise TooLongError(f"the server's reply is longer than {MAX_REPLY_BYTES >> 20} MiB")
    return b"".join(chunks)


def _explain(error: Exception) -> str:
    """A transport's error as text, without the address, since that of a redirect may contain a
    secret."""
    from aiohttp import ClientResponseError, TooManyRedirects

    if isinstance(error, TooManyRedirects):
        return "too many redirects"
    text = error.message if isinstance(error, ClientResponseError) else str(error)
    return text or type(error).__name__


def _describe(status: int, body: bytes) -> str:
    """A refusal in one sentence: its status, and the message in the body."""
    text = f"Error code: {status}"
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return text
    error = value.get("error", value) if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, str) and message:
        # Half a surrogate pair is possible in JSON but not in a file.
        text += f" - {message.encode('utf-8', 'replace').decode()}"
    return text
