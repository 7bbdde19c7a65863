"""Whether a judge's result fits its task."""

from __future__ import annotations

from collections.abc import Sequence

from annotator.judging.judge import JudgeFailure, JudgeTask
from schemas.records import Verdict


def find_verdict_fault(
    task: JudgeTask, outcome: Sequence[Verdict] | JudgeFailure
) -> JudgeFailure | None:
    """Why verdicts cannot be used: the judge's own failure, a wrong number, unknown evidence."""
    if isinstance(outcome, JudgeFailure):
        return outcome
    if len(outcome) != len(task.sentences):
        detail = f"{len(outcome)} verdicts for {len(task.sentences)} sentences"
        return JudgeFailure(reason="verdict_count", detail=detail)
    given = {document.id for document in task.documents}
    for verdict in outcome:
        for item in verdict.evidence:
            if item.document_id not in given:
                detail = (
                    f"evidence names document {item.document_id!r}, which the judge was not given"
                )
                return JudgeFailure(reason="evidence_not_found", detail=detail)
    return None
