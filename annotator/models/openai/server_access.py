"""Reaching servers: the key, one client per server, and errors that never repeat the key.

The rule: the key is read from the environment, sent to the servers of the config alone, and
written nowhere; an error of a server or client that repeats it is shown without it.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from annotator.models.backend import one_line
from annotator.models.config import ModelConfig
from annotator.models.openai.endpoints import Endpoint
from schemas.errors import ConfigError

if TYPE_CHECKING:
    import openai

# The client asks for a key even where the server needs none.
NO_KEY = "none"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

Clients = dict[str, "openai.AsyncOpenAI"]
"""One client per server, by its address."""


class ServerAccess:
    """The key and clients of one model's servers."""

    def __init__(self, config: ModelConfig) -> None:
        """Read the key from the environment; ConfigError when no header can carry it."""
        self._config = config
        self._key = os.environ.get(config.api_key_env, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(
                f"the key in the environment variable {config.api_key_env} holds characters that "
                "no HTTP header can carry; set it again"
            )

    def make_clients(self) -> Clients:
        """A client for every server of the config."""
        return {url: self._make_client(url) for url in self._config.urls}

    def _make_client(self, url: str) -> openai.AsyncOpenAI:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        config = self._config
        is_loopback = urlsplit(url).hostname in LOOPBACK_HOSTS
        return AsyncOpenAI(
            base_url=url,
            api_key=self._key or NO_KEY,
            timeout=config.timeout_s,
            max_retries=config.max_retries,
            # A proxy from the environment cannot reach this machine's own servers.
            http_client=DefaultAioHttpClient(trust_env=not is_loopback),
        )

    def refuse_if_hopeless(self, error: openai.APIStatusError, endpoint: Endpoint) -> None:
        """Raise ConfigError for an answer that every other request would get as well."""
        config = self._config
        if error.status_code in (401, 403):
            advice = (
                f"check the key in the environment variable {config.api_key_env}"
                if self._key
                else f"set the environment variable {config.api_key_env} to a key"
            )
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP {error.status_code}; {advice}"
            )
        if error.status_code == 404:
            served = f"; it serves: {', '.join(endpoint.served[:10])}" if endpoint.served else ""
            raise ConfigError(
                f"the server at {endpoint.url} answered HTTP 404 for model {config.model!r} "
                f"({self.safe_line(error)}){served}; check model and base_url"
                f"{_advise_v1(endpoint.url)}"
            )

    def safe_line(self, error: BaseException) -> str:
        """An error as one line; servers and clients may repeat the key in theirs."""
        text = str(error) or type(error).__name__
        return one_line(text.replace(self._key, "***") if self._key else text)


def timed_out(error: BaseException) -> bool:
    """Whether an error began as a time-out. The client reports a hang-up likewise."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TimeoutError):
            return True
        link = link.__cause__ or link.__context__
    return False


async def close_all(clients: Clients) -> None:
    """Close every client's connections."""
    await asyncio.gather(*(client.close() for client in clients.values()))


def _advise_v1(url: str) -> str:
    """A hint for an address without the path that such servers mostly have; '' for others."""
    bare = url.rstrip("/")
    return "" if bare.endswith("/v1") else f", which mostly ends in /v1: base_url={bare}/v1"
