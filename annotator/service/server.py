"""Runs the application in uvicorn: one process, one event loop, until a signal ends it.

The rule: the address is bound before anything is announced, and a stopping service ends its streams
first, so that a stop takes no longer than `serve.stop_s`.
"""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from annotator.service.api.app import make_app
from annotator.service.guard.middleware import ACCESS, Guard
from annotator.service.guard.server import server_config
from annotator.service.guard.settings import ConnectionLimits, GuardSettings
from annotator.service.service import Service
from schemas.errors import ConfigError

_SWITCH_S = 0.001  # threads that compute give way to the event loop this often
# Objects made between two searches for garbage in cycles. Python's 700, 10, 10 would take a fifth
# of the time here, in pauses of 0.1 s and more with a large corpus.
_GARBAGE = (10_000, 20, 50)


class _Server(uvicorn.Server):
    """A server that announces itself when it listens, and ends streams when it stops."""

    def __init__(
        self, config: uvicorn.Config, service: Service, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce the address."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End streams, then everything else."""
        self._service.stopping.set()
        super().handle_exit(sig, frame)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises ConfigError where that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another port with --port"
        ) from None
    return found


def serve(
    service: Service, *, token: str, listener: socket.socket, announce: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once."""
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(*_GARBAGE)
    gc.freeze()  # the corpus and the program stay: they are not searched
    settings = service.config
    guard = GuardSettings(
        token=token,
        hosts=settings.hosts,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        access_log=settings.access_log,
    )
    config = server_config(
        Guard(make_app(service), guard, observe=service.metrics.observe),
        limits=ConnectionLimits(),
        stop_timeout_s=max(1, round(settings.stop_s)),
    )
    if settings.access_log:
        _show_access()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)  # uvicorn raises them again at its end
    with listener:
        _Server(config, service, announce).run(sockets=[listener])


def _show_access() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)


def _stopped(_: int, __: FrameType | None) -> None:
    """The service has ended in order: exit code 0."""
