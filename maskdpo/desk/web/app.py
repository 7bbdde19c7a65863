"""The application of the desk: every page's router, behind one gate.

The rule: each route is below `/review` and needs a session (`Gate`) and, to change anything, the
session's CSRF token (`check_csrf`): both hold for all routes at once. A page's module is
`PAGE_routes.py` with `PAGE_router(desk)`; its paths are written in full, such as
`/review/s/{source}`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from annotator.service.errors import ApiError
from annotator.service.guard.errors import install_handlers
from annotator.service.guard.pages import Pages, PagesRoute
from maskdpo.desk.web.list_routes import list_router
from maskdpo.desk.web.pages import error_html, error_response
from maskdpo.desk.web.pairs_routes import pairs_router
from maskdpo.desk.web.people_routes import people_router
from maskdpo.desk.web.reading_routes import reading_router
from maskdpo.desk.web.runs_routes import runs_router
from maskdpo.desk.web.session import (
    COOKIE_DAYS,
    PREFIX,
    Gate,
    NewSession,
    check_csrf,
    signing_key,
)
from maskdpo.desk.web.settings_routes import settings_router
from maskdpo.desk.web.words import load_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskdpo.desk.desk import Desk

POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """What the application needs in addition to the desk. `port` is where it is served."""

    token: str = field(repr=False)
    port: int
    new: NewSession = field(default_factory=NewSession)


def make_pages(desk: Desk, settings: WebSettings) -> Pages:
    """The pages of the desk, for the guard and the router of a server."""
    load_words()  # a fault in the words is an error now, not on some page
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(check_csrf)]
    )
    for router in routers(desk):
        app.include_router(router)
    install_handlers(app, error_response)
    gate = Gate(app, token=settings.token, new=settings.new, refuse=_refuse)
    guarded = SessionMiddleware(
        gate,
        secret_key=signing_key(settings.token),
        session_cookie=f"maskdpo_review_{settings.port}",
        max_age=COOKIE_DAYS * 86400,
        path=PREFIX,
        same_site="strict",
    )
    return Pages(prefix=PREFIX, app=guarded, policy=POLICY, error_page=error_html)


def make_app(pages: Pages) -> FastAPI:
    """An application with the pages and nothing else of the service."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.append(PagesRoute(pages))

    @app.get("/")
    async def start() -> Response:
        return RedirectResponse(PREFIX, status_code=303)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    install_handlers(app)
    return app


def routers(desk: Desk) -> Iterator[APIRouter]:
    """The routers of all pages."""
    for make in (
        settings_router,
        runs_router,
        list_router,
        reading_router,
        people_router,
        pairs_router,
    ):
        yield make(desk)


def _refuse(scope: Scope, error: ApiError) -> Response:
    return error_response(Request(scope), error)
