"""Who reads which sentence: a first reader for each response, a second one for a share.

The rule: all of it follows from hashes of the data and from the people's names, not from what was
decided, nor from the order in which the names are given. So every page, process and restart comes
to the same result, and nothing about it is stored.

A response has a `share`, a number in [0, 1) from its id. With n people, sorted by name, number i
reads the responses with a share in [i/n, (i+1)/n), and number i+1 (after the last the first) is
their second reader. A sentence is read a second time where its ticket (`index/tickets.py`), which
follows from its place, is in `second_share`. Both hashes are independent, so everybody's responses
have the same share of them.

    3 people, Ann, Ben, Cho; share 0.4 -> Ben, then Cho; share 0.9 -> Cho, then Ann

Without people everybody reads everything, and anybody who has not decided a sentence may be its
second reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.hashing import stable_fraction

DEFAULT_SHARE = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranges:
    """Shares of responses, as ranges [low, high) of numbers in [0, 1]."""

    first: tuple[float, float]
    second: tuple[float, float]


EVERYTHING = Ranges(first=(0.0, 1.0), second=(0.0, 1.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """How the work is shared among `people`; none: everybody reads everything.

    second_share   of the sentences, those that another person reads too, without seeing the first
                   decision
    seed           another one shares it out differently
    """

    people: Sequence[str] = ()
    second_share: float = DEFAULT_SHARE
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "people", tuple(sorted(set(self.people))))

    def lists(self, who: str) -> bool:
        """Whether `who` has responses of their own."""
        return who in self.people

    def ranges(self, who: str) -> Ranges:
        """The shares of the responses that `who` reads first and second.

        A person who is not listed may read everything.
        """
        count = len(self.people)
        if not count or who not in self.people:
            return EVERYTHING
        number = self.people.index(who)
        before = (number - 1) % count
        return Ranges(first=_range(number, count), second=_range(before, count))

    def first_reader(self, response_id: str) -> str | None:
        """Whose response it is; None: everybody's."""
        return self._reader(response_id, 0)

    def second_reader(self, response_id: str) -> str | None:
        """Who reads some of its sentences again; None: anybody but the first reader."""
        return self._reader(response_id, 1) if len(self.people) > 1 else None

    def _reader(self, response_id: str, after: int) -> str | None:
        share = share_of(self.seed, response_id)
        for number in range(len(self.people)):
            low, high = _range(number, len(self.people))
            if low <= share < high:
                return self.people[(number + after) % len(self.people)]
        return None


def share_of(seed: int, response_id: str) -> float:
    """A response's number in [0, 1), which decides who reads it."""
    return stable_fraction(seed, f"reader\n{response_id}")


def _range(number: int, count: int) -> tuple[float, float]:
    return number / count, (number + 1) / count
