"""The cascade: a second judge, asked only where the first one is unsure.

The rule: the first judge's verdict is kept when it decided and is sure enough; otherwise the
second one's is taken, whatever it is. Where the second judge fails, the sentence is undetermined:
an unsure verdict does not pass for a sure one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from annotator.judging.config import CascadeConfig
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from schemas.labels import Label
from schemas.records import Verdict

_CHUNK = 512  # tasks that are held until the second judge has seen them


class CascadeJudge:
    """Two judges in a row."""

    def __init__(self, config: CascadeConfig, *, first: Judge, second: Judge) -> None:
        self.config = config
        self.first = first
        self.second = second
        self.reads_prompt = first.reads_prompt or second.reads_prompt
        self.reads_id = first.reads_id or second.reads_id
        self.name = f"{first.name}>{second.name}"

    def fingerprint(self) -> dict[str, Any]:
        """Both judges, and when the second is asked."""
        return {
            "judge": "cascade",
            "first": self.first.fingerprint(),
            "second": self.second.fingerprint(),
            "min_confidence": self.config.min_confidence,
        }

    def notes(self) -> list[str]:
        """What both say of themselves."""
        return [*self.first.notes(), *self.second.notes()]

    def closing_notes(self) -> list[str]:
        """What both say at the end."""
        return [*self.first.closing_notes(), *self.second.closing_notes()]

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield tasks that the first judge is sure of, then those the second has seen."""
        source = iter(tasks)
        while chunk := list(islice(source, _CHUNK)):
            yield from self._judge_chunk(chunk)

    def _judge_chunk(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        unsure: dict[int, tuple[JudgeTask, list[Verdict], list[int]]] = {}
        second_tasks: list[JudgeTask] = []
        for batch in self.first.judge(tasks):
            settled: list[tuple[JudgeTask, list[Verdict] | JudgeFailure]] = []
            for task, outcome in batch:
                verdicts = self._known(task, outcome)
                numbers = [n for n, item in enumerate(verdicts) if self._is_unsure(item)]
                if not numbers:
                    settled.append((task, verdicts))
                    continue
                part = JudgeTask(
                    response=task.response,
                    sentences=[task.sentences[n] for n in numbers],
                    documents=task.documents,
                )
                second_tasks.append(part)
                unsure[id(part)] = (task, verdicts, numbers)
            yield settled
        for batch in self.second.judge(second_tasks):
            yield [self._join(*unsure[id(part)], outcome) for part, outcome in batch]

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
        """What the first judge says of each sentence; one that failed says it is unknown."""
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
