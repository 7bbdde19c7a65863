"""What `maskdpo.annotate` returns: a response, its sentences, and the evidence of each verdict.

The rule: nothing is copied that could disagree with the record. `record` is the annotation as every
file holds it; the text of a sentence or of evidence is cut out of the untouched text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.error_spans import given_places
from schemas.labels import Label
from schemas.records import Annotation, Document, Evidence, Sentence
from schemas.scores import ResponseScore, score_labels
from schemas.text.terminal import one_line

_MAX_SHOWN = 60  # characters of a text in `repr`


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceQuote:
    """A place in a document that supports a verdict.

    start, end   offsets in the document's text, in Unicode code points
    score        how well it matches the sentence, from 0 to 1, where the judge gives that
    text         the words there; None where the document is not known
    """

    document_id: str
    start: int
    end: int
    score: float | None
    text: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongWords:
    """Words of a sentence that judge or person marked as wrong.

    start, end   offsets in the response's text, in Unicode code points
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedSentence:
    """A sentence of a response with its verdict.

    start, end        offsets in the response's text, in Unicode code points
    label             a `Label`, which is also its name as text
    reason            why there is no verdict; None where there is one
    confidence        from 0 to 1, where the judge gives one; `confidence_kind` says what it is
    evidence          the places in the documents that support the verdict, best first
    wrong_words       what is wrong in it, where that was marked: cut at the sentence's ends, in
                      order; empty in a hallucinated sentence that is wrong as a whole
    rationale         the judge's reason in words; may be empty
    source            who decided: a judge or a person
    """

    start: int
    end: int
    text: str
    label: Label
    reason: str | None
    confidence: float | None
    confidence_kind: Literal["votes", "logprob", "lexical"] | None
    evidence: tuple[EvidenceQuote, ...]
    wrong_words: tuple[WrongWords, ...]
    rationale: str
    source: Literal["judge", "person"]

    def __str__(self) -> str:
        return f"{self.label}: {one_line(self.text, 10 * _MAX_SHOWN)}"


@dataclass(frozen=True, kw_only=True, repr=False)
class JudgedResponse:
    """A response whose sentences were judged.

    record      the annotation, as a line of annotations.jsonl holds it
    sentences   in the order of the text
    """

    record: Annotation
    sentences: tuple[JudgedSentence, ...]

    @classmethod
    def of(cls, record: Annotation, documents: Mapping[str, Document]) -> JudgedResponse:
        """The result that shows `record`; evidence has its text where its document is given."""
        sentences = tuple(sentence_of(record.text, item, documents) for item in record.sentences)
        return cls(record=record, sentences=sentences)

    @property
    def id(self) -> str:
        """The id of the response."""
        return self.record.id

    @property
    def text(self) -> str:
        """The response, untouched."""
        return self.record.text

    @property
    def counts(self) -> ResponseScore:
        """How many sentences are correct, hallucinated, without fact and undetermined."""
        return score_labels(sentence.label for sentence in self.sentences)

    @property
    def score(self) -> float | None:
        """Correct / (correct + hallucinated) sentences; None where none was decided."""
        return self.counts.score

    def __str__(self) -> str:
        from maskdpo.api.shown import text_of_response

        return text_of_response(self)

    def _repr_html_(self) -> str:
        from maskdpo.api.shown import html_of_response

        return html_of_response(self)

    def __repr__(self) -> str:
        shown = "None" if self.score is None else f"{self.score:.2f}"
        text = one_line(self.text, _MAX_SHOWN)
        return (
            f"JudgedResponse(id={self.id!r}, sentences={len(self.sentences)}, score={shown}, "
            f"text={text!r})"
        )


def sentence_of(text: str, item: Sentence, known: Mapping[str, Document]) -> JudgedSentence:
    """A sentence of `text`; evidence has its text where its document is known."""
    verdict = item.verdict
    return JudgedSentence(
        start=item.start,
        end=item.end,
        text=text[item.start : item.end],
        label=verdict.label,
        reason=verdict.reason,
        confidence=verdict.confidence,
        confidence_kind=verdict.confidence_kind,
        evidence=tuple(_quote(place, known) for place in verdict.evidence),
        wrong_words=tuple(
            WrongWords(start=start, end=end, text=text[start:end])
            for start, end in given_places(item)
        ),
        rationale=verdict.rationale,
        source=verdict.source,
    )


def _quote(place: Evidence, known: Mapping[str, Document]) -> EvidenceQuote:
    document = known.get(place.document_id)
    is_there = document is not None and place.end <= len(document.text)
    return EvidenceQuote(
        document_id=place.document_id,
        start=place.start,
        end=place.end,
        score=place.score,
        text=document.text[place.start : place.end] if document and is_there else None,
    )
