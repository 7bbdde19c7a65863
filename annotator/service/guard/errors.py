"""Failures that no route turned into an `ApiError`, in the same one form.

The rule: a message is written by us. What a client sent is repeated only as one short value in a
sentence about its field; an exception that no route foresaw becomes "failed", and the log gets its
type and place, never its message, which may quote a response or a document.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import PurePath
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from annotator.service.errors import MAX_DETAILS, ApiError, api_error_of, invalid
from schemas.errors import MaskDpoError
from schemas.validation import describe_details, first_model

LOGGER = logging.getLogger("annotator.service")
_MAX_FRAMES = 6
_KNOWN = {
    404: ("not_found", "there is nothing at this address; GET /docs lists the addresses"),
    405: ("method_not_allowed", "this address does not take this method"),
}


def internal_error() -> ApiError:
    """The response to an exception that no route foresaw."""
    message = "the service failed on this request; its log has the place"
    return ApiError(status=500, code="failed", message=message)


def log_exception(error: BaseException, request: str) -> None:
    """Writes type and place of an exception to the log, without its message.

    `request` is the name that the response has as X-Request-Id.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames]
    place = " > ".join(places) or "an unknown place"
    LOGGER.error("%s failed: %s at %s", request, type(error).__name__, place)


def json_response(_: Request, error: ApiError) -> Response:
    """An error as clients of the API see it."""
    return Response(
        error.body(),
        status_code=error.status,
        headers=dict(error.headers),
        media_type="application/json",
    )


def install_handlers(
    app: FastAPI, respond: Callable[[Request, ApiError], Response] = json_response
) -> None:
    """Gives `app` the one form of errors for whatever its routes raise.

    The exception behind a 500 is raised again by Starlette, so that `Guard` logs it.
    """
    handlers: dict[type[Exception], Callable[[Request, Any], ApiError]] = {
        ApiError: lambda _, error: cast(ApiError, error),
        HTTPException: lambda _, error: _from_http(error),
        RequestValidationError: _from_request,
        MaskDpoError: lambda _, error: api_error_of(error),
        Exception: lambda _, error: internal_error(),
    }
    for kind, convert in handlers.items():
        app.add_exception_handler(kind, _handler(convert, respond))


def _handler(
    convert: Callable[[Request, Any], ApiError], respond: Callable[[Request, ApiError], Response]
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return respond(request, convert(request, error))

    return handle


def _from_http(error: HTTPException) -> ApiError:
    phrase = HTTPStatus(error.status_code).phrase.lower()
    code = phrase.replace(" ", "_").replace("-", "_")
    code, message = _KNOWN.get(error.status_code, (code, f"the request failed: {phrase}"))
    return ApiError(
        status=error.status_code, code=code, message=message, headers=dict(error.headers or {})
    )


def _query_model(request: Request) -> type[BaseModel]:
    """The keys that the route of a request takes in its query; none where they are not a model."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    for field in getattr(dependant, "query_params", ()):
        if model := first_model(field.field_info.annotation):
            return model
    return BaseModel


def _from_request(request: Request, error: RequestValidationError) -> ApiError:
    """Faults of a query or a path that FastAPI found, such as "query: 'limit' is ..."."""
    sentences = []
    model = _query_model(request)
    for detail in error.errors()[:MAX_DETAILS]:
        part, *location = detail["loc"]
        found = describe_details([{**detail, "loc": tuple(location)}], model)
        sentences.append(f"{part}: {found[0]}")
    return invalid(sentences[0], details=sentences if len(sentences) > 1 else ())
