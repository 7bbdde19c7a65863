"""uvicorn's settings for a service behind the guard.

The rule: nothing that a client says about itself or its way here is believed (no proxy headers),
uvicorn writes no line per request, and names neither itself nor its version.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config

from annotator.service.guard.protocol import guarded_protocol
from annotator.service.guard.settings import ConnectionLimits

_OTHER_FILES = 256  # the store, jobs' files, connections to judges


def server_config(app: ASGIApp, *, limits: ConnectionLimits, stop_timeout_s: int) -> Config:
    """The configuration of a `uvicorn.Server` that serves `app`, a `Guard`, on given sockets."""
    return Config(
        cast(Any, app),
        http=cast(Any, guarded_protocol(fit_files(limits))),
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


def fit_files(limits: ConnectionLimits) -> ConnectionLimits:
    """`limits` with no more connections than this process may have open files.

    Raises the process's own limit first, which is often 1,024, as far as the system allows.
    """
    if sys.platform == "win32":
        return limits
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = limits.max_connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        connections = max(1, min(limits.max_connections, soft - _OTHER_FILES))
        return replace(limits, max_connections=connections)
    return limits
