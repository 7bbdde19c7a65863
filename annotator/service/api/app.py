"""The application: routes, error handlers and the parts of the service, joined.

The rule: every request passes the guard first (annotator/service/guard), and every error leaves in
one form (annotator/service/errors.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from annotator.service.api.annotation_routes import annotation_router
from annotator.service.api.bodies import AnnotationRequest
from annotator.service.api.documented import describe_api
from annotator.service.api.job_bodies import JobFiles, NewLimits
from annotator.service.api.job_routes import job_router
from annotator.service.api.job_streams import job_stream_router
from annotator.service.api.status_routes import status_router
from annotator.service.guard.docs_page import add_docs
from annotator.service.guard.errors import install_handlers
from annotator.service.guard.pages import Pages, PagesRoute
from annotator.service.service import Service


def make_app(service: Service, pages: Sequence[Pages] = ()) -> FastAPI:
    """The application of one service process, with pages that others give."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service:
            yield

    app = FastAPI(
        title="maskdpo annotation service",
        version=version("maskdpo"),
        description="Labels each sentence of a response against reference documents.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.include_router(annotation_router(service))
    app.include_router(job_router(service))
    app.include_router(job_stream_router(service))
    app.include_router(status_router(service))
    app.router.routes.extend(map(PagesRoute, pages))
    install_handlers(app)
    add_docs(app)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe_api(app, [AnnotationRequest, JobFiles, NewLimits])
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app
