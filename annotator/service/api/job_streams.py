"""The streams of jobs: events, results while they are made, finished files.

The rule: a stream ends when the service stops, whatever the job does; the client asks again, for
results from its next row on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from annotator.service.api.documented import Responses, error_responses
from annotator.service.api.events import COMMENT, encode_event
from annotator.service.api.job_bodies import ResultOptions
from annotator.service.api.job_errors import job_errors
from annotator.service.api.job_routes import NDJSON, find_job
from annotator.service.errors import ApiError
from annotator.service.jobs.job import Job
from annotator.service.jobs.jobs import JobStateError, UnknownJobError
from annotator.service.jobs.results import ResultReader
from annotator.service.jobs.status import status_of
from annotator.service.service import Service
from schemas.stage import failures_path

LOOK_S = 0.5
_COMMENT_EVERY_S = 15.0
_BLOCK_BYTES = 1 << 18


def job_stream_router(service: Service) -> APIRouter:
    """The routes of jobs that stream."""
    router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])
    _add_growing(router, service)
    _add_files(router, service)
    return router


def _add_growing(router: APIRouter, service: Service) -> None:
    """Streams that grow while the job runs."""
    jobs = service.jobs

    @router.get(
        "/events",
        summary="The status of a job whenever it changes, as server-sent events",
        response_class=StreamingResponse,
        responses=_streamed(
            "text/event-stream", "event: progress\ndata: {...}\n\n", error_responses(404)
        ),
    )
    async def events(job_id: str) -> Response:
        find_job(jobs, job_id)
        return StreamingResponse(_events(service, job_id), media_type="text/event-stream")

    @router.get(
        "/results",
        summary="Annotations in the order of the input, as they are ready",
        response_class=StreamingResponse,
        responses=_streamed(NDJSON, '{"id": "r1", ...}\n', error_responses(404, 409, 422)),
    )
    async def results(job_id: str, options: Annotated[ResultOptions, Query()]) -> Response:
        _refuse_expired(find_job(jobs, job_id))
        reader = ResultReader(jobs, job_id, first=options.first)
        return StreamingResponse(_results(service, reader, wait=options.wait), media_type=NDJSON)


def _add_files(router: APIRouter, service: Service) -> None:
    """Files of a job."""
    jobs = service.jobs

    @router.get(
        "/annotations",
        summary="The finished annotations, as `build` reads them",
        response_class=StreamingResponse,
        responses=_streamed(NDJSON, '{"id": "r1", ...}\n', error_responses(404, 409)),
    )
    async def annotations(job_id: str) -> Response:
        job = find_job(jobs, job_id)
        _refuse_expired(job)
        path = jobs.folders.annotations(job)
        if not job.has_ended or not path.exists():
            message = f"the job is {job.state} and has no finished annotations"
            raise ApiError(status=409, code="conflict", message=message)
        return StreamingResponse(_file(service, path), media_type=NDJSON)

    @router.get(
        "/failures",
        summary="The responses that could not be judged, each with its reason",
        response_class=StreamingResponse,
        responses=_streamed(NDJSON, '{"id": "r2", "reason": "..."}\n', error_responses(404, 409)),
    )
    async def failures(job_id: str) -> Response:
        job = find_job(jobs, job_id)
        _refuse_expired(job)
        path = failures_path(jobs.folders.annotations(job))
        return StreamingResponse(_file(service, path), media_type=NDJSON)


def _streamed(kind: str, example: str, errors: Responses) -> Responses:
    content = {kind: {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": "A stream.", "content": content}, **errors}


def _refuse_expired(job: Job) -> None:
    with job_errors():
        if job.state == "expired":
            raise JobStateError("the results of the job have expired")


async def _pause(service: Service) -> bool:
    """Wait a moment; returns whether the service stops."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await service.stopping.wait()
    return service.stopping.is_set()


async def _events(service: Service, job_id: str) -> AsyncIterator[bytes]:
    last, quiet_s = b"", 0.0
    while True:
        try:
            job = service.jobs.get(job_id)
        except UnknownJobError:  # it was removed
            return
        data = status_of(job).model_dump_json().encode()
        if data != last:
            last, quiet_s = data, 0.0
            yield encode_event("progress", data)
        elif quiet_s >= _COMMENT_EVERY_S:
            quiet_s = 0.0
            yield COMMENT
        if job.has_ended:
            yield encode_event("end", data)
            return
        quiet_s += LOOK_S
        if await _pause(service):
            return


async def _results(service: Service, reader: ResultReader, *, wait: bool) -> AsyncIterator[bytes]:
    with suppress(JobStateError, UnknownJobError):  # it expired, or was removed, meanwhile
        while True:
            data, is_over = await service.threads.run(reader.read)
            if data:
                yield data
            elif is_over or not wait or await _pause(service):
                return


async def _file(service: Service, path: Path) -> AsyncIterator[bytes]:
    """The content of a file; nothing where there is none."""
    try:
        handle: BinaryIO = await service.threads.run(lambda: path.open("rb"))
    except FileNotFoundError:
        return
    with handle:
        while data := await service.threads.run(partial(handle.read, _BLOCK_BYTES)):
            yield data
