"""Pairs that people dropped are left out of the selection of their question. Pure.

The rule: selection comes first, and a dropped pair is then left out without a replacement. So what
people looked at stays as it was: dropping one pair adds no other pair that nobody has seen, and a
data set with drops is the one without them, less those pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dataset_builder.select import Selection
from dataset_builder.strategies import Choice
from dataset_builder.unused import Unused
from schemas.reviews import text_sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Remaining:
    """A selection without the dropped pairs.

    num_dropped   pairs that were left out
    num_used      decisions of people that did it: two people may have dropped one pair
    """

    selection: Selection
    num_dropped: int = 0
    num_used: int = 0


def leave_out(selection: Selection, dropped: Mapping[tuple[str, str], int]) -> Remaining:
    """The selection without the pairs in `dropped`.

    dropped   by the SHA-256 of the chosen and of the rejected text, how many people dropped it

    A response that was in dropped pairs only is unused `by_people`; so is the whole question where
    no pair is left.
    """
    if not dropped:
        return Remaining(selection=selection)
    kept: list[Choice] = []
    left_out: list[Choice] = []
    used: set[tuple[str, str]] = set()
    for choice in selection.choices:
        key = (
            text_sha256(choice.chosen.annotation.text),
            text_sha256(choice.rejected.annotation.text),
        )
        if key in dropped:
            used.add(key)
            left_out.append(choice)
        else:
            kept.append(choice)
    if not left_out:
        return Remaining(selection=selection)
    in_pairs = {name for choice in kept for name in _ids(choice)}
    unused = dict(selection.unused)
    for choice in left_out:
        unused |= {name: Unused.BY_PEOPLE for name in _ids(choice) if name not in in_pairs}
    return Remaining(
        selection=Selection(
            choices=kept, unused=unused, dropped=None if kept else Unused.BY_PEOPLE
        ),
        num_dropped=len(left_out),
        num_used=sum(dropped[key] for key in used),
    )


def _ids(choice: Choice) -> tuple[str, str]:
    return choice.chosen.annotation.id, choice.rejected.annotation.id
