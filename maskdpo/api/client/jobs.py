"""The flows of jobs: start one, watch it, take its results as they come.

The rule: results are counted, so that a broken stream continues at the next row: none is lost
and none comes twice. A stream is complete only when it ended well and the job was at rest before it
was opened.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from maskdpo.api.client.effects import (
    Call,
    ConnectionFailed,
    Emit,
    Events,
    Flow,
    Lines,
    Read,
    Sleep,
)
from maskdpo.api.client.replies import JobList, JobStatus, State, read_as
from maskdpo.api.client.single import get
from maskdpo.api.client.tries import Tries, open_stream, send
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


def upload(
    rows: IO[bytes], options: Mapping[str, str | float], key: str, max_retries: int
) -> Flow[JobStatus]:
    """A job of uploaded rows."""
    call = Call(
        method="POST",
        path="/v1/jobs",
        query={name: str(value) for name, value in options.items()},
        body=rows,
        content_type="application/x-ndjson",
        headers={"Idempotency-Key": key},
    )
    return _status_of(call, max_retries)


def refer(options: Mapping[str, str | float], key: str, max_retries: int) -> Flow[JobStatus]:
    """A job of files in the run's folder of the service."""
    content, headers = json.dumps(options).encode(), {"Idempotency-Key": key}
    call = Call(method="POST", path="/v1/jobs", body=content, headers=headers)
    return _status_of(call, max_retries)


def listing(state: State | None, limit: int | None, max_retries: int) -> Flow[list[JobStatus]]:
    """Jobs, the newest first."""
    options = {"state": state, "limit": limit}
    query = {name: str(value) for name, value in options.items() if value is not None}
    reply = yield from send(get("/v1/jobs", query=query), max_retries)
    return read_as(JobList, reply.body).jobs


def status(job: str, max_retries: int) -> Flow[JobStatus]:
    """The job as it is now."""
    return _status_of(get(_path(job)), max_retries)


def tell(
    job: str, what: str, limits: Mapping[str, float] | None, max_retries: int
) -> Flow[JobStatus]:
    """Pause, resume, cancel or retry a job."""
    body = json.dumps(limits).encode() if limits else None
    return _status_of(Call(method="POST", path=_path(job, what), body=body), max_retries)


def delete(job: str, max_retries: int) -> Flow[None]:
    """Remove the files of a job."""
    yield from send(Call(method="DELETE", path=_path(job)), max_retries)


def wait(
    job: str, timeout_s: float | None, on_status: Callable[[JobStatus], None], max_retries: int
) -> Flow[JobStatus]:
    """The job when it is at rest. Raises the error of a job that failed or reached a limit."""
    ends = None if timeout_s is None else time.monotonic() + timeout_s
    delay = _FIRST_LOOK_S
    while True:
        found = yield from status(job, max_retries)
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
        yield Sleep(min(delay, left))
        delay = min(2 * delay, _LOOK_EVERY_S)


def events(job: str, max_retries: int) -> Flow[None]:
    """The job's status whenever it changes, until it is at rest."""
    tries = Tries(max_retries)
    while True:
        try:
            yield from open_stream(get(_path(job, "events")), tries)
            if (yield from _read_progress(tries)):
                return
        except ConnectionFailed as error:
            if not error.was_silent:
                yield tries.after_break(error)
        if (yield from status(job, max_retries)).is_at_rest:
            return
        yield Sleep(_QUIET_S)


def _read_progress(tries: Tries) -> Flow[bool]:
    """Give what the open stream holds; whether the job is at rest."""
    found = Events()
    while chunk := (yield Read()):
        for name, data in found.feed(chunk):
            if name == "end":
                return True
            if name == "progress":
                tries.reset()
                news = read_as(JobStatus, data)
                yield Emit(news)
                if news.is_at_rest:
                    return True
    return False


def results(job: str, documents: Mapping[str, Document], max_retries: int) -> Flow[None]:
    """Each result, in the order of the input, as soon as it and all before it are judged."""
    tries, row = Tries(max_retries), 0
    while True:
        found = yield from status(job, max_retries)
        query = {"from": str(row), "wait": "false" if found.is_at_rest else "true"}
        before, is_whole = row, False
        try:
            yield from open_stream(get(_path(job, "results"), query=query), tries)
            lines = Lines()
            while chunk := (yield Read()):
                for line in filter(None, map(bytes.strip, lines.feed(chunk))):
                    yield Emit(JudgedResponse.of(read_as(Annotation, line), documents))
                    row += 1
            is_whole = not lines.rest.strip()
            if not is_whole:
                raise ConnectionFailed("the results of the service ended within a row")
        except ConnectionFailed as error:
            if row > before:
                tries.reset()
            if not error.was_silent:
                yield tries.after_break(error)
        if is_whole and found.is_at_rest:
            found.raise_for_state()
            return
        if is_whole and row == before:
            yield Sleep(_QUIET_S)


def failures(job: str, max_retries: int) -> Flow[list[Failure]]:
    """The responses that could not be judged."""
    reply = yield from send(get(_path(job, "failures")), max_retries)
    return [read_as(Failure, line) for line in reply.body.split(b"\n") if line.strip()]


def save(job: str, path: Path, max_retries: int) -> Flow[int]:
    """Write the job's annotations, and its failures next to them; the number of annotations."""
    path = read_path("path", path)
    refuse_other_work(path, by="job.save")
    failed = yield from failures(job, max_retries)
    tries = Tries(max_retries)
    while True:
        try:
            yield from open_stream(get(_path(job, "annotations")), tries)
            count = yield from _write(path)
            break
        except ConnectionFailed as error:
            yield tries.after_break(error)
    write_failures(path, failed)
    counts = {"responses": count + len(failed), "failed": len(failed)}
    write_sidecar(path, make_sidecar("annotation", config={}, inputs={}, counts=counts))
    return count


def _write(path: Path) -> Flow[int]:
    """Write the open reply to a file, which has its name when it is whole; its lines."""
    count = 0
    last = b"\n"
    with atomic_descriptor(Path(os.path.realpath(path))) as descriptor:
        with os.fdopen(descriptor, "wb", closefd=False) as handle:
            while chunk := (yield Read()):
                handle.write(chunk)
                count += chunk.count(b"\n")
                last = chunk[-1:]
        if last != b"\n":
            raise BackendError("the annotations of the service end within a row; save them again")
    return count


def _status_of(call: Call, max_retries: int) -> Flow[JobStatus]:
    reply = yield from send(call, max_retries)
    return read_as(JobStatus, reply.body)


def _path(job: str, what: str = "") -> str:
    """The path of a job. Raises ConfigError for an id that would name another path."""
    if not isinstance(job, str) or not _ID.fullmatch(job):
        raise ConfigError(f"the id of a job is {show_value(job)}, but it has letters and digits")
    return f"/v1/jobs/{job}" + (f"/{what}" if what else "")
