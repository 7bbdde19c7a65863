"""The order of the pairs, the same for one process and for many.

The rule: every pair counts once per epoch. Accelerate gives each process the same number of batches
by repeating pairs, which would count those twice; here the order is padded with `STAND_IN` instead,
for which the data set returns an example that trains nothing. The order of the real pairs does not
depend on the number of processes, except when grouped by length: the size of a group is the number
of pairs that all processes take at a time.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

STAND_IN = -1
_MEGABATCH = 50  # batches among which lengths are sorted, as transformers does


class PairSampler(torch.utils.data.Sampler[int]):
    """Indices of an epoch, in batches of `batch_size` per process per step.

    With `lengths`, pairs of similar length are in the same batch: less padding, and processes wait
    less for each other. Without a seed the order is that of the data (evaluation).
    """

    def __init__(
        self,
        count: int,
        *,
        batch_size: int,
        num_processes: int,
        seed: int | None = None,
        lengths: Sequence[int] | None = None,
    ) -> None:
        self._count = count
        self._block = batch_size * num_processes
        self._seed = seed
        self._lengths = lengths
        self._filled = num_processes > 1
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; called by the data loader."""
        self.epoch = epoch

    def __len__(self) -> int:
        missing = -self._count % self._block if self._filled else 0
        return self._count + missing

    def __iter__(self) -> Iterator[int]:
        order = list(range(self._count))
        if self._seed is not None:
            # As in accelerate's SeedableRandomSampler: the same permutation, and the step to the
            # next epoch.
            generator = torch.Generator().manual_seed(self._seed + self.epoch)
            order = torch.randperm(self._count, generator=generator).tolist()
            if self._lengths is not None:
                order = _group(order, self._lengths, self._block)
        yield from order
        yield from [STAND_IN] * (len(self) - self._count)
        self.epoch += 1


def _group(order: Sequence[int], lengths: Sequence[int], block: int) -> list[int]:
    """Sort by length within megabatches; the longest pair is in the first block.

    A lack of memory then shows at once. The order of the blocks is random: a block is where `order`
    has the first of its pairs.
    """
    size = block * _MEGABATCH
    parts = [
        sorted(order[start : start + size], key=lambda index: -lengths[index])
        for start in range(0, len(order), size)
    ]
    blocks = [part[at : at + block] for part in parts for at in range(0, len(part), block)]
    # At most one block, of the last megabatch, is short; it must be last.
    whole, short = [b for b in blocks if len(b) == block], [b for b in blocks if len(b) < block]
    if not whole:
        return [index for block_ in short for index in block_]
    longest = max(whole, key=lambda block_: lengths[block_[0]])
    if short and lengths[short[0][0]] > lengths[longest[0]]:
        short[0][0], longest[0] = longest[0], short[0][0]
    rank = {index: place for place, index in enumerate(order)}
    drawn = sorted((b for b in whole if b is not longest), key=lambda b: min(rank[i] for i in b))
    return [index for block_ in [longest, *drawn, *short] for index in block_]
