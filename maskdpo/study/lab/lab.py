"""`Lab.run`: do the tasks that are missing, in worker processes, and return all results.

    FOLDER/
        KIND-KEY/    a task: task.json, result.json (written last), log.txt and the kind's own files
        workers.log  what workers print outside of tasks
        lab.lock     held while a program runs tasks here

The rule: what is finished is never done again, and a kill loses only what was in progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotator.scale.piece_lock import only_writer
from maskdpo.study.lab.pool import Pool
from maskdpo.study.lab.results import read_result
from maskdpo.study.lab.schedule import Schedule, expected_seconds, find_missing
from maskdpo.study.lab.task import Result, Task
from schemas.errors import BackendError
from schemas.events import Advanced, Ended, Noted, OnEvent, Started, ignore

STAGE = "study"
_MOST_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A folder of tasks, and the processes that work on them.

    workers    processes at once, each with one thread
    """

    folder: Path
    workers: int = 2
    on_event: OnEvent = ignore

    def run(self, tasks: Sequence[Task]) -> dict[Task, Result]:
        """The results of `tasks`, and of what they depend on as far as these exist.

        Impossible tasks have a result that says why. Raises BackendError where a task failed, after
        the others are done, and where another program runs in this folder.
        """
        with only_writer(self.folder / "lab", wait_s=0.0):
            missing, found = find_missing(tasks, lambda task: read_result(self.folder, task))
            schedule = Schedule(missing=missing, results=found)
            if missing:
                self._work(schedule)
        if schedule.failed:
            raise BackendError(_describe_failures(schedule))
        return schedule.results

    def _work(self, schedule: Schedule) -> None:
        self.on_event(Noted(text=_announce(schedule, self.workers)))
        self.on_event(Started(stage=STAGE, total=schedule.num_open, unit="task"))
        try:
            with Pool(self.folder, self.workers) as pool:
                while schedule.num_open:
                    while pool.has_room and (task := schedule.take()) is not None:
                        pool.give(task)
                    for outcome in pool.wait():
                        ended = self._record(schedule, outcome.task, outcome.failure)
                        self.on_event(Advanced(stage=STAGE, count=len(ended)))
        finally:
            self.on_event(Ended(stage=STAGE))

    def _record(self, schedule: Schedule, task: Task, failure: str) -> list[Task]:
        """The tasks that have an outcome now; a failure or an impossible task is reported."""
        if failure:
            self.on_event(Noted(text=failure))
            return schedule.fail(task, failure)
        result = read_result(self.folder, task)
        assert result is not None  # the worker wrote it
        if result.impossible:
            self.on_event(Noted(text=f"{task.name} is impossible: {result.impossible}"))
        return schedule.end(task, result)


def _announce(schedule: Schedule, workers: int) -> str:
    """What there is to do, and an estimate of its time."""
    hours = sum(expected_seconds(task) for task in schedule.missing) / 3600
    return (
        f"{len(schedule.missing):,} tasks to do, about {hours:.2g} core-hours, {workers} at a time"
    )


def _describe_failures(schedule: Schedule) -> str:
    shown = list(schedule.failed.values())
    lines = shown[:_MOST_SHOWN]
    if len(shown) > _MOST_SHOWN:
        lines.append(f"... and {len(shown) - _MOST_SHOWN} more")
    skipped = f", {len(schedule.skipped)} that need them were skipped" if schedule.skipped else ""
    return "\n".join(
        [
            f"tasks failed: {len(schedule.failed)}{skipped}; the others are done. "
            "Run the same command to continue",
            *lines,
        ]
    )
