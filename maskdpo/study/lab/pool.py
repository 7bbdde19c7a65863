"""The worker processes: started when needed, replaced when they die.

The rule: processes are spawned, never forked: torch's threads and locks do not survive
a fork. A worker that dies takes one task with it, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from types import TracebackType
from typing import Any

from maskdpo.study.lab.kinds import KINDS
from maskdpo.study.lab.results import LOG_NAME, folder_of
from maskdpo.study.lab.task import Task
from maskdpo.study.lab.worker import Request, serve

_END_S = 5.0  # for an idle worker to end by itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A task that ended: `failure` is why it has no result, as one sentence; "" where it has."""

    task: Task
    failure: str = ""


@dataclass
class _Worker:
    process: Any
    requests: connection.Connection
    task: Task | None = None


class Pool:
    """At most `size` worker processes on the tasks of one lab. Use it as a context manager."""

    def __init__(self, lab: Path, size: int) -> None:
        self._lab = lab
        self._size = size
        self._workers: list[_Worker] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """End all workers: idle ones by themselves, those with a task at once."""
        for worker in self._workers:
            worker.requests.close()
            if worker.task is not None:
                worker.process.kill()
        for worker in self._workers:
            worker.process.join(_END_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    @property
    def has_room(self) -> bool:
        """Whether a worker is idle, or may be started."""
        return sum(worker.task is not None for worker in self._workers) < self._size

    @property
    def is_busy(self) -> bool:
        """Whether a task is under way."""
        return any(worker.task is not None for worker in self._workers)

    def give(self, task: Task) -> None:
        """Give a task to an idle worker, which is started if there is none."""
        idle = [worker for worker in self._workers if worker.task is None]
        worker = idle[0] if idle else self._start()
        worker.task = task
        try:
            worker.requests.send(Request(task=task, kinds=KINDS))
        except OSError:
            return  # it died while idle: `wait` finds its end

    def wait(self) -> list[Outcome]:
        """Wait until a task has ended; returns those that have."""
        busy = [worker for worker in self._workers if worker.task is not None]
        connection.wait(
            [item for worker in busy for item in (worker.requests, worker.process.sentinel)]
        )
        outcomes = [self._read(worker) for worker in busy]
        return [outcome for outcome in outcomes if outcome is not None]

    def _start(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._lab), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process=process, requests=ours)
        self._workers.append(worker)
        return worker

    def _read(self, worker: _Worker) -> Outcome | None:
        """The outcome of a worker's task; None while it is under way."""
        assert worker.task is not None
        task = worker.task
        try:
            if worker.requests.poll():
                failure: str = worker.requests.recv()
                worker.task = None
                log = folder_of(self._lab, task) / LOG_NAME
                text = f"{task.name} failed: {failure} (log: {log})" if failure else ""
                return Outcome(task=task, failure=text)
            if worker.process.is_alive():
                return None
        except (EOFError, OSError):
            worker.process.join()
        return self._bury(worker, task)

    def _bury(self, worker: _Worker, task: Task) -> Outcome:
        worker.requests.close()
        worker.process.join()
        self._workers.remove(worker)
        code = worker.process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        log = folder_of(self._lab, task) / LOG_NAME
        return Outcome(
            task=task,
            failure=f"{task.name} was not finished: its worker process {how} (log: {log})",
        )
