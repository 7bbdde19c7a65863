"""Which reviews stand: those that nobody withdrew.

The rule: a review counts unless a withdrawal names it that is itself in force. Only the person who
made a review withdraws it, and the order of the file does not matter. So a withdrawal of a
withdrawal brings back what the first one took away.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from schemas.reviews import Review


class HasReview(Protocol):
    """A review with where it comes from."""

    @property
    def review(self) -> Review:
        """The review."""


EntryT = TypeVar("EntryT", bound=HasReview)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted(Generic[EntryT]):
    """All entries, each in one group, in the order in which they were given.

    stand         reviews that count, without the withdrawals
    withdrawals   those in force
    withdrawn     reviews and withdrawals that were withdrawn
    refused       withdrawals without effect: (entry, reason, sentence)
    """

    stand: Sequence[EntryT]
    withdrawals: Sequence[EntryT]
    withdrawn: Sequence[EntryT]
    refused: Sequence[tuple[EntryT, str, str]]


def standing(entries: Iterable[EntryT]) -> list[EntryT]:
    """The entries that count, without withdrawn ones and without the withdrawals themselves."""
    return list(sort_withdrawn(entries).stand)


def sort_withdrawn(entries: Iterable[EntryT]) -> Sorted[EntryT]:
    """Divide entries by whether they stand; those of a withdrawal and what it names together."""
    given = list(entries)
    by_id = {entry.review.id: entry for entry in given}
    faults = {
        entry.review.id: fault
        for entry in given
        if entry.review.withdraws is not None and (fault := _find_fault(entry.review, by_id))
    }
    target = {
        entry.review.id: entry.review.withdraws
        for entry in given
        if entry.review.withdraws is not None and entry.review.id not in faults
    }
    stands = _who_stands(by_id, target)
    for name in target.keys() - stands.keys():
        faults[name] = ("withdraws_itself", "withdrawals name each other in a circle")
    return Sorted(
        stand=[
            entry
            for entry in given
            if entry.review.withdraws is None and stands.get(entry.review.id, True)
        ],
        withdrawals=[
            entry
            for entry in given
            if entry.review.id in target and stands.get(entry.review.id, False)
        ],
        withdrawn=[entry for entry in given if stands.get(entry.review.id) is False],
        refused=[
            (entry, *faults[entry.review.id])
            for entry in given
            if entry.review.id in faults and stands.get(entry.review.id) is not False
        ],
    )


def _find_fault(review: Review, by_id: dict[str, EntryT]) -> tuple[str, str] | None:
    """(reason, sentence) when a withdrawal has no effect."""
    found = by_id.get(review.withdraws or "")
    if found is None:
        return (
            "unknown_review",
            f"it withdraws review {review.withdraws!r}, which is not among the reviews of the "
            "responses to this question",
        )
    if found.review.who != review.who:
        return "other_person", "it withdraws a review of another person; only that person can"
    return None


def _who_stands(by_id: dict[str, EntryT], target: dict[str, str]) -> dict[str, bool]:
    """Whether each review counts, from withdrawals that nobody withdrew to what they name.

    A review whose withdrawals form a circle has no value.
    """
    undecided: defaultdict[str, int] = defaultdict(int)
    for named in target.values():
        undecided[named] += 1
    stands = {name: True for name in by_id if not undecided[name]}
    ready = deque(stands)
    while ready:
        name = ready.popleft()
        named = target.get(name, "")
        if not named or named in stands:
            continue
        undecided[named] -= 1
        if stands[name] or not undecided[named]:
            stands[named] = not stands[name]
            ready.append(named)
    return stands
