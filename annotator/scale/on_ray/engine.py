"""The driver of a run on Ray: pieces in, reports in order of completion, errors as on one machine.

The rule: a piece counts as done only when its outcome is here, after its files are; whatever else
is lost is done again. An error of a worker stops the run gently: the others make no further call,
and what they have under way is kept.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.scale.config import RayConfig
from annotator.scale.on_ray.actor import ActorTask
from annotator.scale.on_ray.cluster import count_actors, ray_cluster
from annotator.scale.on_ray.data_set import outcomes_of
from annotator.scale.on_ray.hub import Changes, HubStart
from annotator.scale.on_ray.link import HubGoneError, HubLink, HubSlowError, end_hub, start_hub
from annotator.scale.on_ray.outcome import Outcome
from annotator.scale.on_ray.progress import Board, Progress
from annotator.scale.on_ray.worker_side import MakeTally
from annotator.scale.work import MakeWorker, Piece, PieceReport
from schemas.errors import BackendError
from schemas.events import Ended, Noted, OnEvent, Started, ignore

POLL_S = 1.0
STOP_S = 30.0  # how long workers may finish what they have under way after an error
_IDLE_NOTE_S = 60.0
_STALL_S = 90.0
_MOST_FAULTS = 3  # of Ray itself, one after the other, without a finished piece between them


@dataclass(frozen=True, kw_only=True)
class RayRun:
    """What a run on Ray does, apart from its pieces.

    make_worker  called in each worker process
    started      the first event: its stage is that of the workers' events, whose rows are added up
    limits       hold for the calls of all workers together
    on_event     gets `started`, progress about once a second, notes, and the end
    make_tally   called per attempt at a piece; what it counts is put on `board`
    """

    make_worker: MakeWorker
    started: Started
    config: RayConfig = field(default_factory=RayConfig)
    limits: Limits = NO_LIMITS
    on_event: OnEvent = ignore
    make_tally: MakeTally | None = None
    board: Board | None = None


def run_on_ray(pieces: Sequence[Piece], run: RayRun) -> Iterator[PieceReport]:
    """The reports of all pieces, as they are finished. Closing the iterator ends the run.

    Raises what the first worker that failed raised, after the reports of pieces that others could
    finish; MissingPackageError without the extra `ray`, BackendError where the cluster cannot be
    reached or Ray fails repeatedly.
    """
    if not pieces:
        return
    driver = _Driver(pieces, run)
    try:
        yield from driver.reports()
    finally:
        driver.close()


@dataclass(frozen=True, kw_only=True)
class _End:
    """The iteration over the data set ended, by this error of Ray if any."""

    error: Exception | None = None


class _Driver:
    def __init__(self, pieces: Sequence[Piece], run: RayRun) -> None:
        self._pieces = pieces
        self._run = run
        self._missing = dict(enumerate(pieces))
        self._num_actors = 0
        self._link = HubLink(name=f"maskdpo-{uuid.uuid4().hex}")
        self._start = HubStart(limits=run.limits, num_workers=1)
        self._hub: Any = None
        self._has_started = False
        self._progress = Progress(
            pieces, stage=run.started.stage, on_event=run.on_event, board=run.board
        )
        self._error: BaseException | None = None
        self._stop_at = float("inf")
        self._next_poll = 0.0
        self._told: set[str] = set()
        self._idle_since = time.monotonic()
        self._num_seen = 0
        self._is_own = False

    def reports(self) -> Iterator[PieceReport]:
        """All reports; after a fault of Ray itself, a new connection does what is missing."""
        num_faults = 0
        while self._missing and self._error is None:
            num_before = len(self._missing)
            with ray_cluster(self._run.config) as self._is_own:
                self._begin()
                try:
                    fault = yield from self._one_data_set()
                finally:
                    end_hub(self._hub)
            num_faults = num_faults + 1 if len(self._missing) == num_before else 0
            if self._error is None and self._missing and num_faults >= _MOST_FAULTS:
                raise BackendError(
                    f"Ray could not run the workers ({_describe(fault)}); finished pieces are "
                    "kept, and the same command continues"
                )
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """The last event."""
        if self._has_started:
            self._run.on_event(Ended(stage=self._run.started.stage))

    def _begin(self) -> None:
        """Start the hub on a new connection; workers of the one before have ended."""
        self._num_actors = count_actors(self._run.config, len(self._missing))
        dead = {key: replace(item, is_alive=False) for key, item in self._start.accounts.items()}
        self._start = replace(self._start, accounts=dead, num_workers=self._num_actors)
        self._hub = start_hub(self._link.name, self._start)
        self._idle_since = time.monotonic()
        if not self._has_started:
            self._has_started = True
            self._run.on_event(self._run.started)

    def _one_data_set(self) -> Generator[PieceReport, None, Exception | None]:
        found: queue.Queue[Outcome | _End] = queue.Queue()
        task = ActorTask(
            link=self._link,
            limits=self._run.limits,
            make_worker=self._run.make_worker,
            num_actors=self._num_actors,
            stage=self._run.started.stage,
            version=version("maskdpo"),
            folder=str(Path.cwd()),
            make_tally=self._run.make_tally,
        )
        arguments = (dict(self._missing), task, self._run.config, found)
        threading.Thread(target=_feed, args=arguments, name="ray-data", daemon=True).start()
        while time.monotonic() < self._stop_at:
            if self._is_stalled():
                return TimeoutError("pieces wait for a worker that cannot be started again")
            try:
                item = found.get(timeout=max(0.01, self._next_poll - time.monotonic()))
            except queue.Empty:
                self._poll()
                continue
            if isinstance(item, _End):
                self._poll()
                return item.error
            report = self._take(item)
            if report is not None:
                yield report
        return None

    def _take(self, outcome: Outcome) -> PieceReport | None:
        """The report of a piece that is finished."""
        self._poll()  # the last counts of the piece
        if outcome.error is not None:
            self._fail(outcome.error.unpack())
        elif outcome.report is not None and outcome.number in self._missing:
            del self._missing[outcome.number]
            self._progress.finish(outcome.number)
            self._progress.emit()
            return outcome.report
        return None

    def _fail(self, error: BaseException) -> None:
        """The first error stops the run; those that follow from stopping are left out."""
        if self._error is not None:
            return
        self._error = error
        self._stop_at = time.monotonic() + STOP_S
        self._start = replace(self._start, is_halted=True)
        try:
            self._link.try_once("halt")
        except HubGoneError:
            self._poll()  # the next hub begins halted

    def _poll(self) -> None:
        """Take over what the workers reported; a hub that ended is replaced."""
        self._next_poll = time.monotonic() + POLL_S
        try:
            changes: Changes = self._link.try_once("take_changes")
        except HubSlowError:
            return
        except HubGoneError:
            with suppress(Exception):  # where all of Ray is gone, the data set ends, too
                self._hub = start_hub(self._link.name, self._start)
            return
        self._start = replace(
            self._start, accounts=changes.accounts, next_worker=changes.next_worker
        )
        for piece in self._progress.update(changes.attempts):
            self._note_again(piece)
        for note in changes.notes:
            self._tell(note)
        self._progress.emit()
        self._watch_idle(changes)

    def _note_again(self, piece: int) -> None:
        shard, deaths = self._pieces[piece].shard, self._progress.attempts[piece] - 1
        if deaths >= self._run.config.max_deaths:
            self._fail(
                BackendError(
                    f"piece {shard} ended its worker {deaths} times (often for lack of memory); "
                    "give each worker more with a larger ray.cpus_per_actor, or cut smaller pieces "
                    "with ray.pieces; finished pieces are kept, and the same command continues"
                )
            )
        self._tell(f"a worker ended; piece {shard} is done again ({deaths})")

    def _is_stalled(self) -> bool:
        """Whether workers ran and none does, because Ray cannot place one again: it would keep the
        pieces of that one for ever. A connection of the calling program is not given up."""
        idle_s = time.monotonic() - self._idle_since
        return self._is_own and self._num_seen > 0 and idle_s > _STALL_S

    def _watch_idle(self, changes: Changes) -> None:
        now = time.monotonic()
        self._num_seen = changes.next_worker
        if changes.num_working or changes.num_starting:
            self._idle_since = now
        elif now - self._idle_since > _IDLE_NOTE_S and not changes.num_alive:
            config = self._run.config
            self._tell(
                "no worker is running yet; Ray waits for a node with "
                f"{config.cpus_per_actor:g} CPUs and {config.gpus_per_actor:g} GPUs free"
            )

    def _tell(self, text: str) -> None:
        """Report a note once."""
        if text not in self._told:
            self._told.add(text)
            self._run.on_event(Noted(text=text))


def _feed(
    missing: dict[int, Piece],
    task: ActorTask,
    config: RayConfig,
    found: queue.Queue[Outcome | _End],
) -> None:
    """Put all outcomes into the queue, and the end."""
    try:
        for outcome in outcomes_of(missing, task, config):
            found.put(outcome)
        found.put(_End())
    except Exception as error:
        found.put(_End(error=error))


def _describe(fault: BaseException | None) -> str:
    if fault is None:
        return "pieces were lost"
    return next(iter(str(fault).strip().splitlines()), type(fault).__name__)
