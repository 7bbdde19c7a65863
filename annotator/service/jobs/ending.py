"""How an attempt ended, as the row of its job says it.

The rule: a server that fails, or a full disk, makes a job wait and try again; a fault that another
attempt would have, too, ends it. A sentence names no folder of this machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.calls.store_faults import StoreError
from annotator.service.jobs.attempt import Attempt
from annotator.service.jobs.job import Job, JobError, Outcome, Progress, State
from schemas.errors import (
    BackendError,
    ConfigError,
    InputError,
    LimitReachedError,
    MaskDpoError,
    TooManyFailuresError,
)
from schemas.stage import StageResult, check_failures

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
MOST_WAITS = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class End:
    """The new state of a job, and other values of its row; `is_final`: the job has ended."""

    state: State
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state != "waiting"


def end_of(
    job: Job,
    error: BaseException | None,
    result: StageResult | None,
    *,
    attempt: Attempt | None,
    folder: Path,
) -> End:
    """The end of an attempt with an error or a result; `folder` is that of the run."""
    values: dict[str, Any] = {}
    if attempt is not None:
        values = {"progress": attempt.progress(), "spent": attempt.spent()}
    if error is None:
        assert result is not None and attempt is not None
        return _end_well(result, attempt, values, folder)
    if _is_temporary(error, attempt):
        return _wait(job, error, values, attempt, folder)
    code, message = _explain(error, attempt)
    state: State = "limit_reached" if isinstance(error, LimitReachedError) else "failed"
    outcome = Outcome(error=JobError(code=code, message=_without_folder(message, folder)))
    return End(state=state, values={**values, "outcome": outcome})


def _end_well(result: StageResult, attempt: Attempt, values: dict[str, Any], folder: Path) -> End:
    notes = list(result.notes)
    error = None
    try:
        check_failures(result, attempt.max_failed)
    except TooManyFailuresError as trouble:
        notes.append(str(trouble))
    except MaskDpoError as trouble:
        error = JobError(code="no_usable_reply", message=_without_folder(str(trouble), folder))
    labels = {
        name.removeprefix("label_"): count
        for name, count in result.counts.items()
        if name.startswith("label_")
    }
    progress: Progress = values["progress"]
    done = progress.model_copy(
        update={"labels": labels, "done": progress.total, "failed": len(result.failures)}
    )
    outcome = Outcome(
        notes=tuple(_without_folder(note, folder) for note in dict.fromkeys(notes)), error=error
    )
    state: State = "succeeded" if error is None else "failed"
    return End(state=state, values={**values, "progress": done, "outcome": outcome, "waits": 0})


def _wait(
    job: Job,
    error: BaseException,
    values: dict[str, Any],
    attempt: Attempt | None,
    folder: Path,
) -> End:
    """Wait for the server, each time longer; a reply in between makes the next wait short."""
    had_reply = attempt is not None and attempt.num_replies > 0
    waits = 0 if had_reply else job.waits
    message = _without_folder(_sentence(error), folder)
    is_here = isinstance(error, (OSError, StoreError))
    code = "store_or_disk" if is_here else "judge_failed"
    outcome = Outcome(error=JobError(code=code, message=message))
    values = {**values, "waits": waits + 1, "outcome": outcome}
    if waits >= MOST_WAITS:
        return End(state="failed", values=values)
    pause_s = min(FIRST_WAIT_S * 2**waits, LONGEST_WAIT_S)
    return End(state="waiting", values={**values, "retry_at": time.time() + pause_s})


def _is_temporary(error: BaseException, attempt: Attempt | None) -> bool:
    if isinstance(error, OSError):
        return True
    if not isinstance(error, BackendError):
        return False
    if attempt is None:
        return True
    # Replies that cannot be used, or failures that are stored, would be the same again.
    total = attempt.meter.total_failure
    is_total = bool(total) and str(error).startswith(total)
    return not (is_total or attempt.meter.useless.is_hopeless)


def _explain(error: BaseException, attempt: Attempt | None) -> tuple[str, str]:
    if isinstance(error, LimitReachedError) and attempt is not None:
        refusing = attempt.meter.refusing
        is_own = refusing is attempt.meter.budget
        how = "resume the job" if is_own else "start the service"
        return "limit_reached", f"{refusing.describe_stop()}; {how} with a higher limit to continue"
    if isinstance(error, InputError):
        return "invalid_input", str(error)
    if isinstance(error, ConfigError):
        return "misconfigured", str(error)
    if isinstance(error, BackendError):
        return "no_usable_reply", str(error)
    if isinstance(error, MaskDpoError):
        return "failed", str(error)
    _log.error("a job failed unexpectedly: %s", _sentence(error))
    return "internal", "the job failed because of a fault of the service"


def _sentence(error: BaseException) -> str:
    """An error without a text that it may quote."""
    if isinstance(error, StoreError):
        return "the store of the service cannot be used now"
    if isinstance(error, MaskDpoError):
        return str(error)
    if isinstance(error, OSError):
        return f"a file cannot be written or read: {error.strerror or type(error).__name__}"
    return type(error).__name__


def _without_folder(text: str, folder: Path) -> str:
    for name in {str(folder.absolute()), str(folder.resolve()), str(folder)} - {".", "/"}:
        text = text.replace(f"{name}/", "")
    return text
