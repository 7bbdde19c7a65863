"""A job as its row holds it: what was asked for, its state, and what it has done.

The rule: a row holds names, numbers and sentences about the job, never a text of a response.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from annotator.calls.usage import NO_LIMITS, Limits

State = Literal[
    "queued",
    "running",
    "paused",
    "waiting",
    "limit_reached",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
]
Wanted = Literal["run", "pause", "cancel"]
OPEN: tuple[State, ...] = ("queued", "running", "waiting")
ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled", "limit_reached", "expired")

RESPONSES = "responses.jsonl"
DOCUMENTS = "documents.jsonl"
ANNOTATIONS = "annotations.jsonl"
UPLOAD = "upload"


class _Stored(BaseModel):
    """Part of a row, kept as JSON; a newer version may have added fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class JobRequest(_Stored):
    """What a client asked for; `source` is `upload`, or the name of a file of the run."""

    judge: str = "default"
    domain: str | None = None
    source: str = UPLOAD
    documents: str | None = None
    limits: Limits = NO_LIMITS


class Progress(_Stored):
    """How far the attempt under way, or the last one, has come.

    total, done, failed   responses; `failed` are part of `done`
    labels                sentences by label, of the rows that are written
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    labels: Mapping[str, int] = {}
    rate_per_s: float | None = None
    eta_s: float | None = None


class Spent(_Stored):
    """The calls of a job in all its attempts; `served` are replies that the last attempt found in
    the store."""

    calls: int = 0
    served: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    is_estimated: bool = False
    cost: float | None = None
    currency: str = ""


class JobError(_Stored):
    """Why a job does not continue: a short code and a sentence."""

    code: str
    message: str


class Outcome(_Stored):
    """What a job says about itself at the end of an attempt."""

    notes: tuple[str, ...] = ()
    error: JobError | None = None


class Job(_Stored):
    """One row. Times are seconds since 1970, for people and for expiry only.

    owner      the attempt that runs it; empty for a job that does not run
    waits      attempts in a row that ended because a server failed
    first_run  failures before this run of the store are asked again (`Store`)
    reserved   the most that may have been spent, recorded before each call of a job with limits
    """

    id: str
    state: State = "queued"
    wanted: Wanted = "run"
    owner: str = ""
    request: JobRequest
    progress: Progress = Progress()
    spent: Spent = Spent()
    reserved: Spent | None = None
    outcome: Outcome = Outcome()
    created: float
    started: float | None = None
    ended: float | None = None
    expires: float | None = None
    retry_at: float | None = None
    attempts: int = 0
    waits: int = 0
    first_run: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens without a request."""
        return self.state in ENDED


def lease_key(job_id: str) -> str:
    """The key under which a job is leased in the store."""
    return f"job:{job_id}"
