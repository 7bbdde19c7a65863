"""The guard around the service: every request passes its checks before a route is looked for.

The rule: the order of the checks. Host and Origin come first: a browser that another site's page
drives learns nothing, not even whether a token is right. Then the token, then the body's form and
size. Pure ASGI, without a task or a thread of its own: it runs on every request.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from annotator.service.errors import ApiError
from annotator.service.guard.body import Body
from annotator.service.guard.checks import (
    body_limit,
    check_host,
    check_origin,
    has_body,
    read_headers,
)
from annotator.service.guard.errors import internal_error, log_exception
from annotator.service.guard.pages import PAGE_HEADERS, Pages
from annotator.service.guard.settings import LOOPBACK_NAMES, GuardSettings
from annotator.service.guard.tokens import Tokens

ACCESS = logging.getLogger("annotator.service.access")
POLICY = b"default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = POLICY + b"; style-src 'self'; base-uri 'none'; form-action 'none'"
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What is known of a request that has ended; `route` is the template, never the path."""

    method: str
    route: str
    status: int
    seconds: float


class Guard:
    """ASGI middleware; `observe` is called with each request that has ended."""

    def __init__(
        self,
        app: ASGIApp,
        settings: GuardSettings,
        *,
        observe: Callable[[Seen], None] | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._observe = observe
        self._tokens = Tokens(settings.token, time.monotonic)
        self._public = frozenset(settings.public_paths)
        names = (*LOOPBACK_NAMES, *settings.hosts)
        self._hosts = frozenset(name.lower().encode("ascii") for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks one request and passes it on, or refuses it here."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = Exchange(scope, receive, send, self._settings.pages_of(scope["path"]))
        try:
            exchange.body = self._check(scope, receive, has_session=exchange.pages is not None)
            await self._app(scope, exchange.body.receive, exchange.send)
        except ApiError as error:
            await exchange.refuse(error)
        except ClientDisconnect:
            pass  # in the middle of its body: nobody reads a response
        except Exception as error:
            log_exception(error, exchange.name)
            await exchange.refuse(internal_error())
        finally:
            self._note(scope, exchange, time.perf_counter() - started)

    def _check(self, scope: Scope, receive: Receive, *, has_session: bool) -> Body:
        """The request's body, once all checks have passed. Raises ApiError."""
        found = read_headers(scope["headers"])
        setting = self._settings.hosts_setting
        check_origin(found, check_host(found.get(b"host"), self._hosts, setting=setting))
        path = scope["path"]
        if path not in self._public and not has_session:
            client = scope.get("client")
            self._tokens.check(found.get(b"authorization"), client[0] if client else "")
        limits = self._settings.body_limits(path)
        limit = body_limit(found, limits) if has_body(found) else None
        return self._body(receive, limit)

    def _body(self, receive: Receive, limit: int | None) -> Body:
        settings = self._settings
        return Body(
            receive, limit=limit, timeout_s=settings.body_timeout_s, min_rate=settings.min_body_rate
        )

    def _note(self, scope: Scope, exchange: Exchange, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "-")
        status = exchange.status or 499  # the client left before there was a response
        if self._observe is not None:
            seen = Seen(method=scope["method"], route=route, status=status, seconds=seconds)
            self._observe(seen)
        if self._settings.access_log:
            name = exchange.name
            ACCESS.info("%s %s %s %d %.0f ms", name, scope["method"], route, status, seconds * 1e3)


class Exchange:
    """One request and its response: adds the headers, and knows how far the response is."""

    __slots__ = (
        "_closes",
        "_ended",
        "_headers",
        "_scope",
        "_send",
        "body",
        "name",
        "pages",
        "status",
    )

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, pages: Pages | None = None
    ) -> None:
        self._scope = scope
        self._send = send
        self.pages = pages
        self._closes = self._ended = False
        self.status = 0
        self.name = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = self.name
        own_policy = PAGE_POLICY if scope["path"] == "/docs" else POLICY
        self._headers = {
            **dict(SECURITY_HEADERS),
            **(PAGE_HEADERS if pages else {}),
            b"content-security-policy": pages.policy if pages else own_policy,
            b"x-request-id": self.name.encode("ascii"),
        }
        unread = has_body(dict(scope["headers"]))
        self.body = Body(receive, limit=0 if unread else None, timeout_s=0, min_rate=1)

    async def send(self, message: Message) -> None:
        """Passes on one ASGI message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message.get("headers", ())
            # How long a browser may keep a file is the one header that the pages decide.
            kept = {name for name, _ in given if name == b"cache-control"} if self.pages else ()
            own = [item for item in self._headers.items() if item[0] not in kept]
            headers = [*given, *own]
            self._closes = self.body.unread
            if self._closes:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif not message.get("more_body", False):
            self._ended = True
            if self._closes:
                await self._send({**message, "more_body": True})
                await self.body.drain()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Sends `error`, unless a response has begun: uvicorn then closes the connection."""
        if self.status:
            return
        body = self.pages.error_page(self._scope, error) if self.pages else error.body()
        kind = b"text/html; charset=utf-8" if self.pages else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
        given = error.headers.items()
        headers += [(name.lower().encode(), value.encode()) for name, value in given]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})
