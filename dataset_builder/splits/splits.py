"""Train or test, by topic. The rule: a topic's split depends on its name and the seed alone.

So splits share no topic, and adding data moves no row from one split to the other. All spellings
of one topic (`topics.topic_key`) go where the least of them goes: only a new spelling can move
rows.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.hashing import stable_fraction


class Split(StrEnum):
    """A part of the data set, by its name on the Hub."""

    TRAIN = "train"
    TEST = "test"


def split_of(*, topic: str, question_id: str, seed: int, test_share: float) -> Split:
    """The split of a row. A row without a topic is split by its question."""
    return Split.TEST if stable_fraction(seed, topic or question_id) < test_share else Split.TRAIN
