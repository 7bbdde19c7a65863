"""uvicorn's settings for a service behind the guard.

The rule: nothing that a client says about itself or its way here is believed (no proxy headers),
uvicorn writes no line per request, and names neither itself nor its version.
"""

from __future__ import annotations

from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config

from annotator.service.guard.protocol import guarded_protocol
from annotator.service.guard.settings import ConnectionLimits


def server_config(app: ASGIApp, *, limits: ConnectionLimits, stop_timeout_s: int) -> Config:
    """The configuration of a `uvicorn.Server` that serves `app`, a `Guard`, on given sockets."""
    return Config(
        cast(Any, app),
        http=cast(Any, guarded_protocol(limits)),
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=limits.idle_s,
        timeout_graceful_shutdown=stop_timeout_s,
        backlog=2048,
    )
