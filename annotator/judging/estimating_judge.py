"""A judge model that is not called: its dialogues are followed with assumed replies.

The rule: the assumed replies are those of the protocol (`JudgingProtocol.assume`). They need no
repair and lead to the most calls, so the number of calls is exact for a judge that makes no
mistake, or, where the protocol has an `upper_bound`, the maximum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annotator.calls.dialogue import Ask
from annotator.calls.estimate import Assume, Estimator
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.llm_judge import CALL_KIND, LlmJudge
from annotator.judging.protocols.protocol import JudgingProtocol
from annotator.judging.protocols.protocol_input import ProtocolInput
from annotator.models.backend import Reply
from schemas.labels import Label
from schemas.records import Verdict


class EstimatingJudge:
    """An LLM judge that makes no call: its dialogues go to `estimator`, with assumed replies."""

    def __init__(self, judge: LlmJudge) -> None:
        self._judge = judge
        self.name = judge.name
        self.reads_prompt = judge.reads_prompt
        self.reads_id = judge.reads_id
        self.estimator = Estimator(
            judge.store, kind=CALL_KIND, fingerprint=judge.fingerprint()["backend"]
        )

    def fingerprint(self) -> dict[str, Any]:
        """The fingerprint of the judge."""
        return self._judge.fingerprint()

    def notes(self) -> list[str]:
        """None: nothing is judged."""
        return []

    def closing_notes(self) -> list[str]:
        """None: nothing is judged."""
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Follow every task's dialogues.

        Do not use the verdicts: they come from assumed replies.
        """
        for task in tasks:
            verdicts: list[Verdict] = []
            inputs = self._judge.prepare(task)
            if inputs is not None:
                for first, dialogue in self._judge.dialogues_of(inputs):
                    assume = assume_replies(self._judge.protocol, inputs, first)
                    found = self.estimator.follow(dialogue, assume)
                    verdicts += found or []
            lacking = len(task.sentences) - len(verdicts)
            unknown = Verdict(label=Label.UNDETERMINED, reason="no_document", judge=self.name)
            yield [(task, [*verdicts, *[unknown] * lacking])]


def assume_replies(protocol: JudgingProtocol, inputs: ProtocolInput, first: int) -> Assume:
    """The replies to the dialogue that begins with sentence `first`."""

    def assume(ask: Ask) -> Reply:
        return Reply(text=protocol.assume(inputs, first, ask), finish_reason="stop")

    return assume
