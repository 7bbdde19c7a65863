"""What an engine and its workers agree on: pieces of an input, a worker, and its report.

The rule: a piece may be run twice, because a worker may die after its last write and before its
report. So a worker writes whole files under their final names, writes the same bytes each time, and
takes calls that were made before from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from schemas.errors import BackendError, MaskDpoError
from schemas.events import OnEvent
from schemas.files.parts import InputPart
from schemas.files.shard import Shard

if TYPE_CHECKING:
    from annotator.calls.usage import Budget
    from schemas.stage import StageResult


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One part of the input, which one worker turns into one file.

    shard     which questions (or documents) of the input it has
    output    the file that it writes; a lock next to it keeps two workers from writing it at once
    num_rows  what there is to do in this part, in the unit of progress
    rows      where these rows are in the input
    store     the store of its calls
    """

    shard: Shard
    output: Path
    num_rows: int
    rows: InputPart | None = None
    store: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PieceReport:
    """What a finished piece reports to the driver; its rows and failures are in its files.

    num_rows    rows asked for: those written and those failed
    num_failed  failed rows
    counts      named counts, as in the sidecar
    notes       sentences that the user should read
    fatal       why the piece has no output (every call failed); empty where it has
    trouble     what is wrong with the output as a whole
    seconds     how long the worker took
    """

    piece: Piece
    num_rows: int
    num_failed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    fatal: str = ""
    trouble: MaskDpoError | None = None
    seconds: float = 0.0

    @property
    def total_failure(self) -> str:
        """Why no call of the piece got a usable reply; empty where one did, or none was needed."""
        return self.fatal or (str(self.trouble) if isinstance(self.trouble, BackendError) else "")

    @classmethod
    def of(cls, piece: Piece, result: StageResult, *, notes: Sequence[str] = ()) -> PieceReport:
        """The report of a stage that was run on a piece.

        The result's own notes are about the piece; `notes` are about the run.
        """
        return cls(
            piece=piece,
            num_rows=result.num_rows,
            num_failed=len(result.failures),
            counts=dict(result.counts),
            notes=tuple(notes),
            fatal=result.fatal,
            trouble=result.trouble,
        )


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a worker shares with the other workers of the run.

    actor        a number from 0 that no other worker of the run has had, not even a dead one
    num_actors   how many work at the same time
    budget       the limits of the whole run: calls of all workers count towards them. A worker has
                 one `Meter` with this budget, and meters of pieces have it as their `parent`
    paces        reports the calls of this worker to the server's common pace and returns this
                 worker's share; picklable. None where every process has its own pace
    """

    actor: int
    num_actors: int
    budget: Budget
    paces: Any = None


class Worker(Protocol):
    """Runs pieces one after the other; its backend, documents and judge live as long as it does."""

    def run(self, piece: Piece, on_event: OnEvent) -> PieceReport:
        """Write the files of a piece and report. Called from one thread.

        Raises the errors of `schemas.errors`: they stop the whole run.
        """
        ...

    def close(self) -> None:
        """Release what the worker holds. Not called where its process is killed."""
        ...


MakeWorker = Callable[[WorkerContext], Worker]
"""Picklable; called once in each worker process."""
