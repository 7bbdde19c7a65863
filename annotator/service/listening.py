"""Runs an application behind the guard in uvicorn: one process, one event loop, until a signal.

The rule: the address is bound before anything is announced, and `stop` is called at the first
signal, so that streams end before the server waits for them.
"""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from annotator.service.guard.middleware import ACCESS, Guard
from annotator.service.guard.server import server_config
from annotator.service.guard.settings import ConnectionLimits
from schemas.errors import ConfigError

_SWITCH_S = 0.001  # threads that compute give way to the event loop this often
# Objects made between two searches for garbage in cycles. Python's 700, 10, 10 would take a fifth
# of the time here, in pauses of 0.1 s and more with a large corpus.
_GARBAGE = (10_000, 20, 50)


class _Server(uvicorn.Server):
    """A server that announces itself when it listens, and calls `stop` at a signal."""

    def __init__(
        self, config: uvicorn.Config, announce: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce the address."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End streams, then everything else."""
        self._stop()
        super().handle_exit(sig, frame)


def bind(host: str, port: int, *, tries: int = 1) -> socket.socket:
    """A socket on the address, or on one of the next ports where `tries` allows and it is taken.

    Raises ConfigError where none is possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, min(port + tries, 65536)):
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, number))
            # Without this, another program could bind the port too, as long as neither listens.
            found.listen(1)
        except OSError as error:
            found.close()
            if error.errno != errno.EADDRINUSE or number == port + tries - 1:
                raise ConfigError(
                    f"cannot listen on {host}:{number} ({error.strerror}); choose another port "
                    "with --port"
                ) from None
        else:
            return found
    raise ConfigError(f"no port from {port} on is free; choose another one with --port")


def run(
    guard: Guard,
    *,
    listener: socket.socket,
    announce: Callable[[], None],
    stop: Callable[[], None],
    stop_s: float,
    access_log: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once."""
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(*_GARBAGE)
    gc.freeze()  # the corpus and the program stay: they are not searched
    config = server_config(guard, limits=ConnectionLimits(), stop_timeout_s=max(1, round(stop_s)))
    if access_log:
        _show_access()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)  # uvicorn raises them again at its end
    with listener:
        _Server(config, announce, stop).run(sockets=[listener])


def _show_access() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    ACCESS.addHandler(handler)
    ACCESS.setLevel(logging.INFO)


def _stopped(_: int, __: FrameType | None) -> None:
    """The service has ended in order: exit code 0."""
