"""What a press of a key does: from the form of the page to a review, or to a changed draft.

The rule: pure. A press gives either one review or a new draft, never both, and what is recorded is
exactly what the page showed: the place and the text's hash come with the form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from formats.reviews.log import Logged
from maskdpo.desk.model import Draft
from maskdpo.desk.reading.draft import (
    DraftError,
    agreed_span,
    evidence_of,
    is_complete,
    join_next,
    label_next,
    read_draft,
    read_place,
    spans_of,
    toggle_cut,
    toggle_evidence,
    toggle_words,
)
from schemas.labels import Label
from schemas.records import Annotation, Document, Sentence
from schemas.reviews import Action, Review, ReviewSpan, make_review, text_sha256


class Press(StrEnum):
    """The buttons that do something else than giving a label or changing the draft."""

    AGREE = "agree"
    SKIP = "skip"
    FLAG = "flag"
    UNFLAG = "unflag"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who presses, when (ISO 8601), and whether a decision now is blind."""

    who: str
    when: str
    blind: bool


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a press gives.

    review    to be recorded; None: nothing
    draft     what is prepared now; None: nothing any more
    message   the key of a sentence in the words of the page, "" for none
    moves     whether the page shows the next open sentence
    """

    review: Review | None = None
    draft: Draft | None = None
    message: str = ""
    moves: bool = False


def read_form(form: Mapping[str, str], annotation: Annotation) -> Draft:
    """The draft of a form. Raises DraftError, `stale`, where the text is another one now."""
    if form.get("text_sha256") != text_sha256(annotation.text):
        raise DraftError("stale")
    return read_draft(form, annotation.text, annotation.sentences)


def change_draft(
    op: str,
    draft: Draft,
    form: Mapping[str, str],
    annotation: Annotation,
    documents: Mapping[str, Document],
) -> Draft:
    """The draft after `op`. Raises DraftError where that is not possible."""
    if op == "join":
        return join_next(draft, annotation.sentences)
    if op == "clear":
        return cleared(draft, annotation.sentences)
    kind, name, start, end = read_place(form)
    if op == "evidence":
        if kind != "document" or name not in documents:
            raise DraftError("not_document")
        return toggle_evidence(draft, name, documents[name].text, start, end)
    if kind != "response":
        raise DraftError("not_response")
    if op == "word":
        return toggle_words(draft, annotation.text, start, end)
    if op == "cut":
        return toggle_cut(draft, annotation.text, start)
    raise DraftError("stale")


def cleared(draft: Draft, sentences: Sequence[Sentence]) -> Draft:
    """Nothing prepared, for the first sentence of the place; the note stays."""
    first = next(item for item in sentences if item.start == draft.start)
    return Draft(start=first.start, end=first.end, note=draft.note)


def give_label(
    label: Label, draft: Draft, annotation: Annotation, person: Person, entries: Sequence[Logged]
) -> Done:
    """A label for the next part of the place; the last one makes the review."""
    labelled = label_next(draft, label)
    if not is_complete(labelled, annotation.text):
        return Done(draft=labelled, message="part_labelled")
    spans = spans_of(labelled, annotation.text)
    action: Action = "split" if draft.cuts else "label"
    resolved = resolved_before(draft, person.who, entries)
    review = _review(action, draft, annotation, person, spans=spans, resolves=resolved)
    return _recorded(review, entries, "recorded")


def resolved_before(draft: Draft, who: str, entries: Sequence[Logged]) -> Sequence[str]:
    """The reviews that the person's last decision here resolves.

    A resolution acts only where it is its person's last decision: who corrects theirs names the
    reviews again, and the conflict does not come back.
    """
    here = [
        one.review
        for one in entries
        if one.review.who == who
        and one.review.spans
        and one.review.start < draft.end
        and draft.start < one.review.end
    ]
    return list(here[-1].resolves) if here else ()


def agree(draft: Draft, annotation: Annotation, person: Person, entries: Sequence[Logged]) -> Done:
    """The judge's label for one whole sentence. With other words marked, it is a label instead."""
    sentence = next(
        (one for one in annotation.sentences if (one.start, one.end) == (draft.start, draft.end)),
        None,
    )
    if sentence is None or draft.cuts:
        raise DraftError("agree_one")
    if draft.words:
        return give_label(sentence.verdict.label, draft, annotation, person, entries)
    spans = [agreed_span(sentence)]
    resolved = resolved_before(draft, person.who, entries)
    review = _review("agree", draft, annotation, person, spans=spans, resolves=resolved)
    return _recorded(review, entries, "recorded")


def press(
    name: Press, draft: Draft, annotation: Annotation, person: Person, entries: Sequence[Logged]
) -> Done:
    """Agree, skip, flag, or save a note. `entries` are the reviews of the response that count."""
    if name is Press.AGREE:
        return agree(draft, annotation, person, entries)
    if name is Press.SKIP:
        return _recorded(_review("skip", draft, annotation, person), entries, "skipped")
    here = [
        one.review
        for one in entries
        if one.review.who == person.who
        and (one.review.start, one.review.end) == (draft.start, draft.end)
    ]
    if name in (Press.FLAG, Press.UNFLAG):
        return _flag(name, draft, annotation, person, here)
    return _save_note(draft, person, here)


def _flag(
    name: Press, draft: Draft, annotation: Annotation, person: Person, here: Sequence[Review]
) -> Done:
    """The button gives the wanted state, so that a press that is sent twice changes nothing."""
    flags = [one for one in here if one.action == "flag"]
    review = None
    if name is Press.FLAG and not flags:
        review = _review("flag", draft, annotation, person)
    elif name is Press.UNFLAG and flags:
        review = withdrawal(flags[-1], person)
    message = "flagged" if name is Press.FLAG else "unflagged"
    return Done(review=review, message=message, draft=draft)


def _save_note(draft: Draft, person: Person, here: Sequence[Review]) -> Done:
    """The last decision once more, with the note; without one, the note waits for it."""
    decided = [one for one in here if one.spans]
    if not decided:
        return Done(draft=draft, message="note_kept")
    last = decided[-1]
    if last.note == draft.note:
        return Done(message="note_same")
    values = last.model_dump(exclude={"id", "withdraws"})
    changed = {"note": draft.note, "when": person.when, "blind": person.blind}
    return Done(review=make_review(**{**values, **changed}), message="note_saved")


def withdrawal(review: Review, person: Person) -> Review:
    """The review that takes `review` back."""
    return make_review(
        response_id=review.response_id,
        text_sha256=review.text_sha256,
        start=review.start,
        end=review.end,
        action="withdraw",
        withdraws=review.id,
        who=person.who,
        when=person.when,
    )


def _review(
    action: Action,
    draft: Draft,
    annotation: Annotation,
    person: Person,
    *,
    spans: Sequence[ReviewSpan] = (),
    resolves: Sequence[str] = (),
) -> Review:
    return make_review(
        response_id=annotation.id,
        text_sha256=text_sha256(annotation.text),
        start=draft.start,
        end=draft.end,
        action=action,
        spans=[span.model_dump() for span in spans],
        evidence=[item.model_dump() for item in evidence_of(draft)],
        blind=person.blind,
        who=person.who,
        when=person.when,
        note=draft.note,
        resolves=list(resolves),
    )


def _recorded(review: Review, entries: Sequence[Logged], message: str) -> Done:
    """To be recorded, unless it is the person's last decision on the place already.

    A browser sends a key again when it got no reply.
    """
    here = [
        one.review
        for one in entries
        if one.review.who == review.who
        and one.review.start < review.end
        and review.start < one.review.end
        and one.review.action != "flag"
    ]
    if here and _content(here[-1]) == _content(review):
        return Done(message=message, moves=True)
    return Done(review=review, message=message, moves=True)


def _content(review: Review) -> dict[str, object]:
    return review.model_dump(exclude={"id", "when", "blind", "round"})
