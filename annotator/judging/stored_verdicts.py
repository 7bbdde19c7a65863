"""Verdicts as the store keeps them, and the key that says when two judgings are the same.

| counts                                  | because                                              |
|-----------------------------------------|------------------------------------------------------|
| text of the response                    | it is what is judged                                 |
| sentence offsets                        | one verdict a sentence; another splitter, other ones |
| title and text of each document, in order | it is what the response is held against            |
| the judge's fingerprint                 | name, version, weights, settings                     |
| the question and the row's language     | only for a judge that reads them (`reads_prompt`)    |

| does not count                          | because                                              |
|-----------------------------------------|------------------------------------------------------|
| ids of response, question and documents | names; evidence is stored by the document's place    |
| topic, model, sampling                  | no judge sees them; they act through the rows above  |
| system message, earlier turns           | no judge sees them                                   |
| max_failed, timings, file names         | they decide no verdict                               |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Document, Verdict

KEY_VERSION = 1


# Undetermined for what the task is, not for what went wrong: asking again would not help.
SETTLED_REASONS = frozenset(
    {"no_document", "unfinished_sentence", "not_labelled", "no_matching_span"}
)


class TaskKeys:
    """The content keys of judging tasks with one judge (see the tables above)."""

    def __init__(self, judge: Judge) -> None:
        self.fingerprint = judge.fingerprint()
        self._reads_prompt = judge.reads_prompt
        self._digests: dict[int, tuple[Document, str]] = {}

    def key(self, task: JudgeTask) -> str:
        """The key of one task."""
        value: dict[str, Any] = {
            "kind": "verdict",
            "version": KEY_VERSION,
            "text": task.response.text,
            "sentences": [list(offsets) for offsets in task.sentences],
            "documents": [self._digest(item) for item in task.documents],
            "judge": self.fingerprint,
        }
        if self._reads_prompt:
            value["question"] = task.response.prompt[-1].content
            value["language"] = task.response.language
        return content_key(value)

    def _digest(self, document: Document) -> str:
        """A document's digest, made once: responses to one question share their documents."""
        if id(document) not in self._digests:
            # Kept beside its digest, so that no other document gets its place in memory.
            self._digests[id(document)] = document, content_key([document.title, document.text])
        return self._digests[id(document)][1]


def may_be_retried(value: Mapping[str, Any]) -> bool:
    """Whether packed verdicts lack one for a fault that asking again may mend."""
    return any(
        item["label"] == Label.UNDETERMINED and item.get("reason") not in SETTLED_REASONS
        for item in value["verdicts"]
    )


def pack_verdicts(
    task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure
) -> dict[str, Any] | JudgeFailure:
    """Verdicts as a JSON object for the store, or why they cannot be kept."""
    if isinstance(outcome, JudgeFailure):
        return outcome
    if len(outcome) != len(task.sentences):
        detail = f"{len(outcome)} verdicts for {len(task.sentences)} sentences"
        return JudgeFailure(reason="verdict_count", detail=detail)
    places = {document.id: place for place, document in enumerate(task.documents)}
    packed = []
    for verdict in outcome:
        value = verdict.model_dump(mode="json", exclude_defaults=True)
        for evidence in value.get("evidence", []):
            document_id = evidence.pop("document_id")
            if document_id not in places:
                detail = f"evidence names document {document_id!r}, which the judge was not given"
                return JudgeFailure(reason="evidence_not_found", detail=detail)
            evidence["document"] = places[document_id]
        packed.append(value)
    return {"verdicts": packed}


def unpack_verdicts(task: JudgeTask, value: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts again, with the ids of this task's documents."""
    return [
        Verdict.model_validate(_with_ids(task, item), strict=False) for item in value["verdicts"]
    ]


def _with_ids(task: JudgeTask, stored: Mapping[str, Any]) -> dict[str, Any]:
    evidence = [
        {key: item[key] for key in item if key != "document"}
        | {"document_id": task.documents[item["document"]].id}
        for item in stored.get("evidence", [])
    ]
    return {**stored, "evidence": evidence}
