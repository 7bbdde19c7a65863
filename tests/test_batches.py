"""Every column of a batch, worked out by hand: two pairs and a stand-in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from steps import sequence

from trainer.batches import ReferencedExample, collate_pairs, stand_in
from trainer.examples import Example


def item(name: str, chosen: Any, rejected: Any, *logps: list[float]) -> ReferencedExample:
    arrays = [np.array(values, dtype=np.float32) for values in logps]
    return ReferencedExample(
        example=Example(id=name, chosen=chosen, rejected=rejected),
        chosen_logps=arrays[0],
        rejected_logps=arrays[1],
    )


# Of a's chosen side token 13 is masked between active ones, and 15 behind the last of them.
FIRST = item(
    "a",
    sequence([11, 12, 13, 14, 15], 1, [0.5, 0.0, 1.0, 0.0]),
    sequence([11, 16, 17], 1, [0.0, 2.0]),
    [-1.0, -2.0, -3.0, -4.0],
    [-5.0, -6.0],
)
SECOND = item(
    "b",
    sequence([21, 22, 23], 2, [1.0]),
    sequence([21, 22, 24, 25], 2, [1.0, 1.0]),
    [-7.0],
    [-8.0, -9.0],
)
# place in [6 rows of 4], id, weight, reference, pair, side; active ones first, in their order
ACTIVE = [
    (0, 12, 0.5, -1.0, 0, 0),
    (2, 14, 1.0, -3.0, 0, 0),
    (4 + 1, 23, 1.0, -7.0, 1, 0),
    (12 + 1, 17, 2.0, -6.0, 0, 1),
    (16 + 1, 24, 1.0, -8.0, 1, 1),
    (16 + 2, 25, 1.0, -9.0, 1, 1),
]
BETWEEN = [(1, 13, 0.0, -2.0, 0, 0), (12, 16, 0.0, -5.0, 0, 1)]
NAMES = ("rows", "targets", "weights", "reference", "pairs", "sides")


def listed(batch: dict[str, Any]) -> list[tuple[float, ...]]:
    return list(zip(*(batch[name].tolist() for name in NAMES), strict=True))


def test_the_list_of_scored_tokens_has_the_active_ones_first() -> None:
    batch = collate_pairs([FIRST, SECOND, stand_in(FIRST)], "padded", "active")
    width = batch["input_ids"].shape[1]
    assert tuple(batch["input_ids"].shape) == (6, 3)
    moved = [(row // 4 * width + row % 4, *rest) for row, *rest in [*ACTIVE, *BETWEEN]]
    assert listed(batch) == moved
    assert batch["num_active"] == len(ACTIVE)
    assert batch["input_ids"].tolist()[:2] == [[11, 12, 13], [21, 22, 0]]
    assert batch["attention_mask"].sum(1).tolist() == [3, 2, 1, 2, 3, 1]


def test_evaluation_lists_the_whole_completion() -> None:
    batch = collate_pairs([FIRST, SECOND, stand_in(FIRST)], "padded", "completion")
    assert tuple(batch["input_ids"].shape) == (6, 4)
    masked = [BETWEEN[0], (3, 15, 0.0, -4.0, 0, 0), BETWEEN[1]]
    assert listed(batch) == [*ACTIVE, *masked]
    assert batch["num_active"] == len(ACTIVE) and batch["work"].num_rows == len(ACTIVE) + 3


@pytest.mark.parametrize("scored", ["active", "completion"])
def test_a_stand_in_is_no_pair_and_has_no_completion(scored: Any) -> None:
    """Nor tokens that count, even where its own side would have some."""
    filler = stand_in(FIRST)
    assert not filler.counts and filler.example.chosen.num_completion == 0
    batch = collate_pairs([filler, FIRST, SECOND], "padded", scored)
    assert batch["ids"] == ["a", "b"] and batch["counted"].tolist() == [False, True, True]
    assert (batch["num_pairs"], batch["num_completion"]) == (3, 4 + 2 + 1 + 2)
    assert set(batch["pairs"].tolist()) == {1, 2}


def test_without_stored_log_probabilities_there_is_no_such_column() -> None:
    bare = ReferencedExample(example=FIRST.example, chosen_logps=None, rejected_logps=None)
    batch = collate_pairs([bare, stand_in(bare)], "padded", "active")
    assert "reference" not in batch
    assert batch["targets"].tolist() == [12, 14, 17, 13, 16]
