"""Creates, lists and changes jobs: what the API calls. Safe to use from threads.

The rule: everything that can be wrong with a job is found before its row exists, and a job never
changes after that: it has copies of its responses and documents.

What may be done in which state:

| request      | states                                                            | then      |
|--------------|-------------------------------------------------------------------|-----------|
| pause        | queued, waiting; running: when its process notices, within 1 s    | paused    |
| cancel       | the same, and paused, limit_reached                               | cancelled |
| resume       | paused, waiting, limit_reached, failed; running: undoes a pause   | queued    |
| retry-failed | paused, succeeded, failed, limit_reached, cancelled               | queued    |
| delete       | paused, and all that have ended                                   | (no row)  |

A client that lost the connection asks again: to pause a paused job, or to cancel a cancelled one,
changes nothing and is not refused.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from annotator.calls.store import Store
from annotator.calls.usage import NO_LIMITS, Limits
from annotator.service.config import ServeConfig, run_file
from annotator.service.jobs.files import JobFolders, discard
from annotator.service.jobs.job import (
    ENDED,
    UPLOAD,
    Job,
    JobRequest,
    Outcome,
    Progress,
    State,
    Wanted,
)
from annotator.service.jobs.table import JobTable
from annotator.service.jobs.upload import LineReader, NewRows, UploadLimits
from formats.forgotten import FORGOTTEN_NAME, Forgotten
from schemas.errors import ConfigError, InputError
from schemas.text.counted import count_of

_RUNNING: tuple[State, ...] = ("running",)
_WAITING: tuple[State, ...] = ("queued", "waiting")
_RESUMED: tuple[State, ...] = ("paused", "waiting", "limit_reached", "failed")
_RETRIED: tuple[State, ...] = ("paused", "succeeded", "failed", "limit_reached", "cancelled")


class UnknownJobError(Exception):
    """There is no job with an id."""


class JobStateError(Exception):
    """Not possible in the job's state, or with its idempotency key; its text is a sentence."""


class TooManyJobsError(Exception):
    """No further job may wait now; its text is a sentence."""


class Jobs:
    """The jobs of the run in `folder`.

    check       raises ConfigError or InputError for a request that no judge can do
    documents   the run's file of documents, for jobs that bring none
    limits      the highest limits of a job, and those of a job that gives none
    on_change   called from any thread when a job may have to be started or stopped
    """

    def __init__(
        self,
        folder: Path,
        *,
        store: Store,
        serve: ServeConfig,
        check: Callable[[JobRequest], None],
        documents: Path | None = None,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self.run = folder
        self.folders = JobFolders(folder)
        self.table = JobTable(store.path)
        self.serve = serve
        self.on_change: Callable[[], None] = lambda: None
        self._store = store
        self._check = check
        self._documents = documents
        self._limits = limits

    def close(self) -> None:
        """Close the table."""
        self.table.close()

    # --- looking ---

    def get(self, job_id: str) -> Job:
        """The job; UnknownJobError where there is none."""
        job = self.table.get(job_id)
        if job is None:
            raise UnknownJobError(job_id)
        return job

    def newest(self, *, state: State | None = None, limit: int = 100) -> list[Job]:
        """Jobs, the newest first."""
        return self.table.newest(state, limit)

    # --- making ---

    def begin(self, request: JobRequest, *, key: str | None = None) -> NewJob:
        """A job that can be filled. Raises ConfigError, InputError and TooManyJobsError."""
        request = self._checked(request)
        count = self.table.count()
        if sum(count.get(state, 0) for state in _WAITING) >= self.serve.max_jobs:
            raise TooManyJobsError(
                f"{count_of(self.serve.max_jobs, 'job')} already "
                f"{'waits' if self.serve.max_jobs == 1 else 'wait'} (serve.max_jobs); try again "
                "later"
            )
        return NewJob(self, request, key=key)

    def _checked(self, request: JobRequest) -> JobRequest:
        """A request with limits that the service allows."""
        limits = within(request.limits, self._limits)
        request = request.model_copy(update={"limits": limits})
        self._check(request)
        return request

    def forgotten(self) -> Forgotten:
        """The responses that must not come back."""
        return Forgotten.read(self.run / FORGOTTEN_NAME)

    def add(self, new: NewJob) -> tuple[Job, bool]:
        """Make a filled job one that runs; returns it, and whether it is a new one."""
        digest = new.digest()
        if new.key is not None and (found := self._of_key(new.key, digest)):
            new.discard()
            return found, False
        new.complete(self._documents)
        job = Job(
            id=secrets.token_hex(8),
            request=new.request,
            progress=Progress(total=new.rows.num_responses),
            created=time.time(),
        )
        self.folders.adopt(new.rows.folder, job.id)
        is_new = False
        try:
            is_new = self.table.insert(job, key=new.key, digest=digest)
        finally:
            if not is_new:
                self.folders.remove(job.id)
        if is_new:
            self.on_change()
            return job, True
        found = self._of_key(new.key or "", digest)
        if found is None:
            raise JobStateError("the job with this Idempotency-Key was just removed; try again")
        return found, False

    def _of_key(self, key: str, digest: str) -> Job | None:
        found = self.table.find_key(key)
        if found is not None and found[1] != digest:
            raise JobStateError(
                f"the Idempotency-Key was used for another request (job {found[0].id}); give each "
                "job a key of its own"
            )
        return found[0] if found else None

    # --- changing ---

    def pause(self, job_id: str) -> Job:
        """Stop a job so that it can be resumed; nothing changes for one that is paused."""
        job = self.get(job_id)
        if job.state == "paused":
            return job
        if not self.table.change(job_id, {"state": "paused"}, states=_WAITING):
            self._want(job_id, "pause", what="paused")
        return self._changed(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job; what it has written so far stays until it expires. Once is enough."""
        job = self.get(job_id)
        if job.state == "cancelled":
            return job
        states = (*_WAITING, "paused", "limit_reached")
        if not self.table.change(job_id, self.end_values("cancelled"), states=states):
            self._want(job_id, "cancel", what="cancelled")
        return self._changed(job_id)

    def resume(self, job_id: str, limits: Limits | None = None) -> Job:
        """Continue a job, with new limits where they are given."""
        self._begin_again(job_id, limits, {}, states=_RESUMED, what="resumed")
        return self._changed(job_id)

    def retry_failed(self, job_id: str, limits: Limits | None = None) -> Job:
        """Run a job again: calls that failed are made again, all others come from the store."""
        first_run = {"first_run": self._store.next_run()}
        self._begin_again(job_id, limits, first_run, states=_RETRIED, what="retried")
        return self._changed(job_id)

    def remove(self, job_id: str) -> None:
        """Remove a job with all of its files; where a crash prevents that, it has expired."""
        job = self.get(job_id)
        if not self.table.change(job_id, {"state": "expired"}, states=(*ENDED, "paused")):
            raise JobStateError(f"the job is {job.state}; cancel or pause it before it is removed")
        self.folders.remove(job_id)
        self.table.delete(job_id)

    def _begin_again(
        self,
        job_id: str,
        limits: Limits | None,
        values: dict[str, Any],
        *,
        states: Collection[State],
        what: str,
    ) -> None:
        job = self.get(job_id)
        if limits is not None:
            request = job.request.model_copy(update={"limits": limits})
            values = {**values, "request": self._checked(request)}
        again = {
            **values,
            "state": "queued",
            "wanted": "run",
            "retry_at": None,
            "waits": 0,
            "outcome": Outcome(),
            "ended": None,
            "expires": None,
        }
        if self.table.change(job_id, again, states=states):
            return
        is_pausing = job.state == "running" and job.wanted == "pause" and what == "resumed"
        if not (is_pausing and self.table.change(job_id, {"wanted": "run"}, states=_RUNNING)):
            raise self._refusal(job_id, what)

    def _want(self, job_id: str, wanted: Wanted, *, what: str) -> None:
        if not self.table.want(job_id, wanted):
            raise self._refusal(job_id, what)

    def _refusal(self, job_id: str, what: str) -> JobStateError:
        job = self.get(job_id)
        state = "being cancelled" if job.wanted == "cancel" else job.state
        return JobStateError(f"the job is {state} and cannot be {what}")

    def _changed(self, job_id: str) -> Job:
        self.on_change()
        return self.get(job_id)

    def end_values(self, state: State) -> dict[str, Any]:
        """What a row has at the end of a job."""
        now = time.time()
        return {
            "state": state,
            "wanted": "run",
            "owner": "",
            "ended": now,
            "expires": now + self.serve.keep_results_s,
        }

    # --- expiry ---

    def expire(self) -> None:
        """Remove the files of jobs whose time is over, and what crashes left."""
        self.table.expire(time.time())
        self.folders.clear(self.table.expired())


def within(limits: Limits, most: Limits) -> Limits:
    """`limits`, with those of `most` where none is given; ConfigError where one is higher."""
    values: dict[str, Any] = {}
    for name in ("max_calls", "max_tokens", "max_cost"):
        given, highest = getattr(limits, name), getattr(most, name)
        if given is not None and highest is not None and given > highest:
            raise ConfigError(
                f"{name} is {given:g}; the service was started with {name}={highest:g}, which is "
                "the highest limit of a job"
            )
        values[name] = highest if given is None else given
    return Limits(**values)


class NewJob:
    """A job that is being filled: by an upload, or from files of the run.

    End it with `Jobs.add`, or with `discard`; the latter may be called after either.
    """

    def __init__(self, jobs: Jobs, request: JobRequest, *, key: str | None) -> None:
        self.request = request
        self.key = key
        limits = UploadLimits(
            max_bytes=jobs.serve.max_upload_bytes, max_rows=jobs.serve.max_job_rows
        )
        self.rows = NewRows(jobs.folders.begin(), limits=limits, forgotten=jobs.forgotten())
        self._lines = LineReader(self.rows.add_line, max_bytes=limits.max_bytes)
        self._jobs = jobs
        self._is_over = False

    def write(self, chunk: bytes) -> None:
        """Bytes of an upload. Raises InputError with up to twenty faults, and TooLargeError."""
        self._lines.write(chunk)

    def read_files(self) -> None:
        """Copy the responses and documents that the request names. Raises InputError."""
        self.rows.add_files(
            self._file(self.request.source),
            self._file(self.request.documents) if self.request.documents else None,
        )

    def _file(self, name: str) -> Path:
        path = run_file(self._jobs.run, name)
        if path is None or path.suffix != ".jsonl":
            raise InputError.of(
                name, "is not a .jsonl file in the run's folder; give the name of one, without a /"
            )
        return path

    def digest(self) -> str:
        """What was asked for, as a hash."""
        self._lines.end()
        content = f"{self.request.model_dump_json()}\n{self.rows.digest}"
        return hashlib.sha256(content.encode()).hexdigest()

    def complete(self, documents: Path | None) -> None:
        """Check the whole, take the run's `documents` where none were given, keep the files.

        Raises InputError.
        """
        self.rows.check()
        if not self.rows.num_documents:
            if documents is None or not documents.is_file():
                raise InputError.of(
                    UPLOAD,
                    'holds no documents, and the run has none; send lines {"document": {"id": '
                    '"d1", "text": "..."}}, too',
                )
            self.rows.add_files(None, documents)
            self.rows.check()
        self.rows.sync()
        self.rows.close()
        self._is_over = True

    def discard(self) -> None:
        """Remove what was written, unless it became a job."""
        if not self._is_over:
            self._is_over = True
            self.rows.close()
            discard(self.rows.folder)
