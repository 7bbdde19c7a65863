"""The losses: preference losses over weighted sums of per-token log-ratios, as pure functions.

    ratio_side = sum over tokens t of w_t * (log pi(y_t) - log ref(y_t))
    margin     = beta * (ratio_chosen - ratio_rejected)
    sigmoid    = -log sigmoid(margin)                                      mean over pairs

arXiv 2503.02846, equation 4, with float weights instead of the paper's sets of tokens; with all
weights 1 it is DPO (arXiv 2305.18290). Log-probabilities are float32 whatever the model computes
in.

Shapes: N scored tokens, B pairs. `sides` is 0 for chosen and 1 for rejected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

LossKind = Literal["sigmoid", "robust", "ipo"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossSettings:
    """Settings of the loss; `trainer.config` describes the fields of the same names."""

    kind: LossKind = "sigmoid"
    beta: float = 0.1
    label_smoothing: float = 0.0
    length_normalize: bool = False
    nll_weight: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PairSums:
    """Weighted sums over each side's tokens, [2, B]: log-ratios, log-probabilities, weights."""

    ratios_2B: Tensor
    logps_2B: Tensor
    weights_2B: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class PairLosses:
    """Per pair, all of shape [B]: the loss, and beta times the log-ratio of each side, detached."""

    losses_B: Tensor
    chosen_rewards_B: Tensor
    rejected_rewards_B: Tensor


def sum_pairs(
    logps_N: Tensor,
    reference_N: Tensor,
    weights_N: Tensor,
    pairs_N: Tensor,
    sides_N: Tensor,
    *,
    num_pairs: int,
) -> PairSums:
    """Sums for each side of each pair, [2, B], in nats for log-probabilities and log-ratios.

    All arguments are [N], one per scored token: log-probabilities under policy and reference,
    weights, index of the pair (0 to `num_pairs` - 1) and side (0 chosen, 1 rejected). A side
    without tokens has sum 0.
    """
    places_N = sides_N * num_pairs + pairs_N

    def add_up(values_N: Tensor) -> Tensor:
        return values_N.new_zeros(2 * num_pairs).index_add(0, places_N, values_N).view(2, num_pairs)

    return PairSums(
        ratios_2B=add_up(weights_N * (logps_N - reference_N)),
        logps_2B=add_up(weights_N * logps_N),
        weights_2B=add_up(weights_N),
    )


def preference_losses(sums: PairSums, settings: LossSettings) -> PairLosses:
    """The loss of each pair and its rewards, each [B], from the sums of its sides.

    Equation 4 of arXiv 2503.02846 for `sigmoid`; `robust`, `ipo` and `chosen_nll` name the papers
    of the other terms. Differentiable in the losses; rewards are detached.
    """
    ratios_2B = sums.ratios_2B
    if settings.length_normalize or settings.kind == "ipo":
        ratios_2B = ratios_2B / _at_least_one_token(sums.weights_2B)
    chosen_B, rejected_B = ratios_2B
    if settings.kind == "ipo":
        losses_B = ipo(chosen_B - rejected_B, settings.beta)
    elif settings.kind == "robust":
        losses_B = robust(settings.beta * (chosen_B - rejected_B), settings.label_smoothing)
    else:
        losses_B = sigmoid(settings.beta * (chosen_B - rejected_B), settings.label_smoothing)
    if settings.nll_weight:
        losses_B = losses_B + settings.nll_weight * chosen_nll(sums)
    return PairLosses(
        losses_B=losses_B,
        chosen_rewards_B=(settings.beta * chosen_B).detach(),
        rejected_rewards_B=(settings.beta * rejected_B).detach(),
    )


def sigmoid(margins_B: Tensor, smoothing: float = 0.0) -> Tensor:
    """DPO; with smoothing cDPO, for labels wrong with that probability (E. Mitchell 2023).

    Its minimum is at the margin log((1 - smoothing) / smoothing), not at infinity.
    """
    from torch.nn.functional import logsigmoid

    losses_B = -(1 - smoothing) * logsigmoid(margins_B)
    if smoothing:
        losses_B = losses_B - smoothing * logsigmoid(-margins_B)
    return losses_B


def robust(margins_B: Tensor, smoothing: float) -> Tensor:
    """Robust DPO, arXiv 2403.00409: unbiased for labels flipped with probability `smoothing`."""
    from torch.nn.functional import logsigmoid

    kept_B, flipped_B = logsigmoid(margins_B), logsigmoid(-margins_B)
    return (-(1 - smoothing) * kept_B + smoothing * flipped_B) / (1 - 2 * smoothing)


def ipo(ratio_gaps_B: Tensor, beta: float) -> Tensor:
    """IPO, arXiv 2310.12036 equation 17, on ratios averaged over tokens, as its authors used it."""
    return (ratio_gaps_B - 1 / (2 * beta)).square()


def chosen_nll(sums: PairSums) -> Tensor:
    """Mean negative log-likelihood of the chosen side's active tokens, [B] (arXiv 2404.19733).

    Against likelihood displacement (arXiv 2410.08847): the loss can fall while the chosen answer
    becomes less likely, as long as the rejected one falls faster.
    """
    return -sums.logps_2B[0] / _at_least_one_token(sums.weights_2B[0])


def _at_least_one_token(weights: Tensor) -> Tensor:
    """Weights to divide by; 1 for a side without tokens, whose sum is 0."""
    return weights.where(weights > 0, weights.new_ones(()))
