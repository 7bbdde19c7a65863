"""What every stage returns, what a stopped one leaves behind, and how many rows may fail.

A file has its final name only when it is whole. The rows that a stopped run has are in a file with
another name (`partial_path`), which the complete run removes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from schemas.errors import BackendError, MaskDpoError, TooManyFailuresError
from schemas.files.jsonl import write_records
from schemas.records import Failure

DEFAULT_MAX_FAILED = 0.05
# In these, a failed row is a failed request, which can be sent again.
ASKING_STAGES = ("sample", "questions")


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The outcome of one stage.

    output      the file or folder written
    num_rows    rows asked for: those written and those failed
    failures    rows that could not be made, each with its reason
    counts      named counts for the terminal and the sidecar
    notes       sentences the user should read (such as that the judge is a baseline)
    table       what the stage cost, as (name, value) rows
    fatal       why the stage wrote no output (every call failed); empty where it did
    trouble     what is wrong with the output as a whole; raised after the rest is reported
    """

    output: Path
    num_rows: int
    failures: Sequence[Failure] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    table: Sequence[tuple[str, str]] = ()
    fatal: str = ""
    trouble: MaskDpoError | None = None


def failures_path(output: str | Path) -> Path:
    """`responses.jsonl` -> `responses.failed.jsonl`, `dataset` -> `dataset.failed.jsonl`."""
    output = Path(output)
    return output.with_name(output.name.removesuffix(".jsonl") + ".failed.jsonl")


def partial_path(output: str | Path) -> Path:
    """`responses.jsonl` -> `responses.partial.jsonl`."""
    output = Path(output)
    return output.with_name(output.name.removesuffix(".jsonl") + ".partial.jsonl")


def write_partial(output: str | Path, records: Iterable[BaseModel], *, what: str) -> str:
    """Write the rows that a stopped run has next to `output`; returns a clause that names the file.

    `what` names the records in the plural ("responses"). Without records no file is left.
    """
    path = partial_path(output)
    count = write_records(path, records)
    if not count:
        path.unlink()
        return f"{output} is not written"
    return f"the {count:,} {what} so far are in {path}, and {output} is not written"


def write_failures(output: str | Path, failures: Sequence[Failure]) -> None:
    """Write the failed rows next to `output`; no failures, no file (a stale one is removed)."""
    path = failures_path(output)
    if failures:
        write_records(path, failures)
    else:
        path.unlink(missing_ok=True)


def check_failures(result: StageResult, max_failed: float) -> None:
    """Raise TooManyFailuresError when more than the share `max_failed` of the rows failed.

    A stage without output raises BackendError, whatever `max_failed` is; one whose output has a
    `trouble` raises it.
    """
    if result.fatal:
        raise BackendError(f"{result.fatal}; the rows are in {failures_path(result.output)}")
    if result.trouble is not None:
        raise result.trouble
    num_failed = len(result.failures)
    if num_failed > max_failed * result.num_rows:
        first = result.failures[0]
        raise TooManyFailuresError(
            f"{num_failed} of {result.num_rows} rows failed, more than max_failed={max_failed:g} "
            f"allows; the others are in {result.output}, the failed ones in "
            f"{failures_path(result.output)} (first: {first.id}: {first.reason}); "
            + (
                "pass --retry-failed to send them again, or allow more with max_failed"
                if first.stage in ASKING_STAGES
                else "correct them and run the command again, or allow more with max_failed"
            )
        )
