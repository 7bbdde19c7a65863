"""Train or test, by topic. The rule: a topic's split depends only on its name and the seed.

So splits share no topic, and added data moves no row from one split to the other. All spellings of
one topic (`topics.topic_key`) are in the split of the least of them: only a new spelling can move
rows.
"""

from __future__ import annotations

from enum import StrEnum

from schemas.hashing import stable_fraction


class Split(StrEnum):
    """A split of the data set, by its name on the Hub."""

    TRAIN = "train"
    TEST = "test"


def split_of(*, topic: str, question_id: str, seed: int, test_share: float) -> Split:
    """The split of a row. For a row without a topic its question decides."""
    return Split.TEST if stable_fraction(seed, topic or question_id) < test_share else Split.TRAIN
