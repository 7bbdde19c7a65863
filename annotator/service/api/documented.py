"""The OpenAPI document: which errors a route may give, and the models of bodies.

The rule: a status that a route can return is listed at the route.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from annotator.service.api.bodies import ErrorBody

_MEANINGS = {
    400: "The body is not JSON, or the request is malformed.",
    401: "The token is missing or wrong.",
    403: "The request comes from another site, or names another host.",
    404: "There is no such thing.",
    405: "The path does not take this method.",
    408: "The body came too slowly.",
    409: "Not possible in the present state.",
    413: "The body is too long.",
    415: "The content type is not one that the path takes.",
    422: "Something in the request is wrong; the message names it.",
    429: "No room now; try again after `Retry-After` seconds.",
    431: "The headers are too long.",
    500: "The service failed.",
    502: "The judge's server failed.",
    503: "Not now; try again after `Retry-After` seconds.",
    504: "Not finished within the time limit.",
}
_ALWAYS = (401, 403, 429, 431, 500)
_REF = "#/components/schemas/{model}"
_FOREIGN = "HTTPValidationError"
Responses = dict[int | str, dict[str, Any]]


def error_responses(*statuses: int) -> Responses:
    """The errors of a route: those of every route, and `statuses`."""
    return {
        status: {"model": ErrorBody, "description": _MEANINGS[status]}
        for status in sorted({*_ALWAYS, *statuses})
    }


def describe_api(app: FastAPI, models: list[type[BaseModel]]) -> dict[str, Any]:
    """The OpenAPI document of `app`, with the `models` of bodies that routes read themselves."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    components = document.setdefault("components", {})
    components["schemas"] = {**schema.get("$defs", {}), **components.get("schemas", {})}
    _drop_foreign_errors(document)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path in ("/healthz", "/readyz"):
        document["paths"][path]["get"]["security"] = []
    return document


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """Leaves out the 422 that FastAPI adds to each route with a parameter, in a form of its own.

    A route whose parameters can be wrong lists 422 itself, with the one form of errors.
    """
    for item in document["paths"].values():
        for operation in item.values():
            if _FOREIGN in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in (_FOREIGN, "ValidationError"):
        document["components"]["schemas"].pop(name, None)
