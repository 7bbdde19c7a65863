"""What a client may ask about the service itself: judges, domains, version, health."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from annotator.judging.domains.domain import known_domains, load_domain
from annotator.service.api.bodies import (
    DomainInfo,
    DomainList,
    Health,
    JudgeInfo,
    JudgeList,
    Readiness,
    VersionInfo,
)
from annotator.service.api.documented import error_responses
from annotator.service.config import DEFAULT_JUDGE
from annotator.service.errors import api_error_of
from annotator.service.readiness import NOT_READY, READY
from annotator.service.service import Service
from schemas.errors import ConfigError


def status_router(service: Service) -> APIRouter:
    """The routes that only look."""
    router = APIRouter(tags=["service"])
    _add_lists(router, service)
    _add_health(router, service)
    return router


def _add_lists(router: APIRouter, service: Service) -> None:
    @router.get("/v1/judges", summary="The judges by name", responses=error_responses())
    async def judges() -> JudgeList:
        return JudgeList(judges=[_judge(service, name) for name in service.judges.served])

    @router.get(
        "/v1/domains", summary="Domains that a judge can read", responses=error_responses(503)
    )
    def domains() -> DomainList:  # in a thread: it reads files
        try:
            found = {name: load_domain(name).language for name in known_domains()}
        except ConfigError as error:
            raise api_error_of(error) from None
        return DomainList(
            domains=[DomainInfo(name=name, language=language) for name, language in found.items()]
        )

    @router.get("/v1/version", summary="Versions", responses=error_responses())
    async def show_version() -> VersionInfo:
        return VersionInfo(version=version("maskdpo"))


def _add_health(router: APIRouter, service: Service) -> None:
    @router.get("/healthz", summary="The process answers", responses=error_responses())
    async def health() -> Health:
        return Health()

    @router.get(
        "/readyz",
        summary="The judges can be used",
        response_model=Readiness,
        responses={
            **error_responses(),
            503: {"model": Readiness, "description": "A judge cannot be used."},
        },
    )
    async def readiness(request: Request) -> Response:
        """Needs no token, so it names no address: GET /v1/judges has the reason."""
        found = {
            name: READY if what == READY else NOT_READY
            for name, what in service.watches.found.items()
        }
        is_ready = all(what == READY for what in found.values()) and not service.stopping.is_set()
        body = Readiness(status=READY if is_ready else NOT_READY, judges=found)
        return JSONResponse(body.model_dump(), status_code=200 if is_ready else 503)

    @router.get(
        "/metrics",
        summary="What the service counts, for Prometheus",
        response_class=Response,  # errors stay JSON, which a class for text would change
        responses={
            **error_responses(),
            200: {
                "content": {
                    kind: {"schema": {"type": "string"}}
                    for kind in ("text/plain", "application/openmetrics-text")
                }
            },
        },
    )
    async def metrics(request: Request) -> Response:
        """In OpenMetrics where `Accept` asks for application/openmetrics-text."""
        accept = request.headers.get("accept", "")
        found, content_type = await service.threads.run(partial(service.metrics.render, accept))
        return Response(found, headers={"content-type": content_type})


def _judge(service: Service, name: str) -> JudgeInfo:
    served, watch = service.judges.served[name], service.watches[name]
    return JudgeInfo(
        name=name,
        judge=served.config.judge,
        model=served.model,
        protocol=served.config.llm.protocol if served.model and served.config.llm else "",
        is_default=name == DEFAULT_JUDGE,
        reachable=watch.is_reachable,
        fault="" if watch.found == READY else watch.found,
    )
