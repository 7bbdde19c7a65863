"""Log-probabilities of chosen tokens without keeping a second copy of the logits.

The rule: of [N, V] there are at most two tensors, the logits and, in the backward pass, their
gradient; everything else is made a block of rows at a time. (A plain gather and log-sum-exp keeps
four: with V = 151,936 that is the memory of the step.) Float32 inside, whatever the model computes
in.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK_FLOATS = 1 << 24  # a block of at most 64 MiB


def select_logps(logits_NV: Tensor, targets_N: Tensor) -> Tensor:
    """Float32 log-probability of each target, [N]; differentiable in the logits."""
    selected: Tensor = _SelectLogps.apply(logits_NV, targets_N)  # type: ignore[no-untyped-call]
    return selected


class _SelectLogps(torch.autograd.Function):
    """log softmax(x)[target], whose gradient is g * (onehot(target) - softmax(x))."""

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor) -> Tensor:
        totals_N = logits_NV.new_empty(targets_N.shape, dtype=torch.float32)
        for rows in _blocks(logits_NV):
            torch.logsumexp(logits_NV[rows].float(), dim=-1, out=totals_N[rows])
        ctx.save_for_backward(logits_NV, targets_N, totals_N)
        return logits_NV.gather(-1, targets_N.unsqueeze(-1)).squeeze(-1).float() - totals_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        logits_NV, targets_N, totals_N = ctx.saved_tensors
        (gradient_N,) = gradients
        result_NV = torch.empty_like(logits_NV)
        for rows in _blocks(logits_NV):
            # The first step makes a new tensor: float32 logits would otherwise be changed in place.
            block = (logits_NV[rows].float() - totals_N[rows].unsqueeze(-1)).exp_()
            result_NV[rows] = block.mul_(-gradient_N[rows].unsqueeze(-1)).to(result_NV.dtype)
        places = targets_N.unsqueeze(-1)
        result_NV.scatter_add_(-1, places, gradient_N.unsqueeze(-1).to(result_NV.dtype))
        return result_NV, None


def _blocks(logits_NV: Tensor) -> list[slice]:
    num_rows, width = logits_NV.shape
    size = max(BLOCK_FLOATS // max(width, 1), 1)
    return [slice(start, start + size) for start in range(0, num_rows, size)]
