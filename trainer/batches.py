"""Batches: examples as padded tensors, all chosen sequences first, then all rejected ones.

The rule: padding is on the right and weighs 0, and a mask says where it is; no token id is
special, so id 0, or a padding id that is also end-of-text, trains like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.examples import Example, TokenSequence

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferencedExample:
    """An example with the reference's log-probabilities, one a completion token of each side."""

    example: Example
    chosen_logps: np.ndarray[Any, np.dtype[np.float32]]
    rejected_logps: np.ndarray[Any, np.dtype[np.float32]]


def collate_sequences(sequences: Sequence[TokenSequence]) -> dict[str, Tensor]:
    """All [S, T]: `input_ids`, `attention_mask` (int64), `completion_mask` (bool), `weights`."""
    import torch

    longest = max(len(sequence.token_ids) for sequence in sequences)
    shape = (len(sequences), longest)
    batch = {
        "input_ids": torch.zeros(shape, dtype=torch.int64),
        "attention_mask": torch.zeros(shape, dtype=torch.int64),
        "completion_mask": torch.zeros(shape, dtype=torch.bool),
        "weights": torch.zeros(shape, dtype=torch.float32),
    }
    for row, sequence in enumerate(sequences):
        length = len(sequence.token_ids)
        batch["input_ids"][row, :length] = torch.tensor(sequence.token_ids)
        batch["attention_mask"][row, :length] = 1
        batch["completion_mask"][row, sequence.first : length] = True
        batch["weights"][row, :length] = torch.tensor(sequence.weights)
    return batch


def collate_pairs(items: Sequence[ReferencedExample]) -> dict[str, Any]:
    """A batch of 2B sequences with `reference_logps` (float32 [2B, T]) and the pairs' `ids`."""
    import torch

    sides = [(item.example.chosen, item.chosen_logps) for item in items]
    sides += [(item.example.rejected, item.rejected_logps) for item in items]
    batch: dict[str, Any] = dict(collate_sequences([sequence for sequence, _ in sides]))
    reference = torch.zeros_like(batch["weights"])
    for row, (sequence, logps) in enumerate(sides):
        reference[row, sequence.first : len(sequence.token_ids)] = torch.from_numpy(logps)
    batch["reference_logps"] = reference
    batch["ids"] = [item.example.id for item in items]
    return batch
