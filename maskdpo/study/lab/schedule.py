"""Which tasks are missing, and which of them is next: plain data, no processes.

The rule: a task is ready when all its inputs have results. Of the ready ones, that with the longest
chain of work behind it comes first, then in the order given. A finished task needs no inputs: those
that only finished tasks need are not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from maskdpo.study.lab.kinds import find_kind
from maskdpo.study.lab.task import Result, Task


def expected_seconds(task: Task) -> float:
    """Expected time of a task on one core, from its kind's figures."""
    kind = find_kind(task.kind)
    units = 1 if kind.per is None else task.settings[kind.per]
    return kind.seconds * float(units)


def find_missing(
    tasks: Sequence[Task], read: Callable[[Task], Result | None]
) -> tuple[list[Task], dict[Task, Result]]:
    """The tasks to do, inputs before what needs them, and all results that exist.

    read    the result of a task; None where it is not finished
    """
    missing: dict[Task, None] = {}
    everything = dict.fromkeys(item for task in tasks for item in task.walk())
    found = {task: result for task in everything if (result := read(task)) is not None}

    def visit(task: Task) -> None:
        if task in missing or task in found:
            return
        for needed in task.inputs.values():
            visit(needed)
        missing[task] = None

    for task in tasks:
        visit(task)
    return list(missing), found


@dataclass
class Schedule:
    """Tasks that are missing, in an order in which inputs come first; and the results so far.

    `failed` has the tasks that failed; `skipped` those that need a failed one.
    """

    missing: Sequence[Task]
    results: dict[Task, Result]
    failed: dict[Task, str] = field(default_factory=dict)
    skipped: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._open = dict.fromkeys(self.missing)
        self._started: set[Task] = set()
        self._chains = _chains(self.missing)
        for task, result in list(self.results.items()):  # of an earlier run
            if result.impossible:
                self._give_up(task, result)

    @property
    def num_open(self) -> int:
        """Tasks without an outcome, those under way included."""
        return len(self._open)

    def take(self) -> Task | None:
        """The next task that is ready, which is now under way; None where none is."""
        ready = [
            task
            for task in self._open
            if task not in self._started
            and all(needed in self.results for needed in task.inputs.values())
        ]
        if not ready:
            return None
        task = max(ready, key=self._chains.__getitem__)  # the first of equal ones
        self._started.add(task)
        return task

    def end(self, task: Task, result: Result) -> list[Task]:
        """Record a result; returns the tasks that got an outcome.

        More than one where the task is impossible: then all that need it are.
        """
        self.results[task] = result
        del self._open[task]
        return [task, *(self._give_up(task, result) if result.impossible else ())]

    def _give_up(self, task: Task, result: Result) -> list[Task]:
        """Make all tasks impossible that need an impossible one; returns them."""
        ended: list[Task] = []
        for other in self._needing(task):
            if other in self._open:
                ended += self.end(other, _impossible_too(other, result))
        return ended

    def fail(self, task: Task, reason: str) -> list[Task]:
        """Record a failure; returns the task and those that are skipped because of it."""
        self.failed[task] = reason
        del self._open[task]
        skipped: list[Task] = []
        for other in self._needing(task):
            if other in self._open:
                skipped += self._skip(other)
        self.skipped += skipped
        return [task, *skipped]

    def _skip(self, task: Task) -> list[Task]:
        del self._open[task]
        found = [task]
        for other in self._needing(task):
            if other in self._open:
                found += self._skip(other)
        return found

    def _needing(self, task: Task) -> list[Task]:
        return [other for other in self._open if task in other.inputs.values()]


def _impossible_too(task: Task, cause: Result) -> Result:
    """The result of a task that needs an impossible one; it has no folder of its own on disk."""
    folder = cause.folder.with_name(task.name)
    return Result(folder=folder, values={}, impossible=cause.impossible)


def _chains(tasks: Sequence[Task]) -> Mapping[Task, float]:
    """Per task, the expected seconds of the longest chain of tasks that begins with it."""
    behind = dict.fromkeys(tasks, 0.0)
    chains: dict[Task, float] = {}
    for task in reversed(tasks):  # what needs a task comes after it
        chains[task] = expected_seconds(task) + behind[task]
        for needed in task.inputs.values():
            if needed in behind:
                behind[needed] = max(behind[needed], chains[task])
    return chains
