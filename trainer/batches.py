"""Batches: examples laid out as tensors, with every scored token in one flat list.

The rule: no token id is special. The list of scored tokens alone decides what trains, what is
padding and what is prompt, so id 0, or a padding id that is also end-of-text, trains like any
other. The list has the active tokens (those with non-zero weight) first, so that a training step
scores a prefix of it.

Keys of a batch (R rows of width T, S segments, N scored tokens, B pairs):

    input_ids [R, T]; attention_mask [R, T] (padded layout) or segments [1, 1, S, 4]; position_ids
    rows [N]          index in R x T of the hidden state that predicts the token
    targets [N]       its id
    weights [N]       its weight, float32
    reference [N]     the reference's log-probability of it; absent when computed during training
    pairs [N]         which pair of the batch, 0 to B-1
    sides [N]         0 chosen, 1 rejected
    num_active        how many of the N are active; they come first
    counted [B]       whether the pair counts; false for padding of a process's last batch
    ids               of the pairs that count
    num_pairs, num_completion    B, and the completion tokens of the pairs that count
    work              `trainer.flops.Work`: the operations of the batch
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.examples import Example, TokenSequence
from trainer.flops import measure_work
from trainer.layouts import Arrangement, Layout, Scored, arrange

if TYPE_CHECKING:
    Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferencedExample:
    """An example with the reference's log-probabilities, one per completion token of each side.

    They are None where the reference is computed in each step. `counts` is false for the
    placeholder that pads the last batch of a process: none of its tokens is scored.
    """

    example: Example
    chosen_logps: Floats | None
    rejected_logps: Floats | None
    counts: bool = True


def stand_in(item: ReferencedExample) -> ReferencedExample:
    """The shortest example that trains nothing: two tokens per side, none scored."""

    def empty(sequence: TokenSequence) -> TokenSequence:
        return TokenSequence(token_ids=sequence.token_ids[:2], weights=[0.0, 0.0], first=2)

    return ReferencedExample(
        example=Example(
            id=item.example.id,
            chosen=empty(item.example.chosen),
            rejected=empty(item.example.rejected),
        ),
        chosen_logps=item.chosen_logps if item.chosen_logps is None else item.chosen_logps[:0],
        rejected_logps=(
            item.rejected_logps if item.rejected_logps is None else item.rejected_logps[:0]
        ),
        counts=False,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PairCollator:
    """Collator: turns items of a data loader into a batch, in one layout."""

    layout: Layout
    scored: Scored = "active"

    def __call__(self, items: Sequence[ReferencedExample]) -> dict[str, Any]:
        """The batch of `items`, which has at least one pair."""
        return collate_pairs(items, self.layout, self.scored)


def collate_pairs(
    items: Sequence[ReferencedExample], layout: Layout, scored: Scored
) -> dict[str, Any]:
    """A batch as the module describes it.

    `scored="active"` also lists, after the active tokens, the masked tokens before each side's last
    active one: their hidden states are computed anyway, and the monitors use them.
    """
    import torch

    arrangement = arrange([item.example for item in items], layout, scored)
    sides = [item.chosen_logps for item in items] + [item.rejected_logps for item in items]
    batch = lay_tensors(arrangement)
    batch |= list_scored(arrangement, sides, num_pairs=len(items))
    batch["ids"] = [item.example.id for item in items if item.counts]
    batch["counted"] = torch.tensor([item.counts for item in items])
    batch["num_pairs"] = len(items)
    batch["num_completion"] = sum(side.num_completion for side in _sides(items))
    num_rows = batch["num_active"] if scored == "active" else len(batch["rows"])
    batch["work"] = measure_work(arrangement, num_rows=num_rows)
    return batch


def _sides(items: Sequence[ReferencedExample]) -> list[TokenSequence]:
    counted = [item.example for item in items if item.counts]
    return [side for example in counted for side in (example.chosen, example.rejected)]


def lay_tensors(arrangement: Arrangement) -> dict[str, Any]:
    """The model's arguments: token ids, positions, and which token sees which."""
    import torch

    input_ids = torch.zeros((len(arrangement.rows), arrangement.width), dtype=torch.int64)
    for row, ids in zip(input_ids, arrangement.rows, strict=True):
        row[: len(ids)] = torch.from_numpy(ids)
    if not arrangement.segments:
        mask = torch.zeros_like(input_ids)
        for row, ids in zip(mask, arrangement.rows, strict=True):
            row[: len(ids)] = 1
        return {"input_ids": input_ids, "attention_mask": mask}
    from trainer.attention import encode_segments

    positions = [
        np.arange(s.end - s.start, dtype=np.int64) + s.first_position for s in arrangement.segments
    ]
    return {
        "input_ids": input_ids,
        "position_ids": torch.from_numpy(np.concatenate(positions))[None],
        "segments": encode_segments(arrangement.segments),
    }


def list_scored(
    arrangement: Arrangement, logps: Sequence[Floats | None], *, num_pairs: int
) -> dict[str, Any]:
    """The flat list of scored tokens, active ones first."""
    import torch

    columns: dict[str, list[Any]] = {
        name: [] for name in ("rows", "targets", "weights", "reference", "pairs", "sides")
    }
    for index, (placed, reference) in enumerate(zip(arrangement.placed, logps, strict=True)):
        sequence, scored = placed.sequence, placed.scored
        columns["rows"].append(placed.places)
        columns["targets"].append(np.asarray(sequence.token_ids, dtype=np.int64)[scored])
        columns["weights"].append(np.asarray(sequence.weights, dtype=np.float32)[scored])
        columns["pairs"].append(np.full(len(scored), index % num_pairs, dtype=np.int64))
        columns["sides"].append(np.full(len(scored), index // num_pairs, dtype=np.int64))
        if reference is not None:
            columns["reference"].append(reference[scored - sequence.first])
    joined = {name: np.concatenate(parts) for name, parts in columns.items() if parts}
    active_first = np.argsort(joined["weights"] == 0, kind="stable")
    listed: dict[str, Any] = {
        name: torch.from_numpy(values[active_first]) for name, values in joined.items()
    }
    listed["num_active"] = int(np.count_nonzero(joined["weights"]))
    return listed
