"""From the reviews of one text to the decisions of each person.

The rule: a review counts for the characters [start, end) it was made on, and for nothing else. Of
one person's reviews the last one counts (by round, then time, then place in the file); text in
[start, end) that no span covers is `not_labelled`. Where a later review covers part of an earlier
one, the rest of the earlier one is `corrected_in_part`: a label of the whole may be wrong for a
part.

Withdrawn reviews count for nothing. A review with `resolves` counts instead of the reviews that it
names, as if its person had made those too, as long as it is not withdrawn; what anybody decides
later is not named, and counts. Where people are compared, only what each decided alone counts
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
    somebody resolved are none here: of each review that is named in `resolves`, the part at the
    place of the review that names it is left out.
    """
    stand = standing(entries)
    by_id = {entry.review.id: entry for entry in stand}
    return [
        replace(item, resolved=_resolved_by(item.entry, by_id))
        if item.entry.review.resolves
        else item
        for item in _last_decisions(stand, text, _named_by(stand))
    ]


def own_decisions(entries: Iterable[Logged], text: str) -> list[Decision]:
    """What each person decided alone: `decisions_of_people` without the reviews that resolve a
    conflict, and without what these do to others."""
    alone = [entry for entry in standing(entries) if not entry.review.resolves]
    return _last_decisions(alone, text, {})


def resolved_ids(entries: Iterable[Logged]) -> frozenset[str]:
    """The reviews that stand and that a review of the same place, which stands too, resolves."""
    stand = standing(entries)
    named_by = _named_by(stand)
    return frozenset(
        entry.review.id
        for entry in stand
        if any(_overlap(entry, other) for other in named_by.get(entry.review.id, ()))
    )


def _named_by(stand: Iterable[Logged]) -> Mapping[str, Sequence[Logged]]:
    """By id of a review, the reviews that resolve it; no review resolves itself."""
    found: defaultdict[str, list[Logged]] = defaultdict(list)
    for entry in stand:
        for name in entry.review.resolves:
            if name != entry.review.id:
                found[name].append(entry)
    return found


def _resolved_by(entry: Logged, by_id: Mapping[str, Logged]) -> list[Logged]:
    """The reviews that a review resolves at its place."""
    named = [by_id[name] for name in dict.fromkeys(entry.review.resolves) if name in by_id]
    return [other for other in named if other is not entry and _overlap(other, entry)]


def _overlap(one: Logged, two: Logged) -> bool:
    return one.review.start < two.review.end and two.review.start < one.review.end


def _last_decisions(
    stand: Iterable[Logged], text: str, named_by: Mapping[str, Sequence[Logged]]
) -> list[Decision]:
    """Of each person's reviews the last one at each place, less what others resolve."""
    people: defaultdict[str, list[Decision]] = defaultdict(list)
    for entry in sorted(stand, key=lambda item: item.order):
        if entry.review.action in WITHOUT_LABEL:
            continue
        review = entry.review
        earlier = _cut_out(people[review.who], (review.start, review.end), text)
        mine = _decisions_of(entry, text)
        for other in named_by.get(review.id, ()):
            mine = _cut_out(mine, (other.review.start, other.review.end), text)
        people[review.who] = [*earlier, *mine]
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
