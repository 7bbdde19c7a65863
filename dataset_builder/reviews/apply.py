"""A person's verdict beats the judge's: corrections laid over an annotation, with provenance.

The rule: a correction speaks for the stretch [start, end) of the text it was made on, and for
nothing else. Inside, its spans are the sentences; text it leaves out is `not_labelled`. A sentence
that it cuts keeps the part outside as `corrected_in_part`: what was said of the whole need not
hold of the rest. Later corrections beat earlier ones, and a correction whose text is no longer the
response's is refused.

Worked example, a judge's sentences [0, 10) and [11, 20) under a correction of [5, 20):

    spans [5, 10), [11, 20)  ->  [0, 5) undetermined, [5, 10) and [11, 20) the person's
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Annotation, Correction, Failure, Sentence, Verdict
from schemas.spans import Offsets, check_order, gaps, trim

CUT = "corrected_in_part"
NOT_LABELLED = "not_labelled"
CANNOT_TELL = "person_cannot_tell"
PERSON = "person"  # who it was stands in the provenance, not among the judges' names


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """Who corrected a sentence and when (as they wrote it), and what stood there before.

    sentences   as they were, those that the correction overlapped
    """

    who: str
    when: str
    sentences: Sequence[Sentence]


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrected:
    """An annotation after its corrections.

    replaced      by the offsets of each corrected sentence
    refused       the corrections that could not be applied
    """

    annotation: Annotation
    replaced: Mapping[Offsets, Replaced] = field(default_factory=dict)
    num_applied: int = 0
    refused: Sequence[Failure] = ()


def apply_corrections(annotation: Annotation, corrections: Iterable[Correction]) -> Corrected:
    """`annotation` with its `corrections` applied, oldest first, whatever their order."""
    sentences = list(annotation.sentences)
    replaced: dict[Offsets, Replaced] = {}
    refused: list[Failure] = []
    num_applied = 0
    for correction in sorted(corrections, key=_age):
        fault = find_fault(correction, annotation.text)
        if fault is not None:
            refused.append(refusal(correction, *fault))
            continue
        before = [item for item in sentences if _overlap(item, correction)]
        cut = [part for item in before for part in _outside(item, correction, annotation.text)]
        fresh = [*cut, *_sentences_of(correction, annotation.text)]
        kept = [item for item in sentences if not _overlap(item, correction)]
        sentences = sorted([*kept, *fresh], key=lambda item: item.start)
        source = Replaced(who=correction.who, when=correction.when, sentences=before)
        replaced |= {(item.start, item.end): source for item in fresh}
        num_applied += 1
    if not num_applied:
        return Corrected(annotation=annotation, refused=refused)
    places = {(item.start, item.end) for item in sentences}
    return Corrected(
        annotation=Annotation(**{**dict(annotation), "sentences": sentences}),
        replaced={place: source for place, source in replaced.items() if place in places},
        num_applied=num_applied,
        refused=refused,
    )


def find_fault(correction: Correction, text: str) -> tuple[str, str] | None:
    """(reason, sentence) when `correction` cannot be applied to a response of this text."""
    if hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != correction.text_sha256:
        return "text_changed", "the response's text is no longer the one that was corrected"
    if parse_time(correction.when) is None:
        return "bad_time", f"'when' is {correction.when!r}, but it must look like 2026-01-31T12:00Z"
    try:
        check_order(text, [(correction.start, correction.end)])
        check_order(text, [(span.start, span.end) for span in correction.spans])
    except ValueError as error:
        return "bad_spans", str(error)
    for span in correction.spans:
        if span.start < correction.start or span.end > correction.end:
            return "bad_spans", (
                f"span [{span.start}, {span.end}) lies outside the corrected stretch "
                f"[{correction.start}, {correction.end})"
            )
        if not text[span.start : span.end].strip():
            return "bad_spans", f"span [{span.start}, {span.end}) is only white space"
    return None


def refusal(correction: Correction, reason: str, sentence: str) -> Failure:
    """The failed row of a correction that was not applied."""
    place = f"[{correction.start}, {correction.end})"
    return Failure(
        id=correction.response_id,
        stage="correct",
        reason=reason,
        detail=f"correction of {place} from {correction.when!r}: {sentence}",
    )


def parse_time(when: str) -> datetime | None:
    """An ISO 8601 time; without a zone it is read as UTC. None when it is no time."""
    try:
        parsed = datetime.fromisoformat(when)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _age(correction: Correction) -> tuple[datetime, str]:
    """Sort key: time, then content, so that the order of a file decides nothing."""
    when = parse_time(correction.when) or datetime.min.replace(tzinfo=UTC)
    return when, content_key(correction.model_dump(mode="json"))


def _overlap(sentence: Sentence, correction: Correction) -> bool:
    return sentence.start < correction.end and correction.start < sentence.end


def _sentences_of(correction: Correction, text: str) -> list[Sentence]:
    """The person's spans, and `not_labelled` for what they left out of the stretch."""
    found = [
        Sentence(start=span.start, end=span.end, verdict=_verdict(span.label))
        for span in correction.spans
    ]
    inside = [
        (span.start - correction.start, span.end - correction.start) for span in correction.spans
    ]
    for start, end in gaps(correction.end - correction.start, inside):
        place = trim(text, correction.start + start, correction.start + end)
        if place is not None:
            verdict = Verdict(
                label=Label.UNDETERMINED, reason=NOT_LABELLED, source="person", judge=PERSON
            )
            found.append(Sentence(start=place[0], end=place[1], verdict=verdict))
    return found


def _verdict(label: Label) -> Verdict:
    reason = CANNOT_TELL if label is Label.UNDETERMINED else None
    return Verdict(label=label, reason=reason, source="person", judge=PERSON)


def _outside(sentence: Sentence, correction: Correction, text: str) -> list[Sentence]:
    """What a correction leaves of a sentence that it cuts, at either end."""
    ends = ((sentence.start, correction.start), (correction.end, sentence.end))
    places = [trim(text, start, end) for start, end in ends if start < end]
    verdict = Verdict(
        label=Label.UNDETERMINED,
        reason=CUT,
        source=sentence.verdict.source,
        judge=sentence.verdict.judge,
    )
    return [
        Sentence(start=place[0], end=place[1], verdict=verdict)
        for place in places
        if place is not None
    ]
