"""Tasks under way with a judge model: which sentences have a verdict, and which tasks are
complete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from annotator.calls.usage import Meter
from annotator.judging.judge import Judged, JudgeTask
from schemas.records import Verdict

OnVerdicts = Callable[[JudgeTask, int, Sequence[Verdict]], None]
"""`on_verdicts(task, first, verdicts)`: verdicts on the sentences of a task from number `first`."""


@dataclass(kw_only=True, eq=False, slots=True)
class _Pending:
    """A task, the verdicts so far, and how many sentences still lack one."""

    task: JudgeTask
    verdicts: list[Verdict | None]
    num_owed: int


class TaskBook:
    """Assigns verdicts to the tasks of one run; `meter` counts their labels.

    `on_verdicts` is called with verdicts as they are made, before their task is complete.
    """

    def __init__(self, meter: Meter, on_verdicts: OnVerdicts | None = None) -> None:
        self._meter = meter
        self._on_verdicts = on_verdicts
        self._numbers = count()
        self._pending: dict[int, _Pending] = {}

    def open(self, task: JudgeTask) -> int:
        """The number of a task whose sentences will be judged: names are `NUMBER:SENTENCE`."""
        number = next(self._numbers)
        size = len(task.sentences)
        self._pending[number] = _Pending(task=task, verdicts=[None] * size, num_owed=size)
        return number

    def finish(self, done: Sequence[tuple[str, list[Verdict]]]) -> Judged:
        """The tasks that these verdicts complete."""
        finished: Judged = []
        for name, verdicts in done:
            number, _, first = name.partition(":")
            item = self._pending[int(number)]
            for offset, verdict in enumerate(verdicts):
                item.verdicts[int(first) + offset] = verdict
            self._count(verdicts)
            if self._on_verdicts is not None:
                self._on_verdicts(item.task, int(first), verdicts)
            item.num_owed -= len(verdicts)
            if not item.num_owed:
                del self._pending[int(number)]
                whole = [verdict for verdict in item.verdicts if verdict is not None]
                finished.append((item.task, whole))
        return finished

    def _count(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            self._meter.labels[verdict.label.value] += 1
