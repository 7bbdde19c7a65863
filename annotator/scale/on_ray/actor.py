"""The class that Ray Data runs in each worker process: pieces in, outcomes out.

The rule: nothing is raised here. A fault of the set-up or of a piece is the outcome of a piece, so
the driver gets the error itself, and Ray does not treat it as a dead process.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from annotator.calls.usage import Limits
from annotator.scale.on_ray.link import HubLink, PaceLink
from annotator.scale.on_ray.outcome import Outcome, PackedError
from annotator.scale.on_ray.worker_side import Attempt, MakeTally, WorkerSide
from annotator.scale.piece_lock import only_writer
from annotator.scale.work import MakeWorker, Piece, PieceReport, WorkerContext
from schemas.errors import ConfigError

NUMBER, CONTENT = "number", "content"  # the columns of a row, on the way in and out


@dataclass(frozen=True, kw_only=True)
class ActorTask:
    """What every worker process of a run is given; plain data.

    stage    the stage whose events count as rows that are done
    version  of maskdpo, which must be the same on all nodes
    folder   the driver's: relative paths in settings begin there
    """

    link: HubLink
    limits: Limits
    make_worker: MakeWorker
    num_actors: int
    stage: str
    version: str
    folder: str
    make_tally: MakeTally | None = None


class PieceActor:
    """Makes a worker, and runs pieces with it, one at a time."""

    def __init__(self, task: bytes) -> None:
        self._fault: PackedError | None = None
        try:
            self._set_up(pickle.loads(task))
        except Exception as error:
            self._fault = PackedError.of(error)

    def _set_up(self, task: ActorTask) -> None:
        check_version(task.version)
        enter_folder(task.folder)
        self._task = task
        self._side = WorkerSide(task.link, task.limits)
        self._lock = threading.Lock()
        self._num_attempts = 0
        self._worker = task.make_worker(
            WorkerContext(
                actor=self._side.number,
                num_actors=task.num_actors,
                budget=self._side.budget,
                paces=PaceLink(link=task.link),
            )
        )
        self._side.is_ready = True

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """The outcomes of the pieces of a batch, as rows of bytes."""
        numbers = [int(number) for number in batch[NUMBER]]
        outcomes = [
            self._attempt(number, content)
            for number, content in zip(numbers, batch[CONTENT], strict=True)
        ]
        return {NUMBER: numbers, CONTENT: [pickle.dumps(item) for item in outcomes]}

    def _attempt(self, number: int, content: bytes) -> Outcome:
        if self._fault is not None:
            return Outcome(number=number, error=self._fault)
        try:
            with self._lock:
                report = self._run(number, pickle.loads(content))
            return Outcome(number=number, report=report)
        except Exception as error:
            return Outcome(number=number, error=PackedError.of(error))

    def _run(self, number: int, piece: Piece) -> PieceReport | None:
        """The report of a piece; None where the run is stopping."""
        task, side = self._task, self._side
        self._num_attempts += 1
        attempt = Attempt(
            piece,
            number=number,
            name=f"{side.number}-{self._num_attempts}",
            stage=task.stage,
            tally=task.make_tally() if task.make_tally else None,
        )
        began = time.perf_counter()
        try:
            if not side.begin(attempt):
                return None
            with only_writer(piece.output):
                report = self._worker.run(piece, attempt)
        finally:
            side.end()
        return replace(report, seconds=time.perf_counter() - began)


def enter_folder(folder: str) -> None:
    """Work in the folder of the driver, where this node has it: a worker begins in that of
    `ray start`, unless the job has a working directory of its own."""
    with suppress(OSError):
        os.chdir(folder)


def check_version(driver: str) -> None:
    """Raise ConfigError where this node has another version of maskdpo than the driver."""
    from importlib.metadata import version

    own = version("maskdpo")
    if own != driver:
        raise ConfigError(
            f"the node {os.uname().nodename} has maskdpo {own}, but the command runs {driver}; "
            "install the same version on all nodes of the cluster"
        )
