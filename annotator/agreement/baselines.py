"""The plain-overlap baseline: one number and one threshold, without the lexical judge's checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical.index import Corpus, index_document
from annotator.judging.lexical.overlap import compare, content_tokens
from annotator.judging.lexical.text import blank_citations, read_tokens
from schemas.labels import Label
from schemas.records import Verdict

OVERLAP_THRESHOLD = 0.58


class OverlapJudge:
    """Calls a sentence unsupported when its best passages cover too little of it.

    The measure is idf-weighted coverage by the five best passages; the threshold has the best mean
    balanced accuracy over seven files of human labels (benchmarks/lexical_threshold.py).
    """

    name = "overlap"
    reads_prompt = False
    reads_id = False

    def fingerprint(self) -> dict[str, Any]:
        """The threshold."""
        return {"judge": self.name, "threshold": OVERLAP_THRESHOLD}

    def notes(self) -> list[str]:
        """One note: it is for comparison only."""
        return [
            "The overlap judge compares one number with one threshold; it is for comparison only."
        ]

    def closing_notes(self) -> list[str]:
        """Does nothing: nothing is open."""
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield one task at a time."""
        for task in tasks:
            yield [(task, self._judge_response(task))]

    def _judge_response(self, task: JudgeTask) -> list[Verdict]:
        documents = [item for item in task.documents if item.text.strip()]
        if not documents:
            missing = Verdict(
                label=Label.UNDETERMINED, reason="no_document", judge=self.name, source="judge"
            )
            return [missing] * len(task.sentences)
        corpus = Corpus([index_document(document) for document in documents])
        text = blank_citations(task.response.text)
        labels = [_label(text[start:end], corpus) for start, end in task.sentences]
        return [Verdict(label=label, judge=self.name) for label in labels]


def _label(sentence: str, corpus: Corpus) -> Label:
    if not content_tokens(read_tokens(sentence)):
        return Label.NO_FACT
    supported = compare(sentence, corpus).share >= OVERLAP_THRESHOLD
    return Label.NO_HALLUCINATION if supported else Label.UNVERIFIABLE
