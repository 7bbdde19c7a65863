"""The LM head, computed only for the tokens that are scored.

The rule: logits are computed only for the positions that the batch lists, and log-probabilities are
float32 whatever the model computes in. There are two ways:

    inside    log-probabilities are computed within the LM head's own call, in chunks of rows if the
              logits would exceed a byte budget (a chunk is computed again in the backward pass).
              The call returns one number per token, so this is for models that do not change their
              logits.
    after     the LM head gets the listed rows, the model changes the logits as it does (soft
              caps, scales), and log-probabilities are computed from the result.

`trainer.choice` checks on real tokens which of them a model allows.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trainer.attention import computing_dtype
from trainer.logps import SIXTEEN_BITS, select_logps

DEFAULT_BYTES = 1 << 29
# On a GPU each chunk casts the LM head once more: few large chunks. By bytes of the device.
_GPU_BYTES, _LARGE_GPU_BYTES, _LARGE_GPU = 2 << 30, 4 << 30, 64e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """How to compute log-probabilities: `inside` as above; the most bytes of logits at a time."""

    inside: bool
    max_bytes: int = DEFAULT_BYTES


def score_tokens(
    model: Any, batch: Mapping[str, Any], head: Head, *, num_graded: int | None = None
) -> Tensor:
    """Log-probabilities of the listed tokens, float32 [N], through one forward pass.

    The first `num_graded` are differentiable, all by default; the others are only monitored and
    cost no backward pass.
    """
    rows_N, targets_N = batch["rows"], batch["targets"]
    graded = len(rows_N) if num_graded is None else num_graded
    matrix = unwrap(model).get_output_embeddings()
    if head.inside:
        with _scoring(matrix, rows_N, targets_N, graded, head.max_bytes):
            output = _forward(model, batch)
        scored: Tensor = output.logits.reshape(-1)
        return scored
    with _selecting(matrix, rows_N):
        output = _forward(model, batch)
    logits_NV = output.logits.squeeze(0)
    first_N = select_logps(logits_NV[:graded], targets_N[:graded])
    if graded == len(rows_N):
        return first_N
    with torch.no_grad():
        rest_N = select_logps(logits_NV[graded:].detach(), targets_N[graded:])
    return torch.cat([first_N, rest_N])


def head_bytes(megabytes: int | None, device: torch.device) -> int:
    """The most bytes of logits at a time: `megabytes` MiB, or by default what suits the device."""
    if megabytes is not None:
        return megabytes << 20
    if device.type != "cuda":
        return DEFAULT_BYTES
    total = torch.cuda.get_device_properties(device).total_memory
    return _LARGE_GPU_BYTES if total >= _LARGE_GPU else _GPU_BYTES


def autocast(device: torch.device, dtype: torch.dtype) -> Any:
    """The context in which a model of float32 weights computes in `dtype`."""
    # A cast weight is used once per pass: a cache would hold all of them at its end.
    return torch.autocast(
        device.type, dtype=dtype, enabled=dtype != torch.float32, cache_enabled=False
    )


def unwrap(model: Any) -> Any:
    """The model inside DistributedDataParallel; any other model unchanged."""
    return getattr(model, "module", model)


def _forward(model: Any, batch: Mapping[str, Any]) -> Any:
    input_ids = batch["input_ids"]
    if "segments" not in batch:
        return model(input_ids=input_ids, attention_mask=batch["attention_mask"], use_cache=False)
    return model(
        input_ids=input_ids,
        attention_mask=batch["segments"],
        position_ids=batch["position_ids"],
        use_cache=False,
    )


@contextmanager
def _selecting(matrix: Any, rows_N: Tensor) -> Iterator[None]:
    """Within the block, the LM head gets [1, N, H] of the hidden states instead of [R, T, H]."""
    handle = matrix.register_forward_pre_hook(
        lambda _, arguments: (arguments[0].flatten(0, 1)[rows_N][None], *arguments[1:])
    )
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _scoring(
    matrix: Any, rows_N: Tensor, targets_N: Tensor, graded: int, max_bytes: int
) -> Iterator[None]:
    """Within the block, the LM head returns log-probabilities [1, N, 1] instead of logits."""
    apply = matrix.forward  # as replaced by an adapter, a quantiser or FSDP

    def score(hidden_RTH: Tensor) -> Tensor:
        hidden_NH = hidden_RTH.flatten(0, 1)[rows_N]
        # Per logit: float32, or float32 plus 16 bits.
        num_bytes = 4 if computing_dtype(hidden_NH) not in SIXTEEN_BITS else 6
        size = max(max_bytes // (num_bytes * matrix.weight.shape[0]), 1)
        scored = [_score_chunks(apply, hidden_NH[:graded], targets_N[:graded], size)]
        if graded < len(targets_N):
            with torch.no_grad():
                rest = _score_chunks(apply, hidden_NH[graded:], targets_N[graded:], size)
            scored.append(rest)
        # A copy, N floats: FSDP warns about a module that returns a view.
        return torch.cat(scored)[None, :, None].clone()

    matrix.forward = score
    try:
        yield
    finally:
        del matrix.forward  # remove the instance's attribute; the class's own is used again
        if matrix.forward != apply:  # it was an attribute of the instance before
            matrix.forward = apply


def _score_chunks(apply: Any, hidden_NH: Tensor, targets_N: Tensor, size: int) -> Tensor:
    """Log-probabilities [N], `size` rows of logits at a time."""

    def score_chunk(hidden: Tensor, targets: Tensor) -> Tensor:
        return select_logps(apply(hidden), targets, overwrite=True)

    if len(targets_N) <= size:
        return score_chunk(hidden_NH, targets_N)
    size = -(-len(targets_N) // -(-len(targets_N) // size))  # as many chunks, of similar size
    parts = zip(torch.split(hidden_NH, size), torch.split(targets_N, size), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([score_chunk(hidden, targets) for hidden, targets in parts])
    return torch.cat(
        [
            checkpoint(score_chunk, *part, use_reentrant=False, preserve_rng_state=False)
            for part in parts
        ]
    )
