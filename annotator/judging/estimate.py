"""What judging will cost: the calls a faultless judge model would still be asked.

The rule: the run's own dialogues are followed, through the store and then with the answers foreseen
here, which need no repair and lead to the most calls. For the protocols `sentence` and `response`
the number of calls is then exact for a judge without fault; for `anah` it is the most.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from annotator.generation.backend import Reply
from annotator.generation.config import Prices
from annotator.generation.dialogue import Ask
from annotator.generation.estimate import Assume, Estimate, Estimator, look_into
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.judges import asks_a_model, make_judge
from annotator.judging.llm_judge import CALL_KIND, LlmJudge
from annotator.judging.material import Material
from annotator.judging.prompts import fill, wrap
from annotator.judging.stored_verdicts import TaskKeys
from annotator.judging.tasks import prepare_tasks
from schemas.files import read_records, read_rows
from schemas.labels import Label
from schemas.records import Document, Response, Verdict

_REASON = "The documents say so, and nothing in them speaks against it."
_QUOTE_CHARS = 120


def estimate_annotate(
    config: AnnotateConfig,
    *,
    responses: Path,
    documents: Path | None,
    store: Path,
    retry_failed: bool = False,
) -> Estimate:
    """What `run_annotate` would still ask; asks nothing and writes nothing.

    Raises InputError where a file cannot be read, ConfigError where the judge cannot be made.
    """
    rows = read_rows(responses, Response)
    known_documents = read_records(documents, Document) if documents is not None else []
    prepared = prepare_tasks(rows, known_documents, config=config, responses=responses)
    if not asks_a_model(config) or config.llm is None:
        return Estimate(notes=[f"the judge {config.judge!r} asks no model"])
    estimators: list[Estimator] = []
    with look_into(store, retry_failed=retry_failed) as calls:
        judge = make_judge(config, store=calls, estimators=estimators)
        task_keys = TaskKeys(judge)
        owed = {task_keys.key(task): task for task in prepared.tasks}
        judged = calls.present(owed)
        for _ in judge.judge([task for key, task in owed.items() if key not in judged]):
            pass
        (estimator,) = estimators
    at_most = config.llm.protocol == "anah"
    notes = [
        f"{len(judged):,} of {len(owed):,} responses are judged already; each unusable reply costs "
        "one or two calls more than this"
    ]
    if at_most:
        notes.append("protocol 'anah': up to three calls a sentence, fewer where there is no fact")
    return Estimate(
        prices=config.llm.prices if config.llm else Prices(),
        num_calls=estimator.num_calls,
        num_stored=estimator.num_stored,
        tokens=estimator.tokens,
        notes=notes,
        at_most=at_most,
    )


class ForeseenJudge:
    """An LLM judge that asks nothing: its dialogues go to `estimator`, with foreseen answers."""

    def __init__(self, judge: LlmJudge) -> None:
        self._judge = judge
        self.name = judge.name
        self.reads_prompt = judge.reads_prompt
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
    quote = _some_words(material)

    def assume(ask: Ask) -> Reply:
        schema = ask.decoding.schema
        if schema is None:
            text = _next_tag(material, first, ask, quote)
        elif "verdicts" in schema["properties"]:
            ids = schema["properties"]["verdicts"]["items"]["properties"]["id"]["enum"]
            verdicts = [
                {"id": number, "begins": material.sentence(number - 1)[:24], **_verdict(quote)}
                for number in ids
            ]
            text = json.dumps({"verdicts": verdicts}, ensure_ascii=False)
        else:
            text = json.dumps(_verdict(quote), ensure_ascii=False)
        return Reply(text=text, finish_reason="stop")

    return assume


def _verdict(quote: str) -> dict[str, Any]:
    # A label that stands whether or not the quote is located.
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


def _some_words(material: Material) -> str:
    """The beginning of the longest line shown: words that a document holds."""
    lines = (line.strip() for text in material.texts for line in text.splitlines())
    return max(lines, key=len)[:_QUOTE_CHARS].strip()
