"""Reports the pace of a backend's servers while its calls are made.

The rule: a server is named by its host and port only, since the rest of an address may hold a user
or a key. The first report is made before a call, the last when no call is under way any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from annotator.calls.running.handover import end_task
from annotator.models.pacing.reports import PaceState
from schemas.events import OnEvent, ServerPace, ServersPaced, ignore

REPORT_EVERY_S = 1.0


@runtime_checkable
class ShowsPaces(Protocol):
    """A backend of servers whose pace it knows."""

    def paces(self) -> Sequence[PaceState]:
        """The state of each server now."""


@asynccontextmanager
async def reporting_paces(backend: object, on_event: OnEvent) -> AsyncIterator[None]:
    """Report the pace of `backend` now, every second until the block ends, and then once more."""
    if on_event is ignore or not isinstance(backend, ShowsPaces):
        yield
        return
    on_event(_describe(backend))
    task = asyncio.create_task(_keep_reporting(backend, on_event))
    try:
        yield
    finally:
        await end_task(task)
        on_event(_describe(backend))


async def _keep_reporting(backend: ShowsPaces, on_event: OnEvent) -> None:
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        on_event(_describe(backend))


def _describe(backend: ShowsPaces) -> ServersPaced:
    return ServersPaced(
        servers=[
            ServerPace(
                server=server_name(item.url),
                under_way=item.in_flight,
                room=item.room,
                rate=item.rate,
                waiting=item.num_waiting,
                sent=item.num_sent,
                refused=item.num_refused,
            )
            for item in backend.paces()
        ]
    )


def server_name(url: str) -> str:
    """Host and port of an address.

    >>> server_name("https://user:key@judge.example/v1"), server_name("http://[::1]:8000/v1")
    ('judge.example:443', '[::1]:8000')
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
