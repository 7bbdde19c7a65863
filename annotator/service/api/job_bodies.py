"""What clients send about jobs: options of an upload, files of the run, limits.

The rule: an upload names no path; a reference is the plain name of a file in the run's folder.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from annotator.calls.usage import Limits
from annotator.service.api.bodies import Body
from annotator.service.config import DEFAULT_JUDGE
from annotator.service.jobs.job import RESPONSES, UPLOAD, JobRequest, State
from schemas.records import MAX_WHOLE

Count = Annotated[int, Field(ge=1, le=MAX_WHOLE)]
Money = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
FileName = Annotated[str, Field(min_length=1, max_length=201)]
_CALLS = "the most calls of the judge model; at the limit the job stops and can be resumed"
_TOKENS = "the most tokens, of prompts and replies together"
_COST = "the most money, in the currency of the judge's prices"


class UploadOptions(BaseModel):
    """The query of an upload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    judge: str = Field(default=DEFAULT_JUDGE, description="a name of GET /v1/judges")
    domain: str | None = Field(default=None, description="a name of GET /v1/domains")
    max_calls: Count | None = Field(default=None, description=_CALLS)
    max_tokens: Count | None = Field(default=None, description=_TOKENS)
    max_cost: Money | None = Field(default=None, description=_COST)

    def request(self) -> JobRequest:
        """The request of a job."""
        return JobRequest(judge=self.judge, domain=self.domain, source=UPLOAD, limits=_limits(self))


class ListOptions(BaseModel):
    """The query of a list of jobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state: State | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class ResultOptions(BaseModel):
    """The query of results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: int = Field(
        default=0, alias="from", ge=0, le=MAX_WHOLE, description="number of the first row, from 0"
    )
    wait: bool = Field(default=True, description="continue until the job ends")


class NewLimits(Body):
    """Limits of a job from now on. A key that is left out keeps its limit; null removes it."""

    max_calls: Count | None = Field(default=None, description=_CALLS)
    max_tokens: Count | None = Field(default=None, description=_TOKENS)
    max_cost: Money | None = Field(default=None, description=_COST)

    def change(self, limits: Limits) -> Limits:
        """`limits` with the keys that were given."""
        before = {
            "max_calls": limits.max_calls,
            "max_tokens": limits.max_tokens,
            "max_cost": limits.max_cost,
        }
        return Limits(**{**before, **self.model_dump(exclude_unset=True)})


class JobFiles(Body):
    """A job of files that are in the run's folder. They are copied: later changes do not count."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"responses": RESPONSES}]})

    responses: FileName = Field(default=RESPONSES, description="a file in the run's folder")
    documents: FileName | None = Field(
        default=None, description="a file in the run's folder; the run's documents by default"
    )
    judge: str = Field(default=DEFAULT_JUDGE, description="a name of GET /v1/judges")
    domain: str | None = Field(default=None, description="a name of GET /v1/domains")
    max_calls: Count | None = Field(default=None, description=_CALLS)
    max_tokens: Count | None = Field(default=None, description=_TOKENS)
    max_cost: Money | None = Field(default=None, description=_COST)

    def request(self) -> JobRequest:
        """The request of a job."""
        return JobRequest(
            judge=self.judge,
            domain=self.domain,
            source=self.responses,
            documents=self.documents,
            limits=_limits(self),
        )


def _limits(given: UploadOptions | JobFiles) -> Limits:
    return Limits(max_calls=given.max_calls, max_tokens=given.max_tokens, max_cost=given.max_cost)
