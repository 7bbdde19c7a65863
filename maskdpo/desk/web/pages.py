"""Templates to responses: `render` gives every template the session and the words.

The rule: everything is escaped by the template engine, and an unknown name in a template is an
error. A request of a script (header HX-Request) gets `<title>` and `<main id="desk">` alone, and an
error as one sentence for the live region; everything else is a whole page.

A template extends `base.html.jinja` and fills `{% block title %}`, `{% block main %}` and, for a
style sheet of its own, `{% block styles %}`. In addition to what the route gives, it has these
names:

    t, who, lang, theme, csrf, blind   words and session
    source      None where the route gives none
    page        the template's name, such as "reading"
    here        the address of this page
    static, templates   the names of all files, for parts that may not be there
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from annotator.service.errors import ApiError
from maskdpo.desk.web.session import is_htmx, local_path, session_of
from maskdpo.desk.web.static_files import static_files
from maskdpo.desk.web.words import LANGUAGES, load_words

_SUFFIX = ".html.jinja"


@cache
def environment() -> Environment:
    """The template engine."""
    found = Environment(
        loader=PackageLoader("maskdpo.desk.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters["minute"] = minute
    return found


def minute(when: str) -> str:
    """The time of a review to the minute, for people: `2026-01-31 12:05`."""
    return when[:16].replace("T", " ")


@cache
def template_names() -> frozenset[str]:
    """All templates: a part of the frame is included where it is there."""
    return frozenset(environment().list_templates())


def render(request: HTTPConnection, template: str, /, **values: object) -> Response:
    """The page of a template; `status` among the values is the HTTP status. [200]"""
    status = values.pop("status", 200)
    assert isinstance(status, int)
    shared = shared_values(request, template.removesuffix(_SUFFIX))
    text = environment().get_template(template).render({**shared, **values})
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


def shared_values(request: HTTPConnection, page: str) -> Mapping[str, object]:
    """What every template has."""
    session = session_of(request)
    query = request.scope["query_string"].decode("latin-1")
    path = quote(request.scope["path"], safe="/-._~!$&'()*+,;=:@")
    return {
        "t": load_words()[session.lang],
        "who": session.who,
        "lang": session.lang,
        "languages": LANGUAGES,
        "theme": session.theme,
        "csrf": session.csrf,
        "blind": session.blind,
        "source": None,
        "page": page,
        "here": local_path(f"{path}?{query}" if query else path),
        "is_part": is_htmx(request),
        "static": static_files().keys(),
        "templates": template_names(),
    }


def error_response(request: Request, error: ApiError) -> Response:
    """An error as a page, or as one sentence for a script."""
    response = HTMLResponse(error_html(request.scope, error), status_code=error.status)
    response.headers.update(error.headers)
    return response


def error_html(scope: Scope, error: ApiError) -> bytes:
    """The body of an error. Nothing that the request holds is repeated."""
    connection = HTTPConnection(scope)
    t = load_words()[session_of(connection).lang]
    page, _, name = error.code.rpartition(".")
    known = f"{page or 'common'}.error_{name}"
    sentence = t(known) if t.has(known) else error.message
    values = {**shared_values(connection, "error"), "status": error.status, "sentence": sentence}
    values |= {"details": list(error.details), "here": "/review"}
    template = "error_part.html.jinja" if values["is_part"] else "error.html.jinja"
    return environment().get_template(template).render(values).encode("utf-8", "replace")
