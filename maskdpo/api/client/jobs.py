"""Jobs: start one, watch it, take its results as they come.

The rule: results are counted, so that a broken stream continues at the next row: none is lost
and none comes twice. A stream is complete only when it ended well and the job was at rest before it
was opened.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import IO

from annotator.service.jobs.job import State
from maskdpo.api.client.edge import Edge, Opened
from maskdpo.api.client.replies import JobList, JobStatus, read_as
from maskdpo.api.client.single import get
from maskdpo.api.client.tries import Tries, open_stream, send
from maskdpo.api.client.wire import Call, ConnectionFailed, Lines
from maskdpo.api.files import refuse_other_work
from maskdpo.api.given import read_path
from maskdpo.api.results import JudgedResponse
from schemas.errors import BackendError, ConfigError
from schemas.files.sidecar import make_sidecar, write_sidecar
from schemas.files.writing import atomic_descriptor
from schemas.records import Annotation, Document, Failure
from schemas.stage import write_failures
from schemas.validation import show_value

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_FIRST_LOOK_S = 0.1
_LOOK_EVERY_S = 2.0
_QUIET_S = 1.0  # between two looks at a stream that ends without news


async def upload(
    edge: Edge, rows: IO[bytes], options: Mapping[str, str | float], key: str
) -> JobStatus:
    """A job of uploaded rows."""
    call = Call(
        method="POST",
        path="/v1/jobs",
        query={name: str(value) for name, value in options.items()},
        body=rows,
        content_type="application/x-ndjson",
        headers={"Idempotency-Key": key},
    )
    return await _status_of(edge, call)


async def refer(edge: Edge, options: Mapping[str, str | float], key: str) -> JobStatus:
    """A job of files in the run's folder of the service."""
    content, headers = json.dumps(options).encode(), {"Idempotency-Key": key}
    return await _status_of(
        edge, Call(method="POST", path="/v1/jobs", body=content, headers=headers)
    )


async def listing(edge: Edge, state: State | None, limit: int | None) -> list[JobStatus]:
    """Jobs, the newest first."""
    options = {"state": state, "limit": limit}
    query = {name: str(value) for name, value in options.items() if value is not None}
    return read_as(JobList, (await send(edge, get("/v1/jobs", query=query))).body).jobs


async def status(edge: Edge, job: str) -> JobStatus:
    """The job as it is now."""
    return await _status_of(edge, get(_path(job)))


async def tell(edge: Edge, job: str, what: str, limits: Mapping[str, float] | None) -> JobStatus:
    """Pause, resume, cancel or retry a job."""
    body = json.dumps(limits).encode() if limits else None
    return await _status_of(edge, Call(method="POST", path=_path(job, what), body=body))


async def delete(edge: Edge, job: str) -> None:
    """Remove the files of a job."""
    await send(edge, Call(method="DELETE", path=_path(job)))


async def wait(
    edge: Edge, job: str, timeout_s: float | None, on_status: Callable[[JobStatus], None]
) -> JobStatus:
    """The job when it is at rest. Raises the error of a job that failed or reached a limit."""
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    delay = _FIRST_LOOK_S
    while True:
        found = await status(edge, job)
        on_status(found)
        if found.is_at_rest:
            found.raise_for_state()
            return found
        left = delay if ends is None else ends - time.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"job {job} is {found.state} after {timeout_s:g} s, with {found.rows.done} of "
                f"{found.rows.total} rows; it continues, and wait() can be called again"
            )
        await asyncio.sleep(min(delay, left))
        delay = min(2 * delay, _LOOK_EVERY_S)


async def events(edge: Edge, job: str) -> AsyncGenerator[JobStatus, None]:
    """The job's status whenever it changes, until it is at rest."""
    tries = Tries(edge.address.max_retries)
    while True:
        try:
            opened = await open_stream(edge, get(_path(job, "events")), tries)
            with closing(opened):
                async for name, data in opened.events():
                    if name == "end":
                        return
                    if name == "progress":
                        tries.reset()
                        news = read_as(JobStatus, data)
                        yield news
                        if news.is_at_rest:
                            return
        except ConnectionFailed as error:
            if not error.was_silent:
                await asyncio.sleep(tries.after_break(error))
        if (await status(edge, job)).is_at_rest:
            return
        await asyncio.sleep(_QUIET_S)


async def results(
    edge: Edge, job: str, documents: Mapping[str, Document]
) -> AsyncGenerator[JudgedResponse, None]:
    """Each result, in the order of the input, as soon as it and all before it are judged."""
    tries, row = Tries(edge.address.max_retries), 0
    while True:
        found = await status(edge, job)
        query = {"from": str(row), "wait": "false" if found.is_at_rest else "true"}
        before, is_whole = row, False
        try:
            opened = await open_stream(edge, get(_path(job, "results"), query=query), tries)
            with closing(opened):
                async for line in _whole_lines(opened):
                    yield JudgedResponse.of(read_as(Annotation, line), documents)
                    row += 1
            is_whole = True
        except ConnectionFailed as error:
            if row > before:
                tries.reset()
            if not error.was_silent:
                await asyncio.sleep(tries.after_break(error))
        if is_whole and found.is_at_rest:
            found.raise_for_state()
            return
        if is_whole and row == before:
            await asyncio.sleep(_QUIET_S)


async def _whole_lines(opened: Opened) -> AsyncGenerator[bytes, None]:
    lines = Lines()
    async for chunk in opened:
        for line in filter(None, map(bytes.strip, lines.feed(chunk))):
            yield line
    if lines.rest.strip():
        raise ConnectionFailed("the results of the service ended within a row")


async def failures(edge: Edge, job: str) -> list[Failure]:
    """The responses that could not be judged."""
    reply = await send(edge, get(_path(job, "failures")))
    return [read_as(Failure, line) for line in reply.body.split(b"\n") if line.strip()]


async def save(edge: Edge, job: str, path: Path) -> int:
    """Write the job's annotations, and its failures next to them; the number of annotations."""
    path = read_path("path", path)
    refuse_other_work(path, by="job.save")
    failed = await failures(edge, job)
    tries = Tries(edge.address.max_retries)
    while True:
        try:
            opened = await open_stream(edge, get(_path(job, "annotations")), tries)
            with closing(opened):
                count = await _write(path, opened)
            break
        except ConnectionFailed as error:
            await asyncio.sleep(tries.after_break(error))
    write_failures(path, failed)
    counts = {"responses": count + len(failed), "failed": len(failed)}
    write_sidecar(path, make_sidecar("annotation", config={}, inputs={}, counts=counts))
    return count


async def _write(path: Path, opened: Opened) -> int:
    """Write the open reply to a file, which has its name when it is whole; its lines."""
    count = 0
    last = b"\n"
    with atomic_descriptor(Path(os.path.realpath(path))) as descriptor:
        with os.fdopen(descriptor, "wb", closefd=False) as handle:
            async for chunk in opened:
                handle.write(chunk)
                count += chunk.count(b"\n")
                last = chunk[-1:]
        if last != b"\n":
            raise BackendError("the annotations of the service end within a row; save them again")
    return count


async def _status_of(edge: Edge, call: Call) -> JobStatus:
    return read_as(JobStatus, (await send(edge, call)).body)


def _path(job: str, what: str = "") -> str:
    """The path of a job. Raises ConfigError for an id that would name another path."""
    if not isinstance(job, str) or not _ID.fullmatch(job):
        raise ConfigError(f"the id of a job is {show_value(job)}, but it has letters and digits")
    return f"/v1/jobs/{job}" + (f"/{what}" if what else "")
