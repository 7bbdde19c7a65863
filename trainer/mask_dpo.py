"""Mask-DPO on `transformers.Trainer`: the loss of a batch and its monitors.

The rule: the loss of an optimiser step is the mean over all its pairs, however they are spread
over accumulation steps and processes. `get_batch_samples` counts them before the first backward
pass, and each batch contributes its sum divided by that count; a last, smaller batch therefore
weighs no more than its pairs.

Logged, all means over the pairs (rewards) or tokens (log-ratios, active share) since the last line:

    loss                            mean over pairs
    rewards/chosen, /rejected       beta times the weighted log-ratio of a side
    rewards/margins, /accuracies    their difference, and how often it is positive
    active_share                    tokens with weight / completion tokens
    logratios/SIDE_active, _masked  mean log pi - log ref of a side's tokens with and without weight
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from trainer.batches import ReferencedExample, collate_pairs
from trainer.checkpointing import CheckpointingTrainer
from trainer.failures import NonFiniteLossError, any_process
from trainer.loss import PairLosses, completion_logps, mask_dpo_loss

if TYPE_CHECKING:
    from torch import Tensor


class PairDataset(torch.utils.data.Dataset[ReferencedExample]):
    """Examples by index, for the data loader."""

    def __init__(self, items: Sequence[ReferencedExample]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> ReferencedExample:
        return self._items[index]


class MaskDpoTrainer(CheckpointingTrainer):
    """`transformers.Trainer` with the Mask-DPO loss. Takes the settings of its base, and `beta`.

    Non-finite losses raise NonFiniteLossError with the ids of the pairs in the batch.
    """

    # Ours divides by the pairs of the whole step; the base must not divide again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        model: Any,
        args: Any,
        beta: float,
        train_items: Sequence[ReferencedExample],
        eval_items: Sequence[ReferencedExample],
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.beta = beta
        self._monitors = {"train": Monitor(), "eval": Monitor()}
        super().__init__(
            model=model,
            args=args,
            data_collator=collate_pairs,
            train_dataset=PairDataset(train_items),
            eval_dataset=PairDataset(eval_items) if eval_items else None,
            callbacks=list(callbacks),
        )

    def get_batch_samples(
        self, epoch_iterator: Iterable[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The batches of one optimiser step, and how many pairs they hold over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        num_pairs = torch.tensor(sum(len(batch["ids"]) for batch in samples), device=device)
        return samples, self.accelerator.reduce(num_pairs, reduction="sum")

    def compute_loss(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        """Sum of the batch's losses over the pairs of the whole step (a scalar).

        Gradients are averaged over processes afterwards, hence the factor.
        """
        losses = self._measure(model, inputs, "train")
        if num_items_in_batch is None:
            return losses.losses_B.mean()
        share: Tensor = losses.losses_B.sum() / num_items_in_batch
        return share * float(self.accelerator.num_processes)

    def prediction_step(
        self,
        model: Any,
        inputs: Mapping[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[Tensor, None, None]:
        """The mean loss of an evaluation batch; no logits are kept."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            losses = self._measure(model, inputs, "eval")
        return losses.losses_B.mean(), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log with the monitors' means since the last line of their kind."""
        mode = "eval" if any(name.startswith("eval_") for name in logs) else "train"
        if mode == "eval" or "loss" in logs:
            means = self._monitors[mode].drain(self.accelerator)
            loss = means.pop("loss", None)
            if mode == "eval" and loss is not None:
                logs["eval_loss"] = loss  # the base repeats and cuts batch means; this is exact
            prefix = "eval_" if mode == "eval" else ""
            logs |= {prefix + name: value for name, value in means.items()}
        super().log(logs, start_time)

    def _measure(self, model: Any, inputs: Mapping[str, Any], mode: str) -> PairLosses:
        logps_ST = completion_logps(
            model, inputs["input_ids"], inputs["attention_mask"], inputs["completion_mask"]
        )
        losses = mask_dpo_loss(
            logps_ST, inputs["reference_logps"], inputs["weights"], beta=self.beta
        )
        finite = torch.isfinite(losses.losses_B).tolist()
        if any_process(not all(finite), losses.losses_B.device):
            bad = [name for name, fine in zip(inputs["ids"], finite, strict=True) if not fine]
            raise NonFiniteLossError(bad)
        self._monitors[mode].add(losses, logps_ST.detach(), inputs)
        return losses


class Monitor:
    """Sums over pairs and tokens, from which the logged means are made."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, losses: PairLosses, logps_ST: Tensor, inputs: Mapping[str, Any]) -> None:
        """Take in one batch."""
        chosen_B, rejected_B = losses.chosen_rewards_B, losses.rejected_rewards_B
        batch = {
            "pairs": torch.ones_like(chosen_B).sum(),
            "loss": losses.losses_B.detach().sum(),
            "rewards/chosen": chosen_B.sum(),
            "rewards/rejected": rejected_B.sum(),
            "rewards/margins": (chosen_B - rejected_B).sum(),
            "rewards/accuracies": (chosen_B > rejected_B).float().sum(),
        }
        completion_ST, active_ST = inputs["completion_mask"], inputs["weights"] > 0
        ratios_ST = logps_ST - inputs["reference_logps"]
        for side, rows in zip(("chosen", "rejected"), (0, 1), strict=True):
            ratios_BT = ratios_ST.chunk(2)[rows]
            active_BT = active_ST.chunk(2)[rows]
            masked_BT = completion_ST.chunk(2)[rows] & ~active_BT
            for name, kept_BT in (("active", active_BT), ("masked", masked_BT)):
                batch[f"tokens/{side}_{name}"] = kept_BT.sum().float()
                batch[f"logratios/{side}_{name}"] = ratios_BT[kept_BT].sum()
        for name, value in batch.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def drain(self, accelerator: Any) -> dict[str, float]:
        """Means since the last call, over all processes; empty when nothing came in."""
        if not self._sums:
            return {}
        names = sorted(self._sums)
        stacked = torch.stack([self._sums[name].double() for name in names])
        totals = accelerator.reduce(stacked, reduction="sum").tolist()
        sums = dict(zip(names, totals, strict=True))
        self._sums = {}
        tokens = {name: value for name, value in sums.items() if name.startswith("tokens/")}
        active = sum(value for name, value in tokens.items() if name.endswith("_active"))
        means = {
            name: value / sums["pairs"]
            for name, value in sums.items()
            if name == "loss" or name.startswith("rewards/")
        }
        means["active_share"] = active / max(sum(tokens.values()), 1.0)
        for name, value in tokens.items():
            if value:  # no masked tokens, no mean: left out rather than a made-up 0
                ratio_name = name.replace("tokens/", "logratios/")
                means[ratio_name] = sums[ratio_name] / value
        return means
