"""The review desk as a server of its own: the same guard and server as the annotation service.

The rule: the pages are the only thing here, and without a session nobody sees any of them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from annotator.service.guard.middleware import Guard
from annotator.service.guard.pages import Pages
from annotator.service.guard.settings import GuardSettings
from annotator.service.listening import run
from maskdpo.desk.config import ReviewConfig
from maskdpo.desk.web.app import make_app

_STOP_S = 5.0
_PUBLIC = ("/", "/healthz")


def serve_pages(
    pages: Pages,
    settings: ReviewConfig,
    *,
    token: str,
    listener: socket.socket,
    announce: Callable[[], None],
) -> None:
    """Serve until SIGINT or SIGTERM. A page shows a decision after it was written to the file."""
    run(
        Guard(make_app(pages), guard_settings(pages, settings, token=token)),
        listener=listener,
        announce=announce,
        stop=lambda: None,
        stop_s=_STOP_S,
    )


def guard_settings(pages: Pages, settings: ReviewConfig, *, token: str) -> GuardSettings:
    """What the guard of the desk allows."""
    return GuardSettings(
        token=token,
        hosts=settings.hosts,
        hosts_setting="review.hosts",
        max_body_bytes=1,  # nothing here takes a body but the pages, which have their own limit
        max_upload_bytes=1,
        public_paths=_PUBLIC,
        upload_paths=(),
        pages=(pages,),
    )
