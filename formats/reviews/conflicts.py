"""Where several people decided on one place: whether they agree, and how a conflict is resolved.

The rule: two different labels for one place are never resolved silently. Each conflict is listed
with every decision in it, and a setting decides what the data set holds there.

    skip       nothing: the place is `undetermined: reviews_conflict` and trains on neither side
    majority   the labels that more people gave than any other labels; without such a majority: skip
    latest     the labels of the latest review by time; with two at the same time: skip

A conflict that somebody resolved by a review that names its reviews is none, under every rule;
a person who decides otherwise later makes it one again (formats/reviews/decisions.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from formats.reviews.decisions import Decision
from formats.reviews.log import Logged, Order, time_of
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, ErrorSpan, Identifier, Record
from schemas.reviews import Action, ReviewSpan
from schemas.spans import Offsets, gaps, trim

CONFLICT = "reviews_conflict"
Layout = tuple[tuple[int, int, Label], ...]


class ConflictRule(StrEnum):
    """What `build` does where people disagree."""

    SKIP = "skip"
    MAJORITY = "majority"
    LATEST = "latest"


class ConflictDecision(Record):
    """What one person decided in a conflict, as in the review."""

    review_id: Identifier
    who: str
    when: str
    round: int
    action: Action
    blind: bool
    spans: list[ReviewSpan]
    note: str


class Conflict(Record):
    """A place of a response for which people gave different labels.

    text     the place in the response's text
    taken    the labels that the data set holds there; empty: it is undetermined
    """

    response_id: Identifier
    question_id: str
    topic: str
    start: int
    end: int
    text: str
    rule: ConflictRule
    taken: list[ReviewSpan]
    decisions: list[ConflictDecision]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A label for a place, and the reviews that it comes from (in a conflict: all reviews of it).

    resolved        reviews of a conflict that those in `by` resolved
    error_spans     of the decision that was used; others gave the same label
    words_differ    others marked other wrong words with it (without any: the whole place)
    """

    start: int
    end: int
    label: Label
    reason: str | None
    by: Sequence[Logged]
    resolved: Sequence[Logged] = ()
    error_spans: Sequence[ErrorSpan] = ()
    words_differ: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What people decided together.

    decided      disjoint, by place
    conflicts    places with the decisions that differ there and the ones that were used
    """

    decided: Sequence[Decided]
    conflicts: Sequence[tuple[Offsets, Sequence[Decision], Sequence[Decision]]]


def resolve(decisions: Iterable[Decision], text: str, rule: ConflictRule) -> Resolved:
    """One label per place, from the decisions of several people."""
    decided: list[Decided] = []
    conflicts: list[tuple[Offsets, Sequence[Decision], Sequence[Decision]]] = []
    for group in _groups(decisions):
        people = _by_person(group)
        place = (group[0].start, max(item.end for item in group))
        agreed = _agreed(people, place, text)
        if agreed is not None:
            decided += [_decided(item, group) for item in agreed]
            continue
        taken = _winner(people, rule)
        conflicts.append((place, group, taken))
        decided += _fill(place, taken, group, text)
    return Resolved(decided=decided, conflicts=conflicts)


def describe_conflict(
    annotation: Annotation,
    place: Offsets,
    group: Sequence[Decision],
    taken: Sequence[Decision],
    rule: ConflictRule,
) -> Conflict:
    """The row that lists a conflict, with each review in it once."""
    reviews = {item.entry.review.id: item.entry.review for item in group}
    return Conflict(
        response_id=annotation.id,
        question_id=annotation.question_id,
        topic=annotation.topic,
        start=place[0],
        end=place[1],
        text=annotation.text[place[0] : place[1]],
        rule=rule,
        taken=[_span(item) for item in taken],
        decisions=[
            ConflictDecision(
                review_id=review.id,
                who=review.who,
                when=review.when,
                round=review.round,
                action=review.action,
                blind=review.blind,
                spans=review.spans,
                note=review.note,
            )
            for review in sorted(reviews.values(), key=lambda item: (item.who, item.start))
        ],
    )


def _span(item: Decision) -> ReviewSpan:
    return ReviewSpan(
        start=item.start, end=item.end, label=item.label, error_spans=list(item.error_spans)
    )


def _groups(decisions: Iterable[Decision]) -> Iterable[list[Decision]]:
    """Decisions that overlap, directly or through others, by place."""
    group: list[Decision] = []
    end = 0
    for item in sorted(decisions, key=lambda item: (item.start, item.end, item.who)):
        if group and item.start >= end:
            yield group
            group = []
        group.append(item)
        end = max(end, item.end)
    if group:
        yield group


def _by_person(group: Iterable[Decision]) -> Mapping[str, list[Decision]]:
    people: defaultdict[str, list[Decision]] = defaultdict(list)
    for item in group:
        people[item.who].append(item)
    return people


def _agreed(
    people: Mapping[str, Sequence[Decision]], place: Offsets, text: str
) -> Sequence[Decision] | None:
    """The decisions of a person who decided on all of the place and whom no one contradicts."""
    for who in sorted(people, key=lambda who: _last(people[who]), reverse=True):
        mine = people[who]
        if _left_out(mine, place, text):
            continue
        others = [item for name, items in people.items() if name != who for item in items]
        if all(one.label is two.label for one in mine for two in others if one.overlaps(two)):
            return mine
    return None


def _left_out(items: Sequence[Decision], place: Offsets, text: str) -> list[Offsets]:
    """The parts of the place that contain text and that no decision covers."""
    inside = [(item.start - place[0], item.end - place[0]) for item in items]
    parts = (
        trim(text, place[0] + start, place[0] + end)
        for start, end in gaps(place[1] - place[0], inside)
    )
    return [part for part in parts if part is not None]


def _winner(people: Mapping[str, Sequence[Decision]], rule: ConflictRule) -> Sequence[Decision]:
    """The decisions that the rule selects; empty where it selects none."""
    if rule is ConflictRule.SKIP:
        return ()
    layouts: defaultdict[Layout, list[str]] = defaultdict(list)
    for who, items in people.items():
        layouts[tuple((item.start, item.end, item.label) for item in items)].append(who)
    if rule is ConflictRule.MAJORITY:
        ranked = [(float(len(names)), names) for names in layouts.values()]
    else:
        times = {who: max(time_of(item.entry.review) for item in people[who]) for who in people}
        latest = max(times.values())
        ranked = [
            (float(any(times[who] == latest for who in names)), names) for names in layouts.values()
        ]
    most = max(rank for rank, _ in ranked)
    first = [names for rank, names in ranked if rank == most]
    return people[max(first[0], key=lambda who: _last(people[who]))] if len(first) == 1 else ()


def _last(items: Sequence[Decision]) -> Order:
    return max(item.entry.order for item in items)


def _fill(
    place: Offsets, taken: Sequence[Decision], group: Sequence[Decision], text: str
) -> list[Decided]:
    """The result of a conflict: the decisions used, and `undetermined` for text they do not
    cover."""
    by = list({item.entry.review.id: item.entry for item in group}.values())
    found = [_decided(item, group) for item in taken]
    for start, end in _left_out(taken, place, text):
        label = Label.UNDETERMINED
        found.append(Decided(start=start, end=end, label=label, reason=CONFLICT, by=by))
    return sorted(found, key=lambda item: item.start)


def _decided(item: Decision, group: Sequence[Decision]) -> Decided:
    """A decision with everyone who decided the same for its place."""
    same = [other for other in group if other.overlaps(item) and other.label is item.label]
    by = {other.entry.review.id: other.entry for other in same}
    return Decided(
        start=item.start,
        end=item.end,
        label=item.label,
        reason=item.reason,
        by=list(by.values()),
        resolved=[entry for other in same for entry in other.resolved],
        error_spans=item.error_spans,
        words_differ=any(_words_differ(item, other) for other in same),
    )


def _words_differ(one: Decision, two: Decision) -> bool:
    if one.label not in HALLUCINATED_LABELS:
        return False
    start, end = max(one.start, two.start), min(one.end, two.end)
    marked = [
        {at for first, last in _places_of(item) for at in range(max(first, start), min(last, end))}
        for item in (one, two)
    ]
    return marked[0] != marked[1]


def _places_of(item: Decision) -> list[Offsets]:
    return [(span.start, span.end) for span in item.error_spans] or [(item.start, item.end)]
