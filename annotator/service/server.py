"""The annotation service as a server: its application behind the guard, until a signal ends it.

The rule: a stopping service ends its streams first, so that a stop takes no longer than
`serve.stop_s`. Pages of another package, with sessions of their own, are mounted on the same
application.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from annotator.service.api.app import make_app
from annotator.service.guard.middleware import Guard
from annotator.service.guard.pages import Pages
from annotator.service.guard.settings import GuardSettings
from annotator.service.listening import run
from annotator.service.service import Service


def serve(
    service: Service,
    *,
    token: str,
    listener: socket.socket,
    announce: Callable[[], None],
    pages: Sequence[Pages] = (),
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends at once."""
    settings = service.config
    guard = GuardSettings(
        token=token,
        hosts=settings.hosts,
        max_body_bytes=settings.max_body_bytes,
        max_upload_bytes=settings.max_upload_bytes,
        access_log=settings.access_log,
        pages=tuple(pages),
    )
    run(
        Guard(make_app(service, pages), guard, observe=service.metrics.observe),
        listener=listener,
        announce=announce,
        stop=service.stopping.set,
        stop_s=settings.stop_s,
        access_log=settings.access_log,
    )
