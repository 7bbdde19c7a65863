"""What a person may see of a sentence: the one place that decides it.

The rule: in blind mode nothing of the judge's verdict is shown before the person has a label of
their own, its evidence included: where a judge cites nothing says much about its label. Until then
the place with most words of the sentence is shown. What other people decided is hidden until then
in any mode.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from formats.reviews.log import Logged
from maskdpo.desk.model import State
from schemas.spans import Offsets

_WITH_LABEL = frozenset({"label", "agree", "split"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Whether the judge's verdict and other people's decisions may be shown."""

    judge: bool
    others: bool


def what_may_be_seen(state: State, who: str, *, blind: bool) -> Seen:
    """What `who` may see of a sentence; `blind` is the mode of their session."""
    has_decided = who in state.by
    return Seen(judge=has_decided or not blind, others=has_decided)


def is_blind(entries: Iterable[Logged], place: Offsets, who: str, *, hidden: bool) -> bool:
    """Whether a decision that `who` makes now is blind.

    entries   all reviews of the response, also withdrawn ones: after a first label the judge's
              label was shown, and undoing does not take that back
    hidden    the judge's label is not shown now, and the person did not come by a list that
              gives it away
    """
    start, end = place
    had_label = any(
        entry.review.who == who
        and entry.review.action in _WITH_LABEL
        and entry.review.start < end
        and start < entry.review.end
        for entry in entries
    )
    return hidden and not had_label
