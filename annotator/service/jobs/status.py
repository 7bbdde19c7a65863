"""A job as clients see it."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel

from annotator.calls.usage import Limits
from annotator.service.jobs.job import ANNOTATIONS, Job, JobError, State


class Rows(BaseModel):
    """Responses of a job; `done` includes `failed`."""

    total: int
    done: int
    failed: int


class JobUsage(BaseModel):
    """The calls of a job in all its attempts.

    `calls_from_store` are replies that the last attempt found in the store. `cost` is null where
    the judge has no prices.
    """

    calls: int
    calls_from_store: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float | None
    currency: str
    is_estimated: bool


class JobStatus(BaseModel):
    """A job. Times are ISO 8601 in UTC; `annotations` is relative to the run's folder."""

    id: str
    state: State
    judge: str
    domain: str | None
    source: str
    created: str
    started: str | None
    ended: str | None
    expires: str | None
    retry_at: str | None
    rows: Rows
    labels: dict[str, int]
    usage: JobUsage
    limits: Limits
    rate_per_s: float | None
    eta_s: float | None
    attempts: int
    annotations: str | None
    notes: list[str]
    error: JobError | None


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobStatus]


def status_of(job: Job) -> JobStatus:
    """What a client may know about a job."""
    progress, spent = job.progress, job.spent
    is_running = job.state == "running"
    return JobStatus(
        id=job.id,
        state=job.state,
        judge=job.request.judge,
        domain=job.request.domain,
        source=job.request.source,
        created=_time(job.created) or "",
        started=_time(job.started),
        ended=_time(job.ended),
        expires=_time(job.expires),
        retry_at=_time(job.retry_at),
        rows=Rows(total=progress.total, done=progress.done, failed=progress.failed),
        labels=dict(progress.labels),
        usage=JobUsage(
            calls=spent.calls,
            calls_from_store=spent.served,
            prompt_tokens=spent.prompt,
            cached_tokens=spent.cached,
            completion_tokens=spent.completion,
            cost=spent.cost,
            currency=spent.currency,
            is_estimated=spent.is_estimated,
        ),
        limits=job.request.limits,
        rate_per_s=progress.rate_per_s if is_running else None,
        eta_s=progress.eta_s if is_running else None,
        attempts=job.attempts,
        annotations=f"jobs/{job.id}/{ANNOTATIONS}" if job.state == "succeeded" else None,
        notes=list(job.outcome.notes),
        error=job.outcome.error,
    )


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
