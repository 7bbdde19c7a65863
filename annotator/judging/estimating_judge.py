"""A judge model that is not asked: its dialogues are followed with the answers foreseen here.

The rule: the answers need no repair and lead to the most calls. For the protocols `sentence` and
`response` the number of calls is then exact for a judge without fault; for `anah` it is the most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from annotator.calls.dialogue import Ask
from annotator.calls.estimate import Assume, Estimator
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.llm_judge import CALL_KIND, LlmJudge
from annotator.judging.protocols.prompts import fill, wrap
from annotator.judging.protocols.protocol_input import Material
from annotator.models.backend import Reply
from schemas.labels import Label
from schemas.records import Verdict

_REASON = "The documents say so, and nothing in them speaks against it."


class ForeseenJudge:
    """An LLM judge that asks nothing: its dialogues go to `estimator`, with foreseen answers."""

    def __init__(self, judge: LlmJudge) -> None:
        self._judge = judge
        self.name = judge.name
        self.reads_prompt = judge.reads_prompt
        self.reads_id = judge.reads_id
        self.estimator = Estimator(
            judge.store, kind=CALL_KIND, fingerprint=judge.fingerprint()["backend"]
        )

    def fingerprint(self) -> dict[str, Any]:
        """The judge's own."""
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
        """Follow every task's dialogues; the verdicts are foreseen ones, and worth nothing."""
        for task in tasks:
            material = self._judge.prepare(task)
            verdicts: list[Verdict] = []
            for first, dialogue in self._judge.dialogues_of(material) if material else ():
                assert material is not None
                found = self.estimator.follow(dialogue, foresee(material, first))
                verdicts += found or []
            lacking = len(task.sentences) - len(verdicts)
            unknown = Verdict(label=Label.UNDETERMINED, reason="no_document", judge=self.name)
            yield [(task, [*verdicts, *[unknown] * lacking])]


def foresee(material: Material, first: int) -> Assume:
    """The answers to the dialogue that begins with sentence `first`: nothing to mend, all asked."""
    quote = material.sample_quote

    def assume(ask: Ask) -> Reply:
        schema = ask.decoding.schema
        if schema is None:
            text = _next_tag(material, first, ask, quote)
        elif "verdicts" in schema["properties"]:
            ids = schema["properties"]["verdicts"]["items"]["properties"]["id"]["enum"]
            verdicts = [
                {"id": number, "begins": material.sentence(number - 1)[:48], **_verdict(quote)}
                for number in ids
            ]
            text = json.dumps({"verdicts": verdicts}, ensure_ascii=False)
        else:
            text = json.dumps(_verdict(quote), ensure_ascii=False)
        return Reply(text=text, finish_reason="stop")

    return assume


def _verdict(quote: str) -> dict[str, Any]:
    # A label that needs no quote, so that no repair is asked for want of one.
    return {"quotes": [quote], "reason": _REASON, "label": "not_mentioned"}


def _next_tag(material: Material, first: int, ask: Ask, quote: str) -> str:
    """The answer to the last of the three questions that was put."""
    prompts = material.prompts
    content = {"sentence": wrap("sentence", material.sentence(first))}
    asked = {message.content for message in ask.messages if message.role == "user"}
    if fill(prompts.anah_verdict, content) in asked:
        return "<Unverifiable>"
    if fill(prompts.anah_points, content) in asked:
        return f"<Reference>{quote}</Reference>"
    return "<Fact>"
