"""A draft: what a person prepares before a decision, and the review that it becomes.

The rule: a draft lives in the form of the page and nowhere else, so every field of it comes from a
browser and is checked against the text again each time. Nothing is recorded before all parts have a
label; a review holds what was prepared, unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from maskdpo.desk.model import Draft
from schemas.error_spans import given_places, join_places
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import ErrorSpan, Evidence, Sentence
from schemas.reviews import ReviewSpan
from schemas.spans import Offsets, trim

MAX_NOTE_CHARS = 10_000
_MAX_ITEMS = 1_000
_MAX_OFFSET = 2**31

_Offset = Annotated[int, Field(ge=0, le=_MAX_OFFSET, strict=True)]
_OFFSET: TypeAdapter[int] = TypeAdapter(_Offset)
_CUTS: TypeAdapter[Sequence[int]] = TypeAdapter(
    Annotated[Sequence[_Offset], Field(max_length=_MAX_ITEMS)]
)
_LABELS: TypeAdapter[Sequence[Label]] = TypeAdapter(
    Annotated[Sequence[Label], Field(max_length=_MAX_ITEMS)]
)
_WORDS: TypeAdapter[Sequence[tuple[int, int]]] = TypeAdapter(
    Annotated[Sequence[tuple[_Offset, _Offset]], Field(max_length=_MAX_ITEMS)]
)
_EVIDENCE: TypeAdapter[Sequence[tuple[str, int, int]]] = TypeAdapter(
    Annotated[Sequence[tuple[str, _Offset, _Offset]], Field(max_length=_MAX_ITEMS)]
)
ValueT = TypeVar("ValueT")


class DraftError(ValueError):
    """A draft that cannot be used. `code` is the key of its sentence in the words of the page."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read_draft(form: Mapping[str, str], text: str, sentences: Sequence[Sentence]) -> Draft:
    """The draft of a form. Raises DraftError, code `stale`, where it does not fit the text."""
    draft = Draft(
        start=_read(_OFFSET, form.get("start", "")),
        end=_read(_OFFSET, form.get("end", "")),
        cuts=_read(_CUTS, form.get("cuts") or "[]"),
        labels=_read(_LABELS, form.get("labels") or "[]"),
        words=_read(_WORDS, form.get("words") or "[]"),
        evidence=_read(_EVIDENCE, form.get("evidence") or "[]"),
        note=read_note(form),
    )
    _check(draft, text, sentences)
    return draft


def read_note(form: Mapping[str, str]) -> str:
    """The note of a form, with line feeds as line ends. Raises DraftError where it is too long."""
    note = form.get("note", "").replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE_CHARS:
        raise DraftError("note_long")
    return note


def read_place(form: Mapping[str, str]) -> tuple[str, str, int, int]:
    """The selection of a form: kind, id, start, end."""
    start = _read(_OFFSET, form.get("sel_start", ""))
    end = _read(_OFFSET, form.get("sel_end", ""))
    return form.get("sel_kind", ""), form.get("sel_id", ""), start, end


def _read(adapter: TypeAdapter[ValueT], value: str) -> ValueT:
    try:
        return adapter.validate_json(value)
    except ValidationError:
        raise DraftError("stale") from None


def _check(draft: Draft, text: str, sentences: Sequence[Sentence]) -> None:
    starts, ends = {item.start for item in sentences}, {item.end for item in sentences}
    inside = range(draft.start + 1, draft.end)
    parts = parts_of(draft, text) if draft.start in starts and draft.end in ends else None
    fits = (
        draft.start < draft.end
        and parts is not None
        and all(at in inside for at in draft.cuts)
        and list(draft.cuts) == sorted(set(draft.cuts))
        and len(parts) == len(draft.cuts) + 1
        and len(draft.labels) < max(len(parts), 1)
        and all(draft.start <= one < two <= draft.end for one, two in draft.words)
        and all(one < two for _, one, two in draft.evidence)
    )
    if not fits:
        raise DraftError("stale")


def parts_of(draft: Draft, text: str) -> list[Offsets]:
    """The parts between the cuts, without white space at their ends; blank parts are left out."""
    if not draft.cuts:
        return [(draft.start, draft.end)]
    bounds = [draft.start, *draft.cuts, draft.end]
    found = (trim(text, one, two) for one, two in pairwise(bounds))
    return [part for part in found if part is not None]


def toggle_words(draft: Draft, text: str, start: int, end: int) -> Draft:
    """Mark [start, end) as wrong words; words that are all marked already are unmarked."""
    place = trim(text, max(start, 0), end)
    if place is None:
        raise DraftError("no_words")
    if place[0] < draft.start or place[1] > draft.end:
        raise DraftError("outside")
    first, last = place
    if any(one <= first and last <= two for one, two in draft.words):
        rest = (
            piece
            for one, two in draft.words
            for piece in ((one, min(two, first)), (max(one, last), two))
            if piece[0] < piece[1]
        )
        kept = (trim(text, *piece) for piece in rest)
        return replace(draft, words=tuple(join_places(one for one in kept if one is not None)))
    return replace(draft, words=tuple(join_places([*draft.words, place])))


def toggle_cut(draft: Draft, text: str, at: int) -> Draft:
    """Split before `at`, or join there again. Labels of parts are given again."""
    if at in draft.cuts:
        return replace(draft, cuts=tuple(one for one in draft.cuts if one != at), labels=())
    changed = replace(draft, cuts=tuple(sorted({*draft.cuts, at})), labels=())
    if not draft.start < at < draft.end or len(parts_of(changed, text)) != len(changed.cuts) + 1:
        raise DraftError("empty_part")
    return changed


def join_next(draft: Draft, sentences: Sequence[Sentence]) -> Draft:
    """The place with the next sentence."""
    following = next((item for item in sentences if item.start >= draft.end), None)
    if following is None:
        raise DraftError("no_next")
    return replace(draft, end=following.end, labels=())


def toggle_evidence(draft: Draft, document_id: str, text: str, start: int, end: int) -> Draft:
    """Give `text[start:end]` of a document as evidence, or take it back."""
    place = trim(text, max(start, 0), end)
    if place is None:
        raise DraftError("no_words")
    item = (document_id, *place)
    if item in draft.evidence:
        return replace(draft, evidence=tuple(one for one in draft.evidence if one != item))
    return replace(draft, evidence=(*draft.evidence, item))


def label_next(draft: Draft, label: Label) -> Draft:
    """The draft with the label of its next part."""
    return replace(draft, labels=(*draft.labels, label))


def is_complete(draft: Draft, text: str) -> bool:
    """Whether every part has a label."""
    return len(draft.labels) == len(parts_of(draft, text))


def spans_of(draft: Draft, text: str) -> list[ReviewSpan]:
    """The spans of a complete draft. Raises DraftError where marked words have no wrong label."""
    spans = []
    for (start, end), label in zip(parts_of(draft, text), draft.labels, strict=True):
        cut = ((max(one, start), min(two, end)) for one, two in draft.words)
        words = [ErrorSpan(start=one, end=two) for one, two in cut if one < two]
        if words and label not in HALLUCINATED_LABELS:
            raise DraftError("words_need_wrong_label")
        spans.append(ReviewSpan(start=start, end=end, label=label, error_spans=words))
    return spans


def evidence_of(draft: Draft) -> list[Evidence]:
    """The draft's evidence as records."""
    return [Evidence(document_id=name, start=one, end=two) for name, one, two in draft.evidence]


def agreed_span(sentence: Sentence) -> ReviewSpan:
    """The judge's label with its wrong words, for a person who agrees."""
    words = [ErrorSpan(start=start, end=end) for start, end in given_places(sentence)]
    return ReviewSpan(
        start=sentence.start, end=sentence.end, label=sentence.verdict.label, error_spans=words
    )
