"""Who may see the pages: the token of the printed URL, then a signed cookie and a CSRF token.

The rule: `Gate` is around the whole application, so that no route can be reached without a session,
and `check_csrf` is a dependency of every route, so that nothing changes without its token. A GET
changes nothing but the session that it begins.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from annotator.service.errors import ApiError
from annotator.service.guard.tokens import Tokens
from maskdpo.desk.web.words import LANGUAGES

PREFIX = "/review"
STATIC = f"{PREFIX}/static/"
NAME_PAGE = f"{PREFIX}/name"
COOKIE_DAYS = 30
Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")
_SAFE_METHODS = ("GET", "HEAD")
_WITHOUT_NAME = (NAME_PAGE, f"{PREFIX}/settings")


@dataclass(frozen=True, kw_only=True)
class Session:
    """What the cookie of one browser holds. `who` is "" until the person has given a name."""

    who: str = ""
    blind: bool = True
    lang: str = "en"
    theme: Theme = "auto"
    csrf: str = ""


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """What a session begins with."""

    who: str = ""
    blind: bool = True


def session_of(connection: HTTPConnection) -> Session:
    """The session of a request; an empty one where there is none."""
    values: dict[str, Any] = connection.scope.get("session") or {}
    theme, lang = values.get("theme"), values.get("lang")
    return Session(
        who=str(values.get("who", "")),
        blind=values.get("blind") is not False,
        lang=lang if lang in LANGUAGES else asked_language(connection),
        theme=cast(Theme, theme) if theme in THEMES else "auto",
        csrf=str(values.get("csrf", "")),
    )


def asked_language(connection: HTTPConnection) -> str:
    """The first of our languages that the browser lists; English where it lists none."""
    for item in connection.headers.get("accept-language", "").split(","):
        name = item.partition(";")[0].strip().lower().partition("-")[0]
        if name in LANGUAGES:
            return name
    return "en"


def signing_key(token: str) -> str:
    """The key of the cookies: a restart with the same token keeps sessions, another ends them."""
    return hmac.new(token.encode(), b"maskdpo review: sessions", hashlib.sha256).hexdigest()


def is_htmx(connection: HTTPConnection) -> bool:
    """Whether a script asks for a part of a page."""
    return "hx-request" in connection.headers


async def check_csrf(request: Request) -> None:
    """A dependency of every route. Raises ApiError 403 for a change without the session's token."""
    if request.method in _SAFE_METHODS:
        return
    header = request.headers.get("x-csrf-token")
    given = (await request.form()).get("csrf") if header is None else header
    expected = session_of(request).csrf
    if not expected or not hmac.compare_digest(str(given).encode(), expected.encode()):
        raise ApiError(
            status=403, code="csrf", message="the page is out of date; load it again, then repeat"
        )


def local_path(value: str) -> str:
    """`value` if it is a path of these pages, else their start. Never leads to another site."""
    path = value.partition("?")[0]
    is_own = path == PREFIX or path.startswith(f"{PREFIX}/")
    is_plain = all(character > " " and character not in "\\\x7f" for character in value)
    return value if is_own and is_plain else PREFIX


class Gate:
    """ASGI: begins sessions, and passes on only what has one. Inside `SessionMiddleware`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        new: NewSession,
        refuse: Callable[[Scope, ApiError], Response],
    ) -> None:
        self._app = app
        self._tokens = Tokens(token, time.monotonic)
        self._new = new
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or send to where a session begins."""
        try:
            target = self._redirect(HTTPConnection(scope))
        except ApiError as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        if target is None:
            await self._app(scope, receive, send)
        elif is_htmx(HTTPConnection(scope)):
            await Response(headers={"HX-Redirect": target})(scope, receive, send)
        else:
            await RedirectResponse(target, status_code=303)(scope, receive, send)

    def _redirect(self, connection: HTTPConnection) -> str | None:
        """Where the browser goes first; None where it may stay. Raises ApiError 401 or 429."""
        path, scope = connection.scope["path"], connection.scope
        if path.startswith(STATIC):
            return None
        query = scope["query_string"].decode("latin-1")
        given = parse_qs(query, keep_blank_values=True).get("token")
        if given is not None and path == PREFIX and scope["method"] in _SAFE_METHODS:
            self._begin(scope, given[-1])
            return PREFIX
        session = session_of(connection)
        if not session.csrf:
            raise ApiError(
                status=401,
                code="no_session",
                message="there is no session in this browser, or it has ended; open the address "
                "that `maskdpo review` printed at its start",
            )
        if not session.who and path not in _WITHOUT_NAME:
            back = f"{path}?{query}" if query and scope["method"] in _SAFE_METHODS else path
            return f"{NAME_PAGE}?next={quote(back, safe='/')}"
        return None

    def _begin(self, scope: Scope, token: str) -> None:
        client = scope.get("client")
        self._tokens.check_value(token.encode("utf-8", "replace"), client[0] if client else "")
        session: MutableMapping[str, Any] = scope["session"]
        if "csrf" in session:  # the address was opened once more: other tabs continue
            return
        session["csrf"] = secrets.token_urlsafe(32)
        session["blind"] = self._new.blind
        if self._new.who:
            session["who"] = self._new.who
