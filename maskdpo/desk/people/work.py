"""What each person is offered: the sentences that are theirs, and those that come next.

The rule: what a person is offered does not show whether another one decided it. With people in the
settings, it follows from the assignment alone; without, a sentence that waits for a second reading
comes next like one that nobody decided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskdpo.desk.index.tickets import share_of as in_share
from maskdpo.desk.model import Filter
from maskdpo.desk.people.assignment import Assignment, share_of

if TYPE_CHECKING:
    from maskdpo.desk.index.columns import Mask
    from maskdpo.desk.index.index import Index


class Work:
    """The work on one index, shared out by `assignment`. The mask of a person is made once."""

    def __init__(self, index: Index, assignment: Assignment) -> None:
        self.assignment = assignment
        self._index = index
        self._mine: dict[str, Mask] = {}

    def is_listed(self, who: str) -> bool:
        """Whether the person has sentences of their own."""
        return self.assignment.lists(who)

    def mine(self, who: str, wanted: Filter | None = None) -> Mask | None:
        """Which sentences a list shows to a person; None: all.

        With people in the settings: those of the person's responses, and of the responses that
        they read a second time the share that is read twice.
        """
        if not self.is_listed(who) or (wanted is not None and wanted.everyone):
            return None
        if who not in self._mine:
            self._mine[who] = self._assigned(who)
        return self._mine[who]

    def offered(self, who: str, wanted: Filter) -> Mask | None:
        """Which sentences come next for a person; None: all.

        Without people of their own: what nobody decided, or is due for a second reading. A list of
        what people did (flagged, differ) is offered as it is.
        """
        if self.is_listed(who):
            return self.mine(who, wanted)
        if wanted.everyone or wanted.flagged or wanted.people_differ or wanted.judge_differs:
            return None
        return self._index.fresh(who)

    def _assigned(self, who: str) -> Mask:
        ranges = self.assignment.ranges(who)
        seed, share = self.assignment.seed, self.assignment.second_share
        of_response = np.array([share_of(seed, name) for name in self._index.response_ids()])
        columns = self._index.columns
        given = of_response[columns.response - 1]
        twice = in_share(columns.ticket, seed, share)
        mask: Mask = _inside(given, ranges.first)
        if len(self.assignment.people) > 1:
            mask |= _inside(given, ranges.second) & twice
        return mask


def _inside(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], ends: tuple[float, float]
) -> Mask:
    found: Mask = (ends[0] <= values) & (values < ends[1])
    return found
