"""Attention over segments: one visibility rule, computed by the kernel that suits the device.

The rule, for tokens q and k of a row (see `trainer.layouts`):

    q sees k   if k is in q's segment and not after q, or in the prefix of q's segment

Equivalently: put a copy of the prefix's keys in front of each segment's own keys. The result is
causal attention in which the last query sees all keys. What a mask would hide is never computed.

    GPU, 16 bits   one call of FlashAttention for all segments (PyTorch's `varlen_attn`)
    otherwise      a call of PyTorch's fused attention for each segment

Batches with an ordinary padding mask go to transformers' own SDPA. (FlexAttention with a block mask
was measured too and was removed: docs/training.md has the figures.)

Models call this through transformers' attention interface, under the name `maskdpo`. The segments
are passed as the 4D attention mask, which transformers does not change, so that a checkpointed
layer that is recomputed in the backward pass still has them.

This module imports torch at its head: only code that already has a model imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.weak import WeakTensorKeyDictionary

from trainer.layouts import Segment

NAME = "maskdpo"
LARGEST_HEAD = 256  # of FlashAttention


def register() -> None:
    """Register the name `maskdpo` with transformers; calling it again is harmless."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def encode_segments(segments: Sequence[Segment]) -> Tensor:
    """Segments as the int64 tensor [1, 1, S, 4] that models pass through as their mask."""
    values = [[s.start, s.end, s.prefix_start, s.prefix_end] for s in segments]
    return torch.tensor(values, dtype=torch.int64)[None, None]


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
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if attention_mask is None or attention_mask.dtype != torch.int64:
        return sdpa_attention_forward(  # type: ignore[no-any-return]
            module, query, key, value, attention_mask, scaling=scaling, **others
        )
    for name in ("softcap", "position_bias", "s_aux"):
        if others.get(name) is not None:
            raise NotImplementedError(f"attention over segments with {name}")
    dtype = computing_dtype(query)
    if _suits_flash(query, value, dtype):
        # After float32 position embeddings, queries and keys are float32 even under autocast.
        query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
        return attend_at_once(query, key, value, attention_mask, scaling=scaling), None
    return attend_segments(query, key, value, attention_mask, scaling=scaling), None


def attend_at_once(
    query_1HTD: Tensor,
    key_1KTD: Tensor,
    value_1KTD: Tensor,
    segments_11S4: Tensor,
    *,
    scaling: float | None,
) -> Tensor:
    """Attention of one row, [1, T, H, D], in one call on a GPU, in 16 bits."""
    from torch.nn.attention.varlen import varlen_attn

    plan = _plan(segments_11S4)
    query_THD, key_TKD, value_TKD = (
        tensor[0].transpose(0, 1) for tensor in (query_1HTD, key_1KTD, value_1KTD)
    )
    if plan.has_prefixes:
        key_TKD, value_TKD = (take_keys(tensor, plan) for tensor in (key_TKD, value_TKD))
    output_THD: Any = varlen_attn(
        query_THD,
        key_TKD,
        value_TKD,
        plan.query_ends,
        plan.key_ends,
        plan.most_queries,
        plan.most_keys,
        scale=scaling,
        window_size=(-1, 0),  # causal: the last query of a segment sees all its keys
        enable_gqa=query_THD.shape[1] != key_TKD.shape[1],
    )
    attended: Tensor = output_THD[None]
    return attended


def attend_segments(
    query_1HTD: Tensor,
    key_1KTD: Tensor,
    value_1KTD: Tensor,
    segments_11S4: Tensor,
    *,
    scaling: float | None,
) -> Tensor:
    """Attention of one row, [1, T, H, D]; H is a multiple of K (grouped queries)."""
    segments = _plan(segments_11S4).segments
    lengths = [segment.end - segment.start for segment in segments]
    num_groups = query_1HTD.shape[1] // key_1KTD.shape[1]
    if num_groups > 1 and query_1HTD.is_cuda:
        # No fused GPU kernel accepts grouped heads in float32.
        key_1KTD = key_1KTD.repeat_interleave(num_groups, dim=1)
        value_1KTD = value_1KTD.repeat_interleave(num_groups, dim=1)
        num_groups = 1
    # One split instead of slices: the gradient of a slice is a full-length tensor of zeros.
    queries = torch.split(query_1HTD, lengths, dim=2)
    keys = torch.split(key_1KTD, lengths, dim=2)
    values = torch.split(value_1KTD, lengths, dim=2)
    index_of_start = {segment.start: index for index, segment in enumerate(segments)}
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
                enable_gqa=num_groups > 1,
            )
        )
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous()


def _lower_right(num_queries: int, num_keys: int, device: torch.device) -> Tensor:
    """Bool [queries, keys]: the last query sees all keys, the one before all but the last, ..."""
    ones = torch.ones(num_queries, num_keys, dtype=torch.bool, device=device)
    return ones.tril(num_keys - num_queries)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Segments, with the indices for one call for all of them: the segments' keys, end to end.

    query_ends, key_ends    int32 [S + 1]: where each segment's queries and keys end, from 0
    keys                    [K]: the token whose key is at each position
    own                     [T]: the position of each token's key in its own segment
    prefixes, copies        [K-T]: tokens that are keys in another segment too, and their positions
    """

    segments: Sequence[Segment]
    query_ends: Tensor
    key_ends: Tensor
    most_queries: int
    most_keys: int
    keys: Tensor
    own: Tensor
    prefixes: Tensor
    copies: Tensor

    @property
    def has_prefixes(self) -> bool:
        """Whether any segment sees tokens of another."""
        return len(self.prefixes) > 0


def make_plan(segments: Sequence[Segment], device: torch.device) -> Plan:
    """The plan of segments that cover a row from its first token to its last."""
    keys: list[int] = []
    own: list[int] = []
    prefixes: list[int] = []
    copies: list[int] = []
    query_ends, key_ends = [0], [0]
    for segment in segments:
        start, first = key_ends[-1], segment.first_position
        end = start + first + segment.end - segment.start
        prefix = range(segment.prefix_start, segment.prefix_end)
        keys += [*prefix, *range(segment.start, segment.end)]
        prefixes += prefix
        copies += range(start, start + first)
        own += range(start + first, end)
        query_ends.append(segment.end)
        key_ends.append(end)

    def longest(ends: Sequence[int]) -> int:
        return max(end - start for start, end in pairwise(ends))

    def tensor(values: Sequence[int], dtype: torch.dtype = torch.int64) -> Tensor:
        return torch.tensor(values, dtype=dtype).to(device)

    return Plan(
        segments=segments,
        query_ends=tensor(query_ends, torch.int32),
        key_ends=tensor(key_ends, torch.int32),
        most_queries=longest(query_ends),
        most_keys=longest(key_ends),
        keys=tensor(keys),
        own=tensor(own),
        prefixes=tensor(prefixes),
        copies=tensor(copies),
    )


def take_keys(tokens_TKD: Tensor, plan: Plan) -> Tensor:
    """Keys or values of all segments, end to end: [T, heads, D] to [K, heads, D]."""
    taken: Tensor = _TakeKeys.apply(tokens_TKD, plan)  # type: ignore[no-untyped-call]
    return taken


class _TakeKeys(torch.autograd.Function):
    """`tokens[plan.keys]`, with a faster gradient than that of indexing.

    The gradient of indexing needs a sort. Here a token is in at most one prefix, so its gradient is
    two gathers and an addition.
    """

    @staticmethod
    def forward(ctx: Any, tokens_TKD: Tensor, plan: Plan) -> Tensor:
        ctx.plan = plan
        return tokens_TKD[plan.keys]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient_KKD,) = gradients
        plan: Plan = ctx.plan
        result_TKD = gradient_KKD[plan.own]
        result_TKD[plan.prefixes] += gradient_KKD[plan.copies]
        return result_TKD, None


_PLANS: Any = WeakTensorKeyDictionary()


def _plan(segments_11S4: Tensor) -> Plan:
    """The plan of encoded segments, made once for all layers: reading them waits for the GPU."""
    plan: Plan | None = _PLANS.get(segments_11S4)
    if plan is None:
        segments = [
            Segment(start=a, end=b, prefix_start=c, prefix_end=d)
            for a, b, c, d in segments_11S4[0, 0].tolist()
        ]
        plan = _PLANS[segments_11S4] = make_plan(segments, segments_11S4.device)
    return plan


def computing_dtype(tensor: Tensor) -> torch.dtype:
    """The precision in which PyTorch multiplies this tensor: under autocast, autocast's."""
    kind = tensor.device.type
    if tensor.dtype != torch.float64 and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return tensor.dtype


def _suits_flash(query: Tensor, value: Tensor, dtype: torch.dtype) -> bool:
    """Whether FlashAttention's kernels accept these heads in `dtype`."""
    size = query.shape[-1]
    return (
        query.is_cuda
        and dtype in {torch.float16, torch.bfloat16}
        and value.shape[-1] == size <= LARGEST_HEAD
        and size % 8 == 0
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
    )
