"""The loss of Mask-DPO over per-token log-probabilities, for people with a trainer of their own.

The rule: it is `trainer.loss`, which `maskdpo train` computes; only the layout of a batch differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from schemas.errors import ConfigError
from schemas.packages import require
from schemas.validation import show_value

if TYPE_CHECKING:
    from torch import Tensor

    from trainer.loss import LossKind


def mask_dpo_loss(
    logps: Tensor,
    reference_logps: Tensor,
    weights: Tensor,
    *,
    beta: float = 0.1,
    loss: LossKind = "sigmoid",
    label_smoothing: float = 0.0,
    length_normalize: bool = False,
    nll_weight: float = 0.0,
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """The loss of a batch of pairs: a scalar, or one value per pair with reduction="none".

    logps, reference_logps   log-probability of each token under the model and the reference, in
                             nats
    weights                  weight of each token, 0 to 1; where it is 0, the other two are not read

    All three have the shape [2B, T]: the chosen sides of B pairs, then their rejected sides in the
    same order (the layout of TRL). The loss "sigmoid" is equation 4 of arXiv 2503.02846; the
    settings are those of `maskdpo train` (docs/training.md). Sums are float32. Raises ConfigError
    for other shapes, weights and settings, MissingPackageError without torch.
    """
    require("torch", needed_for="maskdpo.mask_dpo_loss")
    import torch

    from trainer.config import TrainConfig
    from trainer.loss import preference_losses, sum_pairs

    _check(logps, reference_logps, weights)
    given = {
        "model": "given by the caller",
        "beta": beta,
        "loss": loss,
        "label_smoothing": label_smoothing,
        "length_normalize": length_normalize,
        "nll_weight": nll_weight,
    }
    settings = TrainConfig.parse(given, where="maskdpo.mask_dpo_loss").loss_settings
    num_pairs = len(weights) // 2
    # Only tokens with non-zero weight: 0 times the infinity of a padding token is not 0.
    rows, columns = torch.nonzero(weights, as_tuple=True)
    active = weights[rows, columns].float()
    _check_weights(active)
    sums = sum_pairs(
        logps[rows, columns].float(),
        reference_logps[rows, columns].float(),
        active,
        rows % num_pairs,
        rows // num_pairs,
        num_pairs=num_pairs,
    )
    losses = preference_losses(sums, settings).losses_B
    if reduction == "none":
        return losses
    if reduction != "mean":
        raise ConfigError(f"reduction is {reduction!r}, but it must be 'mean' or 'none'")
    return losses.mean()


def _check(logps: Tensor, reference_logps: Tensor, weights: Tensor) -> None:
    """Raise ConfigError for anything that is not a batch of pairs."""
    import torch

    given = {"logps": logps, "reference_logps": reference_logps, "weights": weights}
    for name, value in given.items():
        if not isinstance(value, torch.Tensor):
            raise ConfigError(f"{name} is {show_value(value)}, but it must be a torch.Tensor")
    shapes = {name: tuple(value.shape) for name, value in given.items()}
    shape = shapes["weights"]
    is_batch = len(shape) == 2 and shape[0] > 0 and shape[0] % 2 == 0
    if not is_batch or len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {value}" for name, value in shapes.items())
        raise ConfigError(
            f"the shapes are {listed}, but all must be one shape (2 x pairs, tokens): the chosen "
            "sides, then the rejected ones"
        )
    if len({value.device for value in given.values()}) > 1:
        listed = ", ".join(f"{name} {value.device}" for name, value in given.items())
        raise ConfigError(f"the devices are {listed}, but all must be one device")


def _check_weights(active: Tensor) -> None:
    """Raise ConfigError for a non-zero weight that is negative or not finite."""
    import torch

    wrong = active[~(torch.isfinite(active) & (active > 0))]
    if len(wrong):
        raise ConfigError(
            f"weights has {wrong[0].item():g}, but a weight must be a finite number from 0; the "
            "rejected sides have positive weights, too"
        )
