"""The pages `name` and `settings`: who reviews, blind or not, language, theme.

The rule: they change the session alone. What they send the browser to is always a path of these
pages.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import NAME_PAGE, PREFIX, THEMES, local_path, session_of
from maskdpo.desk.web.static_files import serve_static
from maskdpo.desk.web.words import LANGUAGES

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk

MAX_NAME_CHARS = 100
MAX_NAMES = 50


def settings_router(desk: Desk) -> APIRouter:
    """Routes of the session, and of the files that all pages load."""
    router = APIRouter()

    @router.get(f"{PREFIX}/static/{{name}}")
    def static(name: str, request: Request) -> Response:
        return serve_static(name, request)

    @router.get(NAME_PAGE)
    def ask_name(request: Request, next: Annotated[str, Query()] = PREFIX) -> Response:
        names = known_names(desk)[:MAX_NAMES]
        return render(request, "name.html.jinja", names=names, next=local_path(next), fault="")

    @router.post(NAME_PAGE)
    def set_name(
        request: Request,
        who: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = PREFIX,
    ) -> Response:
        name, fault = read_name(who)
        if fault:
            names = known_names(desk)[:MAX_NAMES]
            again = {"names": names, "next": local_path(next), "fault": fault}
            return render(request, "name.html.jinja", status=422, **again)
        request.session["who"] = name
        return RedirectResponse(local_path(next), status_code=303)

    @router.get(f"{PREFIX}/settings")
    def show_settings(request: Request, next: Annotated[str, Query()] = PREFIX) -> Response:
        return render(request, "settings.html.jinja", next=local_path(next), themes=THEMES)

    @router.post(f"{PREFIX}/settings")
    def change(
        request: Request,
        blind: Annotated[str | None, Form()] = None,
        lang: Annotated[str | None, Form()] = None,
        theme: Annotated[str | None, Form()] = None,
        next: Annotated[str, Form()] = PREFIX,
    ) -> Response:
        """Each setting that is given and allowed; `blind` is "on", "off" or "toggle"."""
        session = request.session
        if blind in {"on", "off", "toggle"}:
            is_blind = session_of(request).blind
            session["blind"] = not is_blind if blind == "toggle" else blind == "on"
        if lang in LANGUAGES:
            session["lang"] = lang
        if theme in THEMES:
            session["theme"] = theme
        return RedirectResponse(local_path(next), status_code=303)

    return router


def read_name(given: str) -> tuple[str, str]:
    """The name without outer blanks, and the key of the sentence about what is wrong with it."""
    name = unicodedata.normalize("NFC", " ".join(given.split()))
    if not name:
        return "", "common.name_empty"
    if len(name) > MAX_NAME_CHARS:
        return "", "common.name_long"
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in name):
        return "", "common.name_control"
    return name, ""


def known_names(desk: Desk) -> list[str]:
    """The people in the files of reviews, sorted."""
    return sorted({name for source in desk.sources.values() for name in source.people()})
