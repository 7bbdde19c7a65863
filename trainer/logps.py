"""Log-probabilities of chosen tokens without keeping a second copy of the logits.

The rule: at most two [N, V] tensors exist at a time: the logits and, in the backward pass, their
gradient. With `overwrite=True` and float32 logits there is one: the logits become
log-probabilities, then the gradient, in place. For 16-bit logits the peak is 6 bytes per logit
(float32 log-probabilities plus the 16-bit gradient). Everything else is computed for some rows at a
time (on a CPU, few enough to fit in its cache). A plain gather and log-sum-exp keeps four such
tensors: with V = 151,936 they dominate the memory of the step. All sums are float32, whatever the
model computes in.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

SIXTEEN_BITS = {torch.bfloat16, torch.float16}
BLOCK_FLOATS = {"cpu": 1 << 18, "cuda": 1 << 26}  # 1 MiB; 256 MiB, since launches cost more


def select_logps(logits_NV: Tensor, targets_N: Tensor, *, overwrite: bool = False) -> Tensor:
    """Float32 log-probability of each target, [N], from logits [N, V]; differentiable in them.

    `overwrite` reuses the memory of the logits: only for callers that computed them and know that
    nothing else reads them.
    """
    selected: Tensor = _SelectLogps.apply(logits_NV, targets_N, overwrite)  # type: ignore[no-untyped-call]
    return selected


class _SelectLogps(torch.autograd.Function):
    """log softmax(x)[target], whose gradient is g * (onehot(target) - softmax(x))."""

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, targets_N: Tensor, overwrite: bool) -> Tensor:
        places = targets_N.unsqueeze(-1)
        ctx.overwrites, ctx.dtype = overwrite, logits_NV.dtype
        if overwrite:
            # The backward pass reuses these log-probabilities.
            logps_NV = _log_softmax(logits_NV)
            ctx.save_for_backward(logps_NV, targets_N)
            return logps_NV.gather(-1, places).squeeze(-1).float()
        totals_N = logits_NV.new_empty(targets_N.shape, dtype=torch.float32)
        for rows in _blocks(logits_NV):
            totals_N[rows] = torch.logsumexp(logits_NV[rows].float(), dim=-1)
        ctx.save_for_backward(logits_NV, targets_N, totals_N)
        return logits_NV.gather(-1, places).squeeze(-1).float() - totals_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits_NV, targets_N, *totals = ctx.saved_tensors
        (gradient_N,) = gradients
        result_NV = logits_NV.detach() if ctx.overwrites else torch.empty_like(logits_NV)
        for rows in _blocks(logits_NV):
            pull = -gradient_N[rows].unsqueeze(-1)
            if ctx.overwrites:
                result_NV[rows].exp_().mul_(pull)
            else:
                block = logits_NV[rows].float() - totals[0][rows].unsqueeze(-1)
                result_NV[rows] = block.exp_().mul_(pull)
        places = targets_N.unsqueeze(-1)
        result_NV.scatter_add_(-1, places, gradient_N.unsqueeze(-1).to(result_NV.dtype))
        return result_NV.to(ctx.dtype), None, None


def _log_softmax(logits_NV: Tensor) -> Tensor:
    """In place, except for 16-bit logits: those get a float32 tensor."""
    logps_NV = logits_NV
    if logits_NV.dtype in SIXTEEN_BITS:
        logps_NV = torch.empty_like(logits_NV, dtype=torch.float32)
    for rows in _blocks(logits_NV):
        torch.log_softmax(logits_NV[rows].to(logps_NV.dtype), dim=-1, out=logps_NV[rows])
    return logps_NV


def _blocks(logits_NV: Tensor) -> list[slice]:
    num_rows, width = logits_NV.shape
    size = max(BLOCK_FLOATS.get(logits_NV.device.type, 1 << 24) // max(width, 1), 1)
    return [slice(start, start + size) for start in range(0, num_rows, size)]
