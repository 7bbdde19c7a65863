"""The loss: sigmoid DPO over weighted sums of per-token log-ratios, as pure tensor functions.

    ratio_side = sum over tokens t of w_t * (log pi(y_t) - log ref(y_t))
    loss       = -log sigmoid(beta * (ratio_chosen - ratio_rejected))       mean over pairs

Arxiv 2503.02846, equation 4, with floats for the paper's sets of tokens; every weight one gives
DPO (arXiv 2305.18290). Log-probabilities are float32 whatever the model computes in. Token t is
predicted by the logits at t-1, and everything here is aligned to t: position 0 is always empty.

Shapes: B pairs, so 2B sequences (all chosen, then all rejected); T tokens; V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PairLosses:
    """Per pair, all of shape [B]: the loss and beta times the log-ratio of each side."""

    losses_B: Tensor
    chosen_rewards_B: Tensor
    rejected_rewards_B: Tensor


def completion_logps(
    model: Any, input_ids_ST: Tensor, attention_mask_ST: Tensor, completion_mask_ST: Tensor
) -> Tensor:
    """Log-probability of every completion token, float32 [S, T]; 0 elsewhere.

    Only rows that predict a completion token meet the output matrix: with a large vocabulary the
    logits of prompts and padding would be most of the memory of a step.
    """
    from trainer.logps import select_logps

    # Token t is predicted by the row at t-1.
    rows_S, rows_T = completion_mask_ST[:, 1:].nonzero(as_tuple=True)
    with _head_on(model, rows_S, rows_T):
        output = model(input_ids=input_ids_ST, attention_mask=attention_mask_ST, use_cache=False)
    logps_N = select_logps(output.logits.squeeze(0), input_ids_ST[rows_S, rows_T + 1])
    full_ST = logps_N.new_zeros(input_ids_ST.shape)
    return full_ST.index_put((rows_S, rows_T + 1), logps_N)


@contextmanager
def _head_on(model: Any, rows_S: Tensor, rows_T: Tensor) -> Iterator[None]:
    """Within the block, the output matrix sees [1, N, H] of the hidden states instead of [S, T, H].

    A hook on the matrix itself, and not a call of it: what a model does to its logits afterwards
    (soft caps, scales) stays the model's own business.
    """
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(
        lambda _, arguments: (arguments[0][rows_S, rows_T].unsqueeze(0), *arguments[1:])
    )
    try:
        yield
    finally:
        handle.remove()


def mask_dpo_loss(
    logps_ST: Tensor, reference_logps_ST: Tensor, weights_ST: Tensor, *, beta: float
) -> PairLosses:
    """Loss of each pair; S = 2B sequences, all chosen first. Raises ValueError for an odd S."""
    from torch.nn.functional import logsigmoid

    if logps_ST.shape[0] % 2:
        raise ValueError(f"{logps_ST.shape[0]} sequences are no pairs: chosen and rejected differ")
    ratios_S = (weights_ST * (logps_ST - reference_logps_ST)).sum(dim=1)
    chosen_B, rejected_B = ratios_S.chunk(2, dim=0)
    return PairLosses(
        losses_B=-logsigmoid(beta * (chosen_B - rejected_B)),
        chosen_rewards_B=(beta * chosen_B).detach(),
        rejected_rewards_B=(beta * rejected_B).detach(),
    )
