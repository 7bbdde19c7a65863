"""Where judge and people differ, the most confident verdicts first: the sentences to read.

A confident disagreement is a fault of the judge, of its documents, or of the label; published
re-annotation finds about one label in six of such sets arguable (arXiv 2506.13342).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from annotator.agreement.gold_verdicts import JudgedSentence
from schemas.labels import Label
from schemas.records import Document, Evidence, Record


class QuotedEvidence(Record):
    """A place in a document with its text; None where the document or the place does not exist."""

    document_id: str
    start: int
    end: int
    text: str | None


class Disagreement(Record):
    """A sentence that judge and people decided differently; offsets are into the response."""

    response_id: str
    start: int
    end: int
    text: str
    people_label: Label
    judge_label: Label
    judge: str
    confidence: float | None
    rationale: str
    evidence: list[QuotedEvidence]
    source: str
    language: str
    group: str


def list_disagreements(
    sentences: Sequence[JudgedSentence], documents: Mapping[str, Document], *, judge: str
) -> list[Disagreement]:
    """All of them, by confidence from high to low, those without one last; then by id and place."""
    found = [
        Disagreement(
            response_id=item.gold.id,
            start=item.sentence.start,
            end=item.sentence.end,
            text=item.text,
            people_label=item.sentence.verdict.label,
            judge_label=item.verdict.label,
            judge=judge,
            confidence=item.verdict.confidence,
            rationale=item.verdict.rationale,
            evidence=[_quote(evidence, documents) for evidence in item.verdict.evidence],
            source=item.source,
            language=item.language,
            group=item.group[1],
        )
        for item in sentences
        if item.is_right is False
    ]
    return sorted(found, key=_order)


def _order(item: Disagreement) -> tuple[float, str, int]:
    confidence = -1.0 if item.confidence is None else item.confidence
    return -confidence, item.response_id, item.start


def _quote(evidence: Evidence, documents: Mapping[str, Document]) -> QuotedEvidence:
    """Evidence of an earlier run may name a document that is missing, or that has another text
    now."""
    document = documents.get(evidence.document_id)
    text = document.text[evidence.start : evidence.end] if document else ""
    return QuotedEvidence(
        document_id=evidence.document_id,
        start=evidence.start,
        end=evidence.end,
        text=text or None,
    )
