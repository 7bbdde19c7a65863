"""Exact sampling with a random stream per row: temperature, top-p, then the Gumbel-max trick.

If G_v are independent standard Gumbel draws, argmax_v (log p_v + G_v) is a draw from p (Gumbel
1954; Maddison et al. 2014, arXiv 1411.0030). Sampling becomes greedy decoding over noisy scores,
and the noise can come from a separate generator for each row.

The rule: a row's noise depends on its seed, the step and the vocabulary size, never on the rows
next to it. Noise is drawn `steps_a_block` steps at a time, a number that depends only on the
vocabulary, so one call per row is enough for many steps of a small model:

    vocabulary 300      64 steps per call      152,000      1 step per call
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MAX_STEPS_A_BLOCK = 64
MAX_BLOCK_NUMBERS = 1 << 16


def steps_a_block(vocab_size: int) -> int:
    """How many steps of noise a row draws in one call: at least 1, at most 64."""
    return max(1, min(MAX_STEPS_A_BLOCK, MAX_BLOCK_NUMBERS // vocab_size))


def keep_nucleus(logits_BV: torch.Tensor, top_p: float) -> torch.Tensor:
    """-inf outside the smallest set of most likely tokens whose probabilities reach `top_p`.

    Holtzman et al. 2020, arXiv 1904.09751, section 3.1. At least one token is always kept.
    """
    sorted_BV, order_BV = logits_BV.sort(dim=-1, descending=True)
    probs_BV = sorted_BV.softmax(dim=-1)
    mass_before_BV = probs_BV.cumsum(dim=-1) - probs_BV
    outside_BV = mass_before_BV >= top_p
    outside_BV[:, 0] = False
    return logits_BV.masked_fill(outside_BV.scatter(1, order_BV, outside_BV), float("-inf"))


class RowNoise:
    """A logits processor for `generate(do_sample=False)` that makes its argmax a sample.

    seeds        one per row of the batch
    prompt_size  tokens before the first step, padding included; gives the number of the step
    """

    def __init__(
        self, *, seeds: Sequence[int], prompt_size: int, temperature: float, top_p: float
    ) -> None:
        self._seeds = list(seeds)
        self._prompt_size = prompt_size
        self._temperature = temperature
        self._top_p = top_p
        self._generators: list[torch.Generator] = []
        self._block_SBV: torch.Tensor | None = None
        self._num_drawn = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Noisy scores [B, V] for the step after `input_ids` [B, T]."""
        logits_BV = scores / self._temperature
        if self._top_p < 1.0:
            logits_BV = keep_nucleus(logits_BV, self._top_p)
        return logits_BV + self._noise(input_ids.shape[1] - self._prompt_size, logits_BV)

    def _noise(self, step: int, like_BV: torch.Tensor) -> torch.Tensor:
        vocab_size = like_BV.shape[1]
        while self._block_SBV is None or step >= self._num_drawn:
            self._block_SBV = self._draw_block(vocab_size, like_BV.device)
            self._num_drawn += self._block_SBV.shape[0]
        return self._block_SBV[step - self._num_drawn]

    def _draw_block(self, vocab_size: int, device: torch.device) -> torch.Tensor:
        """Gumbel noise [S, B, V] for the next S steps, each row from its own stream."""
        import torch

        if not self._generators:
            self._generators = [
                torch.Generator(device=device).manual_seed(seed) for seed in self._seeds
            ]
        shape = (steps_a_block(vocab_size), len(self._seeds), vocab_size)
        # Double precision: with 24 random bits per draw every token of a large vocabulary would
        # have a probability of at least about 6e-8.
        uniform_SBV = torch.empty(shape, dtype=torch.float64, device=device)
        for row, generator in enumerate(self._generators):
            uniform_SBV[:, row] = torch.rand(
                (shape[0], vocab_size), dtype=torch.float64, device=device, generator=generator
            )
        smallest = torch.finfo(torch.float64).tiny
        exponential_SBV = uniform_SBV.clamp_(min=smallest).log_().neg_()
        return exponential_SBV.clamp_(min=smallest).log_().neg_().float()
