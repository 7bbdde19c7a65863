"""Pages of another package under one path of the server, with a session of their own.

The rule: which requests are theirs is decided here alone, once for the guard and once for the
router, by the same function. The guard asks these requests for no bearer token: the application
that serves the pages must refuse what has no session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Receive, Scope, Send

from annotator.service.errors import ApiError

FORM = b"application/x-www-form-urlencoded"
PAGE_HEADERS: Mapping[bytes, bytes] = {
    # With `no-referrer` a browser would send "Origin: null" with its own forms.
    b"referrer-policy": b"same-origin",
}


@dataclass(frozen=True, kw_only=True)
class Pages:
    """What the guard and the router know of them.

    prefix          such as "/review": this path and all below it
    app             gets the whole path, the prefix included
    policy          the Content-Security-Policy of every response
    max_body_bytes  of a form
    error_page      an error as HTML, for one request
    """

    prefix: str
    app: ASGIApp
    policy: bytes
    error_page: Callable[[Scope, ApiError], bytes]
    max_body_bytes: int = 2**20

    def own(self, path: str) -> bool:
        """Whether a decoded path belongs to them."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")


class PagesRoute(BaseRoute):
    """Hands all requests for the pages to their application, as they are."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.path = pages.prefix

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A full match for every method: the application refuses what it does not take."""
        is_own = scope["type"] == "http" and self._pages.own(scope["path"])
        return (Match.FULL if is_own else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._pages.app(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """No route of the pages is known by name here."""
        raise NoMatchFound(name, path_params)
