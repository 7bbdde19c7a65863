"""Verdicts as the store keeps them, and the key that says when two judgings are the same.

| counts                                  | because                                              |
|-----------------------------------------|------------------------------------------------------|
| text of the response                    | it is what is judged                                 |
| sentence offsets                        | one verdict a sentence; another splitter, other ones |
| title and text of each document, in order | it is what the response is held against            |
| the judge's fingerprint                 | name, version, weights, settings                     |

| does not count                          | because                                              |
|-----------------------------------------|------------------------------------------------------|
| ids of response, question and documents | names; evidence is stored by the document's place    |
| topic, language, model, sampling        | no judge sees them; they act through the rows above  |
| prompt                                  | not read by any judge so far; one that reads it adds |
|                                         | it to its own tasks' key, and says so here           |
| max_failed, timings, file names         | they decide no verdict                               |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from schemas.hashing import content_key
from schemas.records import Verdict

KEY_VERSION = 1


def task_key(task: JudgeTask, judge: Judge) -> str:
    """The content key of judging `task` with `judge` (see the tables above)."""
    return content_key(
        {
            "kind": "verdict",
            "version": KEY_VERSION,
            "text": task.response.text,
            "sentences": [list(offsets) for offsets in task.sentences],
            "documents": [content_key([item.title, item.text]) for item in task.documents],
            "judge": judge.fingerprint(),
        }
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
