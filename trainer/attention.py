"""Attention over segments: one rule of who sees whom, computed by whatever suits the device.

The rule, for tokens q and k of a row (see `trainer.layouts`):

    q sees k   if k lies in q's segment and not after q, or in the prefix of q's segment

On a CPU each segment is a call of PyTorch's fused attention on exactly the keys it sees: what a
mask would hide is not computed. (A dense mask over the row computes all of it: for 8 pairs in a
row some 15 times as much.) On a GPU it is FlexAttention with a block mask. Batches with an
ordinary padding mask go to transformers' own SDPA.

Models reach this through transformers' attention interface, under the name `maskdpo`. The segments
travel as the 4D attention mask, which transformers hands on untouched, so that a checkpointed layer
that is computed again in the backward pass still has them.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from trainer.layouts import Segment

NAME = "maskdpo"


def register() -> None:
    """Make the name `maskdpo` known to transformers; harmless when done again."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def encode_segments(segments: Sequence[Segment]) -> Tensor:
    """Segments as the int64 tensor [1, 1, S, 4] that models pass through as their mask."""
    values = [[s.start, s.end, s.prefix_start, s.prefix_end] for s in segments]
    return torch.tensor(values, dtype=torch.int64)[None, None]


def block_mask(segments_11S4: Tensor, width: int) -> Any:
    """FlexAttention's mask of a row of `width` tokens, which the segments cover."""
    from torch.nn.attention.flex_attention import create_block_mask

    device = segments_11S4.device
    # Building it uncompiled would lay out the dense mask first.
    compiled = device.type == "cuda"
    return create_block_mask(
        _visibility(segments_11S4, width),
        None,
        None,
        width,
        width,
        device=device,
        _compile=compiled,
    )


def dense_mask(segments_11S4: Tensor, width: int) -> Tensor:
    """The rule written out, bool [1, 1, width, width], True where q (rows) sees k (columns)."""
    at = torch.arange(width, device=segments_11S4.device)
    sees = _visibility(segments_11S4, width)
    return torch.as_tensor(sees(None, None, at[:, None], at[None, :]))[None, None]


def attend(  # noqa: PLR0917 (the order of transformers' interface)
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, Any]:
    """transformers' attention interface: queries [B, heads, T, D] to outputs [B, T, heads, D].

    Raises NotImplementedError for what changes scores between segments (caps, biases, sinks).
    """
    from torch.nn.attention.flex_attention import BlockMask
    from transformers.integrations.flex_attention import flex_attention_forward
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if isinstance(attention_mask, BlockMask):
        return flex_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    if attention_mask is None or attention_mask.dtype != torch.int64:
        return sdpa_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    for name in ("softcap", "position_bias", "s_aux"):
        if others.get(name) is not None:
            raise NotImplementedError(f"attention over segments with {name}")
    return attend_segments(query, key, value, attention_mask, scaling=scaling), None


def attend_segments(
    query_1HTD: Tensor,
    key_1KTD: Tensor,
    value_1KTD: Tensor,
    segments_11S4: Tensor,
    *,
    scaling: float | None,
) -> Tensor:
    """Attention of one row, [1, T, H, D]; H is a multiple of K (grouped queries)."""
    segments = [
        Segment(start=a, end=b, prefix_start=c, prefix_end=d)
        for a, b, c, d in segments_11S4[0, 0].tolist()
    ]
    lengths = [segment.end - segment.start for segment in segments]
    # One split and not slices: the gradient of a slice is a row of zeros as long as the batch.
    queries = torch.split(query_1HTD, lengths, dim=2)
    keys = torch.split(key_1KTD, lengths, dim=2)
    values = torch.split(value_1KTD, lengths, dim=2)
    index_of_start = {segment.start: index for index, segment in enumerate(segments)}
    grouped = query_1HTD.shape[1] != key_1KTD.shape[1]
    outputs = []
    for index, segment in enumerate(segments):
        k, v, mask = keys[index], values[index], None
        if segment.first_position:
            source = index_of_start[segment.prefix_start]
            k = torch.cat([keys[source][:, :, : segment.first_position], k], dim=2)
            v = torch.cat([values[source][:, :, : segment.first_position], v], dim=2)
            mask = _lower_right(lengths[index], k.shape[2], query_1HTD.device)
        outputs.append(
            scaled_dot_product_attention(
                queries[index],
                k,
                v,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=grouped,
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous()


def _lower_right(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """Bool [queries, keys]: the last query sees all keys, the one before all but the last, ..."""
    ones = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    return ones.tril(num_keys - num_queries)


def _visibility(segments_11S4: Tensor, width: int) -> Any:
    """The rule as a function of (batch, head, q, k), as FlexAttention takes it."""
    bounds_S4 = segments_11S4[0, 0]
    bounds_T4 = bounds_S4.repeat_interleave(
        bounds_S4[:, 1] - bounds_S4[:, 0], dim=0, output_size=width
    )
    start_T, _, prefix_start_T, prefix_end_T = bounds_T4.unbind(dim=1)

    def sees(_batch: Any, _head: Any, q: Any, k: Any) -> Any:
        own = (k >= start_T[q]) & (k <= q)
        return own | ((k >= prefix_start_T[q]) & (k < prefix_end_T[q]))

    return sees
