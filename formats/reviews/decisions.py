"""From the reviews of one text to the decisions of each person.

The rule: a review counts for the characters [start, end) it was made on, and for nothing else. Of
one person's reviews the last one counts (by round, then time, then place in the file); text in
[start, end) that no span covers is `not_labelled`. Where a later review covers part of an earlier
one, the rest of the earlier one is `corrected_in_part`: a label of the whole may be wrong for a
part.

Withdrawn reviews count for nothing. A review with `resolves` counts instead of the reviews that it
names, at the characters for which it is its person's last one. What anybody decides later is not
named, and counts; where the person who resolved a conflict decides again, without `resolves`, the
named reviews count again, too. So what people decided never disappears: a review is only left out
where another one counts. Where people are compared, only what each decided alone counts
(`own_decisions`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from formats.reviews.log import Logged, parse_time
from formats.reviews.standing import standing
from schemas.labels import Label
from schemas.records import Annotation, ErrorSpan, Failure
from schemas.reviews import Review, ReviewSpan, text_sha256
from schemas.spans import Offsets, check_order, gaps, trim

CUT = "corrected_in_part"
NOT_LABELLED = "not_labelled"
CANNOT_TELL = "person_cannot_tell"
WITHOUT_LABEL = frozenset({"skip", "flag", "withdraw"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """One person's label for a place.

    reason         why the label is `undetermined`; None for other labels
    error_spans    the wrong words, as in the review
    entry          the review it comes from
    resolved       the reviews of a conflict that it counts instead of
    """

    start: int
    end: int
    label: Label
    reason: str | None
    entry: Logged
    error_spans: Sequence[ErrorSpan] = ()
    resolved: Sequence[Logged] = ()

    @property
    def who(self) -> str:
        """The person."""
        return self.entry.review.who

    def overlaps(self, other: Decision) -> bool:
        """Whether both cover a common character."""
        return self.start < other.end and other.start < self.end


def decisions_of_people(entries: Iterable[Logged], text: str) -> list[Decision]:
    """What each person finally decided, by person and place; no two of one person overlap.

    `entries` are valid (`find_fault`), with or without a label, in any order. Conflicts that
    somebody resolved are none here: what is named in `resolves` is left out at the place of the
    decision that names it.
    """
    stand = standing(entries)
    by_id = {entry.review.id: entry for entry in stand}
    last = _last_decisions(stand, text)
    named_by = _named_by(last)
    found: list[Decision] = []
    for item in last:
        left = [item]
        for other in named_by.get(item.entry.review.id, ()):
            if other.who != item.who:
                left = _cut_out(left, (other.start, other.end), text)
        found += [replace(part, resolved=_resolved_by(part, by_id)) for part in left]
    return found


def own_decisions(entries: Iterable[Logged], text: str) -> list[Decision]:
    """What each person decided alone: `decisions_of_people` without the reviews that resolve a
    conflict, and without what these do to others."""
    return _last_decisions((item for item in standing(entries) if not item.review.resolves), text)


def resolved_ids(entries: Iterable[Logged], text: str) -> frozenset[str]:
    """The reviews that a decision on a conflict counts instead of, somewhere."""
    stand = standing(entries)
    named_by = _named_by(_last_decisions(stand, text))
    return frozenset(
        entry.review.id
        for entry in stand
        if any(_is_at(entry, item) for item in named_by.get(entry.review.id, ()))
    )


def _named_by(decisions: Iterable[Decision]) -> Mapping[str, Sequence[Decision]]:
    """By id of a review, the decisions that resolve it."""
    found: defaultdict[str, list[Decision]] = defaultdict(list)
    for item in decisions:
        for name in item.entry.review.resolves:
            found[name].append(item)
    return found


def _resolved_by(item: Decision, by_id: Mapping[str, Logged]) -> list[Logged]:
    """The reviews that a decision counts instead of."""
    names = dict.fromkeys(item.entry.review.resolves)
    return [by_id[name] for name in names if name in by_id and _is_at(by_id[name], item)]


def _is_at(entry: Logged, item: Decision) -> bool:
    """Whether a review is about some of the characters of a decision."""
    return entry.review.start < item.end and item.start < entry.review.end


def _last_decisions(stand: Iterable[Logged], text: str) -> list[Decision]:
    """Of each person's reviews the last one at each place; one that the person resolved is not."""
    people: defaultdict[str, list[Decision]] = defaultdict(list)
    ordered = sorted(stand, key=lambda item: item.order)
    resolving = [entry for entry in ordered if entry.review.resolves]
    for entry in ordered:
        review = entry.review
        if review.action in WITHOUT_LABEL:
            continue
        mine = _decisions_of(entry, text)
        counted = [(review.start, review.end)]
        for other in (item.review for item in resolving):
            if other.who == review.who and review.id in other.resolves and other.id != review.id:
                mine = _cut_out(mine, (other.start, other.end), text)
                counted = _less(counted, (other.start, other.end))
        for stretch in counted:
            people[review.who] = _cut_out(people[review.who], stretch, text)
        people[review.who] += mine
    return [
        decision
        for who in sorted(people)
        for decision in sorted(people[who], key=lambda item: item.start)
    ]


def _cut_out(decisions: Iterable[Decision], stretch: Offsets, text: str) -> list[Decision]:
    return [part for item in decisions for part in _outside(item, stretch, text)]


def resolve_agreement(entry: Logged, annotation: Annotation) -> Logged | None:
    """An `agree` with the label and error spans that its sentence has, where it has none itself.

    Who agrees without error spans (as in a sheet) agrees with those of the sentence, as long as it
    has the label that was seen. Other reviews are returned unchanged. None when a review without
    spans has no sentence with exactly its offsets.
    """
    review = entry.review
    if review.action != "agree" or any(span.error_spans for span in review.spans):
        return entry
    for item in annotation.sentences:
        if (item.start, item.end) == (review.start, review.end):
            span = ReviewSpan(
                start=item.start,
                end=item.end,
                label=item.verdict.label,
                error_spans=item.verdict.error_spans,
            )
            bare = span.model_copy(update={"error_spans": []})
            if review.spans not in ([], [bare]):
                return entry
            return replace(entry, review=review.model_copy(update={"spans": [span]}))
    return entry if review.spans else None


def find_fault(review: Review, text: str) -> tuple[str, str] | None:
    """(reason, sentence) when `review` cannot be applied to a response of this text."""
    if text_sha256(text) != review.text_sha256:
        return "text_changed", "the response's text is no longer the one that was reviewed"
    if parse_time(review.when) is None:
        return "bad_time", f"'when' is {review.when!r}, but it must look like 2026-01-31T12:00Z"
    try:
        check_order(text, [(review.start, review.end)])
        check_order(text, [(span.start, span.end) for span in review.spans])
    except ValueError as error:
        return "bad_spans", str(error)
    for span in review.spans:
        if span.start < review.start or span.end > review.end:
            return "bad_spans", (
                f"span [{span.start}, {span.end}) is outside the reviewed text [{review.start}, "
                f"{review.end})"
            )
        if not text[span.start : span.end].strip():
            return "bad_spans", f"span [{span.start}, {span.end}) is only white space"
    return None


def refusal(review: Review, reason: str, sentence: str) -> Failure:
    """The failed row of a review that was not applied."""
    place = f"[{review.start}, {review.end})"
    return Failure(
        id=review.response_id,
        stage="review",
        reason=reason,
        detail=f"review {review.id} of {place} from {review.when!r}: {sentence}",
    )


def _less(stretches: Iterable[Offsets], place: Offsets) -> list[Offsets]:
    """The parts of stretches that are outside a place."""
    ends = (
        part
        for start, end in stretches
        for part in ((start, min(end, place[0])), (max(start, place[1]), end))
    )
    return [(start, end) for start, end in ends if start < end]


def _decisions_of(entry: Logged, text: str) -> list[Decision]:
    """The labels of a review, and `not_labelled` for text of the review that they do not cover."""
    review = entry.review
    found = [
        Decision(
            start=span.start,
            end=span.end,
            label=span.label,
            reason=CANNOT_TELL if span.label is Label.UNDETERMINED else None,
            entry=entry,
            error_spans=span.error_spans,
        )
        for span in review.spans
    ]
    inside = [(span.start - review.start, span.end - review.start) for span in review.spans]
    for start, end in gaps(review.end - review.start, inside):
        place = trim(text, review.start + start, review.start + end)
        if place is not None:
            found.append(_undetermined(place, NOT_LABELLED, entry))
    return found


def _outside(decision: Decision, stretch: Offsets, text: str) -> Sequence[Decision]:
    """The parts of an earlier decision that a later review does not cover."""
    first, last = stretch
    if decision.end <= first or last <= decision.start:
        return [decision]
    ends = ((decision.start, first), (last, decision.end))
    places = [trim(text, start, end) for start, end in ends if start < end]
    return [_undetermined(place, CUT, decision.entry) for place in places if place is not None]


def _undetermined(place: Offsets, reason: str, entry: Logged) -> Decision:
    return Decision(
        start=place[0], end=place[1], label=Label.UNDETERMINED, reason=reason, entry=entry
    )
