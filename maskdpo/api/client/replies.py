"""Bodies of replies, as records.

The rule: a later version of the service may send more; what is not known is left out. What is known
must have its type, else it is an error that names the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from annotator.service.jobs.job import State
from schemas.errors import BackendError, InputError, LimitReachedError, MaskDpoError
from schemas.labels import Label
from schemas.records import Annotation, Verdict
from schemas.text.counted import count_of
from schemas.validation import describe_errors

ModelT = TypeVar("ModelT", bound=BaseModel)
_AT_REST = frozenset({"paused", "limit_reached", "succeeded", "failed", "cancelled", "expired"})


class _Reply(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class JobRows(_Reply):
    """Responses of a job; `done` includes `failed`, those that could not be judged."""

    total: int
    done: int
    failed: int


class JobUsage(_Reply):
    """Calls of a judge model, their tokens and their cost (None where prices are not known)."""

    calls: int = 0
    calls_from_store: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    currency: str = ""
    is_estimated: bool = False


class JobLimits(_Reply):
    """Where the calls of a job stop; None where there is none."""

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None


class JobError(_Reply):
    """Why a job failed or stopped."""

    code: str
    message: str


class JobStatus(_Reply):
    """A job as it was when the service was asked.

    state         queued, running, waiting (the judge failed; it is asked again at `retry_at`),
                  paused, limit_reached, succeeded, failed, cancelled or expired
    expires       when its files are removed
    annotations   the file with the labels, relative to the run's folder of the service
    """

    id: str
    state: State
    judge: str = "default"
    domain: str | None = None
    source: str = ""
    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    expires: datetime | None = None
    retry_at: datetime | None = None
    rows: JobRows
    labels: Mapping[Label, int] = {}
    usage: JobUsage = JobUsage()
    limits: JobLimits = JobLimits()
    rate_per_s: float | None = None
    eta_s: float | None = None
    attempts: int = 0
    annotations: str | None = None
    notes: tuple[str, ...] = ()
    error: JobError | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether the job has ended, or continues only on request."""
        return self.state in _AT_REST

    def __str__(self) -> str:
        rows = self.rows
        failed = f", {rows.failed:,} failed" if rows.failed else ""
        return f"{self.state}: {rows.done:,} of {count_of(rows.total, 'response')}{failed}"

    def raise_for_state(self) -> None:
        """LimitReachedError at a limit, BackendError for a failed job; else nothing."""
        if error := self._error():
            raise error

    def _error(self) -> MaskDpoError | None:
        if self.state not in ("failed", "limit_reached"):
            return None
        why = self.error.message if self.error else self.state
        if self.state == "limit_reached":
            return LimitReachedError(
                f"job {self.id}: {why}; continue with job.resume(max_calls=...)"
            )
        return BackendError(f"job {self.id} has failed: {why}")


class AnnotationReply(_Reply):
    """The annotation of one response."""

    annotation: Annotation


class SentenceEvent(_Reply):
    """A sentence that was judged before the rest; `index` is its number in the response."""

    index: int
    start: int
    end: int
    verdict: Verdict


class JudgeInfo(_Reply):
    """A judge of the service. `reachable` is None for a judge without a server."""

    name: str
    judge: str
    model: str | None = None
    protocol: str | None = None
    is_default: bool = False
    reachable: bool | None = None


class DomainInfo(_Reply):
    """A domain whose guidance a judge model can read."""

    name: str
    language: str = ""


class JobList(_Reply):
    """Jobs, the newest first."""

    jobs: list[JobStatus]


class JudgeList(_Reply):
    """All judges."""

    judges: list[JudgeInfo]


class DomainList(_Reply):
    """All domains."""

    domains: list[DomainInfo]


class Version(_Reply):
    """The version of the service."""

    version: str


def read_as(model: type[ModelT], body: bytes | str) -> ModelT:
    """The record in a body. Raises BackendError where there is none."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = "; ".join(describe_errors(error, model))
        raise BackendError(
            f"the service sent a {model.__name__} that cannot be read: {faults}; are service and "
            "client of the same version?"
        ) from None


def find_reason(error: InputError) -> str:
    """The reason of a refused response, as `Failure` has it: the word at the end in brackets."""
    words = str(error).rpartition("(")[2]
    return words[:-1] if words.endswith(")") and words[:-1].isidentifier() else "bad_response"
