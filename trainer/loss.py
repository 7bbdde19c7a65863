"""The loss: sigmoid DPO over weighted sums of per-token log-ratios, as pure tensor functions.

    ratio_side = sum over tokens t of w_t * (log pi(y_t) - log ref(y_t))
    loss       = -log sigmoid(beta * (ratio_chosen - ratio_rejected))       mean over pairs

Arxiv 2503.02846, equation 4, with floats for the paper's sets of tokens; every weight one gives
DPO (arXiv 2305.18290). Log-probabilities are float32 whatever the model computes in. Token t is
predicted by the logits at t-1, and everything here is aligned to t: position 0 is always empty.

Shapes: B pairs, so 2B sequences (all chosen, then all rejected); T tokens; V vocabulary.
"""

from __future__ import annotations

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


def select_logps(logits: Tensor, targets: Tensor) -> Tensor:
    """Float32 log-probability of each target: [..., V] and [...] to [...].

    The chosen logit less the log-sum-exp: no [..., V] of log-probabilities is kept for backward.
    """
    import torch

    wide = logits.float()
    chosen = wide.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return chosen - torch.logsumexp(wide, dim=-1)


def completion_logps(
    model: Any, input_ids_ST: Tensor, attention_mask_ST: Tensor, completion_mask_ST: Tensor
) -> Tensor:
    """Log-probability of every completion token, float32 [S, T]; 0 elsewhere.

    Only positions at which some row predicts a completion token meet the output matrix: with a
    large vocabulary the logits of the prompt are most of the memory of a step.
    """
    import torch

    targets_T = completion_mask_ST[:, 1:].any(dim=0).nonzero().squeeze(-1)
    output = model(
        input_ids=input_ids_ST,
        attention_mask=attention_mask_ST,
        use_cache=False,
        logits_to_keep=targets_T,
    )
    logits = output.logits
    if logits.shape[1] != targets_T.shape[0]:  # an architecture that scores every position
        logits = logits[:, targets_T]
    kept = completion_mask_ST[:, targets_T + 1]
    logps = select_logps(logits, input_ids_ST[:, targets_T + 1])
    logps = torch.where(kept, logps, torch.zeros_like(logps))
    full_ST = logps.new_zeros(input_ids_ST.shape)
    return full_ST.index_copy(1, targets_T + 1, logps)


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
