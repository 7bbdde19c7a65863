"""A conflict of a sentence: what each person decided, and the review that resolves it.

The rule: the review names every review of the conflict, so that none of them counts at its place
any more, and nothing else changes. A form carries the ids that its page showed; where the conflict
has changed since, nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from formats.reviews.conflicts import ConflictRule, resolve
from formats.reviews.decisions import (
    Decision,
    decisions_of_people,
    find_fault,
    resolve_agreement,
)
from formats.reviews.log import Logged
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Annotation
from schemas.reviews import Review, ReviewSpan, make_review, text_sha256
from schemas.spans import Offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one person decided in a conflict, by place, and their reviews of it."""

    who: str
    decisions: Sequence[Decision]

    @property
    def reviews(self) -> Sequence[Review]:
        """Each once."""
        found = {item.entry.review.id: item.entry.review for item in self.decisions}
        return list(found.values())

    @property
    def notes(self) -> Sequence[str]:
        """What the person wrote."""
        return [review.note for review in self.reviews if review.note]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispute:
    """A place of a response on which people differ; `sides` by name."""

    start: int
    end: int
    sides: Sequence[Side]

    @property
    def review_ids(self) -> Sequence[str]:
        """All reviews of the conflict, sorted."""
        return sorted({review.id for side in self.sides for review in side.reviews})

    @property
    def resolved_ids(self) -> Sequence[str]:
        """All reviews of the conflict, and those that they resolved before."""
        before = {name for side in self.sides for one in side.reviews for name in one.resolves}
        return sorted(before.union(self.review_ids))

    @property
    def key(self) -> str:
        """Changes when any review of the conflict does."""
        return content_key([self.start, self.end, *self.review_ids])[:16]


def find_dispute(
    annotation: Annotation, entries: Sequence[Logged], place: Offsets
) -> Dispute | None:
    """The conflict that has a character of `place`; None where there is none (any more).

    entries   of the response and of identical answers to its question
    """
    text = annotation.text
    sound = [
        settled
        for entry in entries
        if find_fault(entry.review, text) is None
        and (settled := resolve_agreement(entry, annotation)) is not None
    ]
    found = resolve(decisions_of_people(sound, text), text, ConflictRule.SKIP)
    for (start, end), group, _ in found.conflicts:
        if start < place[1] and place[0] < end:
            names = sorted({item.who for item in group})
            sides = [
                Side(who=who, decisions=[item for item in group if item.who == who])
                for who in names
            ]
            return Dispute(start=start, end=end, sides=sides)
    return None


def resolve_as(
    dispute: Dispute,
    annotation: Annotation,
    choice: Side | Label,
    *,
    who: str,
    when: str,
    blind: bool,
    note: str = "",
) -> Review:
    """The review by which `who` resolves a conflict: as one side decided, or with one label."""
    place = (dispute.start, dispute.end)
    if isinstance(choice, Side):
        spans = [
            ReviewSpan(
                start=item.start,
                end=item.end,
                label=item.label,
                error_spans=list(item.error_spans),
            )
            for item in choice.decisions
        ]
        evidence = [item for review in choice.reviews for item in review.evidence]
    else:
        spans, evidence = [ReviewSpan(start=place[0], end=place[1], label=choice)], []
    is_whole = [(span.start, span.end) for span in spans] == [place]
    mine = [review.round for side in dispute.sides if side.who == who for review in side.reviews]
    return make_review(
        response_id=annotation.id,
        text_sha256=text_sha256(annotation.text),
        start=place[0],
        end=place[1],
        action="label" if is_whole else "split",
        spans=spans,
        evidence=evidence,
        blind=blind,
        round=max(mine, default=1),
        who=who,
        when=when,
        note=note,
        resolves=list(dispute.resolved_ids),
    )
