"""Asks servers for their models before anything is spent.

The rule: one server that replies is enough, and each is asked once per run. Its list shows the
model behind the served name and the kind of server; a server need not have a list.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from annotator.models.config import ModelConfig
from annotator.models.detail_line import detail_line
from annotator.models.openai.connections import Connections, ServerError, StatusError
from annotator.models.openai.endpoints import Endpoint, EndpointPool
from annotator.models.openai.server_access import ServerAccess
from annotator.models.openai.server_kinds import UNKNOWN, kind_of
from annotator.models.served_model import find_served, read_model_list
from schemas.errors import BackendError, ConfigError

PROBE_TIMEOUT_S = 30.0


class ServerProbe:
    """The lists of models of one model's servers."""

    def __init__(self, config: ModelConfig, access: ServerAccess, pool: EndpointPool) -> None:
        self._config = config
        self._access = access
        self._pool = pool
        self._is_done = False

    async def ask_all(self, connections: Connections) -> list[str]:
        """Ask each server for its models; one that replies is enough, and is asked only once.

        Returns why no server can be called, one reason per server; [] when one can.
        """
        async with connections.probing:
            return [] if self._is_done else await self._ask_all(connections)

    async def _ask_all(self, connections: Connections) -> list[str]:
        endpoints = self._pool.endpoints
        silent = await asyncio.gather(*(self.ask(connections, item) for item in endpoints))
        if all(silent):
            return list(silent)
        self._is_done = True
        now = time.monotonic()
        for endpoint, why in zip(endpoints, silent, strict=True):
            if why:
                self._pool.set_aside(endpoint, now, why)
        return []

    def no_server(self, silent: Sequence[str]) -> BackendError:
        """The error that ends a run when every server is `silent`, with the reason of each."""
        endpoints = self._pool.endpoints
        if len(endpoints) == 1:
            place = f"no server answers at base_url {endpoints[0].url} ({silent[0]})"
        else:
            named = "; ".join(f"{e.url}: {why}" for e, why in zip(endpoints, silent, strict=True))
            place = f"no server answers at any of the base_urls ({named})"
        return BackendError(
            f"{place}; start one, for example with: vllm serve {self._config.model} "
            "--generation-config vllm, or set base_url"
        )

    async def ask_late(self, connections: Connections, endpoint: Endpoint) -> None:
        """Ask a server that was down at first. The next request reports a refused key."""
        with suppress(ConfigError):
            await self.ask(connections, endpoint)

    async def ask(self, connections: Connections, endpoint: Endpoint) -> str:
        """Why a server cannot be called, or "" when it can; a refused key raises ConfigError."""
        timeout_s = min(PROBE_TIMEOUT_S, self._config.timeout_s)
        try:
            reply = await connections.list_models(endpoint.url, timeout_s=timeout_s)
        except StatusError as error:
            endpoint.kind = UNKNOWN
            if error.status in (401, 403):
                self._access.refuse_if_hopeless(error, endpoint)
            return ""  # a server need not have the list of models
        except ServerError as error:
            return self._access.safe_line(error)
        entries = read_model_list(reply)
        endpoint.served = [detail_line(entry["id"]) for entry in entries]
        endpoint.model = find_served(
            entries, url=endpoint.url, model=self._config.model, revision=self._config.revision
        )
        endpoint.kind = kind_of(endpoint.model, entries)
        return ""
