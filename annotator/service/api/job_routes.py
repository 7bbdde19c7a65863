"""The routes of jobs: create, look, change.

The rule: a route that changes a job returns when the change is in the table; what it leads to is
seen in the job's status.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from annotator.calls.usage import Limits
from annotator.service.api.documented import error_responses
from annotator.service.api.job_bodies import JobFiles, ListOptions, NewLimits, UploadOptions
from annotator.service.api.job_errors import job_errors
from annotator.service.api.reading import json_body, parse_body, read_body
from annotator.service.errors import ApiError, invalid, unavailable
from annotator.service.jobs.job import Job, JobRequest
from annotator.service.jobs.jobs import Jobs, NewJob, UnknownJobError
from annotator.service.jobs.status import JobList, JobStatus, status_of
from annotator.service.service import Service

ResultT = TypeVar("ResultT")
RouteT = TypeVar("RouteT", bound=Callable[..., Any])
_ID = re.compile(r"[0-9a-f]{16}")
_BLOCK_BYTES = 1 << 18
NDJSON = "application/x-ndjson"
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            NDJSON: {
                "schema": {
                    "type": "string",
                    "description": "One JSON object per line: a response, as in responses.jsonl, "
                    'or {"document": {...}}. Options are in the query.',
                },
                "example": '{"document": {"id": "d1", "text": "Mira Tolvan was born in 1951."}}\n'
                '{"id": "r1", "question_id": "q1", "document_ids": ["d1"], "prompt": [{"role": '
                '"user", "content": "When was she born?"}], "text": "She was born in 1950."}\n',
            },
            **json_body(JobFiles)["requestBody"]["content"],
        },
    }
}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key returns the same job, so that a request can be repeated.",
    ),
]


def job_router(service: Service) -> APIRouter:
    """The routes of jobs, except the streams (job_streams.py)."""
    router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
    _add_creation(router, service)
    _add_looks(router, service)
    _add_changes(router, service)
    return router


async def _in_thread(service: Service, work: Callable[[], ResultT]) -> ResultT:
    with job_errors():
        return await service.threads.run(work)


def _add_creation(router: APIRouter, service: Service) -> None:
    jobs = service.jobs

    @router.post(
        "",
        summary="Create a job",
        status_code=201,
        response_model=JobStatus,
        openapi_extra=_UPLOAD,
        responses={
            200: {"model": JobStatus, "description": "The job that this key created before."},
            **error_responses(400, 408, 409, 413, 415, 422, 503),
        },
    )
    async def create(
        request: Request, options: Annotated[UploadOptions, Query()], key: Key = None
    ) -> Response:
        if service.stopping.is_set():
            raise unavailable("stopping", "the service is stopping; try again in a moment")
        wanted, is_upload = await _request_of(request, options)
        new = await _in_thread(service, lambda: jobs.begin(wanted, key=key))
        try:
            if is_upload:
                await _receive(request, service, new)
            else:
                await _in_thread(service, new.read_files)
            job, is_new = await _in_thread(service, lambda: jobs.add(new))
        finally:
            await _in_thread(service, new.discard)
        return _show(job, 201 if is_new else 200, location=f"/v1/jobs/{job.id}")


def _add_looks(router: APIRouter, service: Service) -> None:
    @router.get("", summary="Jobs, the newest first", responses=error_responses(422))
    async def listed(options: Annotated[ListOptions, Query()]) -> JobList:
        with job_errors():
            found = service.jobs.newest(state=options.state, limit=options.limit)
        return JobList(jobs=[status_of(job) for job in found])

    @router.get(
        "/{job_id}", summary="A job", response_model=JobStatus, responses=error_responses(404)
    )
    async def status(job_id: str) -> Response:
        return _show(find_job(service.jobs, job_id), 200)


def _add_changes(router: APIRouter, service: Service) -> None:
    jobs = service.jobs

    async def change(job_id: str, work: Callable[[str], Job]) -> Response:
        find_job(jobs, job_id)
        return _show(await _in_thread(service, lambda: work(job_id)), 202)

    @_change(router, "pause", "Stop a job so that it can be resumed")
    async def pause(job_id: str) -> Response:
        return await change(job_id, jobs.pause)

    @_change(router, "cancel", "End a job; what it has written stays until it expires")
    async def cancel(job_id: str) -> Response:
        return await change(job_id, jobs.cancel)

    @_change(router, "resume", "Continue a job, with new limits if they are given", body=True)
    async def resume(job_id: str, request: Request) -> Response:
        limits = await _new_limits(request, find_job(jobs, job_id))
        return await change(job_id, lambda name: jobs.resume(name, limits))

    @_change(router, "retry-failed", "Run a job again; failed calls are made again", body=True)
    async def retry_failed(job_id: str, request: Request) -> Response:
        limits = await _new_limits(request, find_job(jobs, job_id))
        return await change(job_id, lambda name: jobs.retry_failed(name, limits))

    @router.delete(
        "/{job_id}",
        summary="Remove an ended or paused job with its files",
        status_code=204,
        responses=error_responses(404, 409, 503),
    )
    async def remove(job_id: str) -> None:
        find_job(jobs, job_id)
        await _in_thread(service, lambda: jobs.remove(job_id))


def find_job(jobs: Jobs, job_id: str) -> Job:
    """The job with that id; ApiError 404 for any other text."""
    with job_errors():
        if not _ID.fullmatch(job_id):
            raise UnknownJobError
        return jobs.get(job_id)


def _change(
    router: APIRouter, name: str, summary: str, *, body: bool = False
) -> Callable[[RouteT], RouteT]:
    return router.post(
        f"/{{job_id}}/{name}",
        summary=summary,
        status_code=202,
        response_model=JobStatus,
        openapi_extra=json_body(NewLimits, required=False) if body else None,
        responses=error_responses(*((400, 408, 413, 415, 422) if body else ()), 404, 409, 503),
    )


def _show(job: Job, status: int, *, location: str = "") -> Response:
    return Response(
        status_of(job).model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers={"Location": location} if location else None,
    )


async def _request_of(request: Request, options: UploadOptions) -> tuple[JobRequest, bool]:
    """What is asked for, and whether its rows are in the body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == NDJSON:
        return options.request(), True
    if kind != "application/json":
        raise ApiError(
            status=415,
            code="content_type",
            message=f"send {NDJSON} (rows) or application/json (names of files of the run)",
        )
    if options.model_fields_set:
        raise invalid("options of a job of files are in the body, not in the query")
    return (await read_body(request, JobFiles)).request(), False


async def _receive(request: Request, service: Service, new: NewJob) -> None:
    """Pass the body to the job in large blocks."""
    block = bytearray()
    async for chunk in request.stream():
        block += chunk
        if len(block) >= _BLOCK_BYTES:
            data, block = bytes(block), bytearray()
            await _in_thread(service, partial(new.write, data))
    await _in_thread(service, partial(new.write, bytes(block)))


async def _new_limits(request: Request, job: Job) -> Limits | None:
    """The limits of the body; None without one."""
    data = await request.body()
    return parse_body(data, NewLimits).change(job.request.limits) if data else None
