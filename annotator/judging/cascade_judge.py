"""The cascade: a second judge, used only where the first one is unsure.

The rule: the first judge's verdict is kept when it decided and is sure enough; otherwise the second
one's is used, whatever it is. Where the second judge fails, the sentence is undetermined: an unsure
verdict is not used in its place.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from annotator.calls.running.source import Items, in_batches
from annotator.judging.config import CascadeConfig
from annotator.judging.judge import Judge, Judged, JudgeFailure, JudgeTask
from annotator.judging.stream_judge import JudgeProcesses, stream_judge
from schemas.labels import Label
from schemas.records import Verdict

_CHUNK = 512  # tasks that are kept until the second judge has finished them


class _Unsure:
    """Tasks for the second judge: the unsure sentences of each, and the task they belong to."""

    def __init__(self) -> None:
        self.tasks: list[JudgeTask] = []
        self.whole: dict[int, tuple[JudgeTask, list[Verdict], list[int]]] = {}

    def add(self, task: JudgeTask, verdicts: list[Verdict], numbers: list[int]) -> None:
        """`numbers` are the unsure sentences of `task`."""
        part = JudgeTask(
            response=task.response,
            sentences=[task.sentences[n] for n in numbers],
            documents=task.documents,
        )
        self.tasks.append(part)
        self.whole[id(part)] = (task, verdicts, numbers)


class CascadeJudge:
    """Two judges in a row.

    `processes` may be set to worker processes for one that computes; else it runs in a thread.
    """

    processes: JudgeProcesses | None = None

    def __init__(self, config: CascadeConfig, *, first: Judge, second: Judge) -> None:
        self.config = config
        self.first = first
        self.second = second
        self.reads_prompt = first.reads_prompt or second.reads_prompt
        self.reads_id = first.reads_id or second.reads_id
        self.name = f"{first.name}>{second.name}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "processes": None}  # processes belong to the one that made them

    def fingerprint(self) -> dict[str, Any]:
        """Both judges, and when the second is used."""
        return {
            "judge": "cascade",
            "first": self.first.fingerprint(),
            "second": self.second.fingerprint(),
            "min_confidence": self.config.min_confidence,
        }

    def notes(self) -> list[str]:
        """The notes of both."""
        return [*self.first.notes(), *self.second.notes()]

    def closing_notes(self) -> list[str]:
        """The final notes of both."""
        return [*self.first.closing_notes(), *self.second.closing_notes()]

    def judge(self, tasks: Sequence[JudgeTask]) -> Iterator[Judged]:
        """Yield tasks that the first judge is sure of, then those that the second has judged."""
        source = iter(tasks)
        while chunk := list(islice(source, _CHUNK)):
            unsure = _Unsure()
            for batch in self.first.judge(chunk):
                yield self._settle(batch, unsure)
            for batch in self.second.judge(unsure.tasks):
                yield self._join_all(batch, unsure)

    async def judge_stream(self, tasks: Items[JudgeTask]) -> AsyncGenerator[Judged, None]:
        """`judge` in the caller's event loop."""
        async with aclosing(in_batches(tasks, _CHUNK)) as chunks:
            async for chunk in chunks:
                unsure = _Unsure()
                async with aclosing(stream_judge(self.first, chunk, self.processes)) as batches:
                    async for batch in batches:
                        yield self._settle(batch, unsure)
                second = stream_judge(self.second, unsure.tasks, self.processes)
                async with aclosing(second) as batches:
                    async for batch in batches:
                        yield self._join_all(batch, unsure)

    def _settle(self, batch: Judged, unsure: _Unsure) -> Judged:
        """The tasks of a batch that the first judge is sure of; the rest go to `unsure`."""
        settled: Judged = []
        for task, outcome in batch:
            verdicts = self._known(task, outcome)
            numbers = [n for n, item in enumerate(verdicts) if self._is_unsure(item)]
            if numbers:
                unsure.add(task, verdicts, numbers)
            else:
                settled.append((task, verdicts))
        return settled

    def _join_all(self, batch: Judged, unsure: _Unsure) -> Judged:
        return [self._join(*unsure.whole[id(part)], outcome) for part, outcome in batch]

    def _is_unsure(self, verdict: Verdict) -> bool:
        if verdict.label is Label.UNDETERMINED:
            return True
        return verdict.confidence is not None and verdict.confidence < self.config.min_confidence

    def _join(
        self,
        task: JudgeTask,
        first: list[Verdict],
        numbers: Sequence[int],
        second: list[Verdict] | JudgeFailure,
    ) -> tuple[JudgeTask, list[Verdict] | JudgeFailure]:
        verdicts = list(first)
        for place, number in enumerate(numbers):
            verdicts[number] = (
                self._unknown(second, self.second)
                if isinstance(second, JudgeFailure)
                else second[place]
            )
        return task, verdicts

    def _known(self, task: JudgeTask, outcome: list[Verdict] | JudgeFailure) -> list[Verdict]:
        """The first judge's verdict on each sentence; undetermined where it failed."""
        if isinstance(outcome, JudgeFailure):
            return [self._unknown(outcome, self.first)] * len(task.sentences)
        return outcome

    @staticmethod
    def _unknown(failure: JudgeFailure, judge: Judge) -> Verdict:
        return Verdict(
            label=Label.UNDETERMINED,
            reason=failure.reason,
            rationale=failure.detail,
            judge=judge.name,
        )
