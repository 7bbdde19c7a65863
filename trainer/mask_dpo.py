"""Mask-DPO on `transformers.Trainer`: the loss of a batch.

The rule: the loss of an optimiser step is the mean over all its pairs, however they are split into
micro-batches and processes. `get_batch_samples` counts them before the first backward pass, and
each micro-batch contributes its sum divided by that count; therefore each pair of a last, smaller
batch has the same weight as any other pair.

Nothing in a micro-batch waits for other processes, and at most two operations wait for the device.
Losses are checked for finite values once per optimiser step, before the optimiser, and once per
evaluation.

What is logged: see `trainer.monitors`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from trainer.batches import PairCollator, ReferencedExample, stand_in
from trainer.callbacks import StepTimer
from trainer.checkpointing import CheckpointingTrainer
from trainer.choice import Choice
from trainer.failures import NonFiniteLossError, gather_lists, max_of_processes
from trainer.flops import Work, find_peak, measure_shape
from trainer.head import autocast, score_tokens, unwrap
from trainer.lora import has_adapter, without_adapter
from trainer.loss import LossSettings, PairLosses, preference_losses, sum_pairs
from trainer.monitors import Monitor
from trainer.samplers import STAND_IN, PairSampler

if TYPE_CHECKING:
    from torch import Tensor


class PairDataset(torch.utils.data.Dataset[ReferencedExample]):
    """Examples by index, for the data loader; `STAND_IN` gives one that trains nothing."""

    def __init__(self, items: Sequence[ReferencedExample]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> ReferencedExample:
        return stand_in(self._items[0]) if index == STAND_IN else self._items[index]


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """The settings of a run that are specific to Mask-DPO.

    reference     a frozen model that computes the reference in each step; None if the items
                  hold its log-probs, or if the policy without its adapter is the reference
    peak_flops    peak operations per second of a device, for `mfu`
    """

    loss: LossSettings
    choice: Choice
    reference: Any = None
    group_by_length: bool = False
    peak_flops: float | None = None


class MaskDpoTrainer(CheckpointingTrainer):
    """`transformers.Trainer` with the Mask-DPO loss. Takes the arguments of its base, and `method`.

    Non-finite losses raise NonFiniteLossError with the ids of the pairs that have them.
    """

    # This loss divides by the pairs of the whole step; the base must not divide again.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        *,
        model: Any,
        args: Any,
        method: Method,
        train_items: Sequence[ReferencedExample],
        eval_items: Sequence[ReferencedExample],
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.method = method
        self._shape = measure_shape(model)
        peak = method.peak_flops or _device_peak(args.device)
        self._monitors = {"train": Monitor(peak_flops=peak), "eval": Monitor()}
        self._sampler: PairSampler | None = None
        self._lengths = [item.example.num_tokens for item in train_items]
        # For each micro-batch since the last check: its ids, which pairs count, whose loss is
        # finite.
        self._losses_seen: list[tuple[Sequence[str], Tensor, Tensor]] = []
        super().__init__(
            model=model,
            args=args,
            data_collator=PairCollator(layout=method.choice.layout),
            train_dataset=PairDataset(train_items),
            eval_dataset=PairDataset(eval_items) if eval_items else None,
            callbacks=[StepTimer(self._monitors["train"]), *callbacks],
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Batches in which every completion token is scored, including masked ones."""
        training = getattr(self, "data_collator")  # noqa: B009 (the base has no types)
        self.data_collator = PairCollator(layout=self.method.choice.layout, scored="completion")
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training

    def get_batch_samples(
        self, epoch_iterator: Iterable[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The batches of one optimiser step, and how many pairs they hold over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.step_ids = [name for batch in samples for name in batch["ids"]]
        num_pairs = torch.tensor(len(self.step_ids), device=device)
        return samples, self.accelerator.reduce(num_pairs, reduction="sum")

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """The base's step; its operations and tokens are counted."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        work: Work = inputs["work"]
        self._monitors["train"].add_work(
            tokens=work.num_tokens,
            flops=self._shape.step_flops(work, frozen=has_adapter(self.model)),
            pairs=len(inputs["ids"]),
        )
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """The base's; a non-finite loss or gradient ends the run before the optimiser step."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        is_bad = norm is not None and not math.isfinite(float(norm))
        self._refuse_non_finite(is_gradient_bad=is_bad)
        return norm

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
        total = losses.losses_B.masked_fill(~inputs["counted"], 0.0).sum()
        if num_items_in_batch is None:
            return total / max(len(inputs["ids"]), 1)
        share: Tensor = total / num_items_in_batch
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
        if mode == "eval":
            self._refuse_non_finite()
        if mode == "eval" or "loss" in logs:
            means = self._monitors[mode].drain(self.accelerator)
            loss = means.pop("loss", None)
            if loss is not None:
                # Exact over all pairs; the base averages batch means, and rounds.
                logs["eval_loss" if mode == "eval" else "loss"] = loss
            prefix = "eval_" if mode == "eval" else ""
            logs |= {prefix + name: value for name, value in means.items()}
        super().log(logs, start_time)

    def _measure(self, model: Any, inputs: Mapping[str, Any], mode: str) -> PairLosses:
        batch = dict(inputs)
        graded = batch["num_active"]
        if mode == "train" and not self._is_logged():
            for name in ("rows", "targets", "weights", "reference", "pairs", "sides"):
                if name in batch:
                    batch[name] = batch[name][:graded]
        if "reference" not in batch:
            batch["reference"] = self._score_reference(model, batch)
        with self._autocast():
            logps_N = score_tokens(
                model,
                batch,
                self.method.choice.head,
                num_graded=graded if mode == "train" else None,
            )
        sums = sum_pairs(
            logps_N[:graded],
            batch["reference"][:graded],
            batch["weights"][:graded],
            batch["pairs"][:graded],
            batch["sides"][:graded],
            num_pairs=batch["num_pairs"],
        )
        losses = preference_losses(sums, self.method.loss)
        finite_B = torch.isfinite(losses.losses_B.detach()) | ~batch["counted"]
        self._losses_seen.append((batch["ids"], batch["counted"], finite_B))
        whole = len(logps_N) == len(inputs["targets"])
        self._monitors[mode].add_batch(losses, sums, logps_N, batch, whole=whole)
        return losses

    def _is_logged(self) -> bool:
        """Whether the current step will be logged."""
        if self.args.logging_strategy == "no":
            return False
        step = self.state.global_step + 1
        return step in (1, self.state.max_steps) or step % self.args.logging_steps == 0

    def _score_reference(self, model: Any, batch: Mapping[str, Any]) -> Tensor:
        reference, head = self.method.reference, self.method.choice.head
        with torch.no_grad(), self._autocast():
            if reference is not None:
                return score_tokens(reference, batch, head)
            with without_adapter(unwrap(model)):
                return score_tokens(model, batch, head)

    def _autocast(self) -> Any:
        """Autocast in the precision of training, for any model.

        Accelerate runs the policy's own forward under autocast, but neither a model that FSDP2
        shards nor a copy of it.
        """
        return autocast(self.args.device, torch.bfloat16 if self.args.bf16 else torch.float32)

    def _refuse_non_finite(self, *, is_gradient_bad: bool = False) -> None:
        """Raise NonFiniteLossError for the micro-batches since the last check, in all processes."""
        seen, self._losses_seen = self._losses_seen, []
        is_loss_bad = bool(seen) and not bool(torch.cat([finite_B for *_, finite_B in seen]).all())
        worst = max_of_processes(2 if is_loss_bad else int(is_gradient_bad), self.args.device)
        if worst == 0:
            return
        if worst == 1:
            raise NonFiniteLossError(gather_lists(list(self.step_ids)), what="gradient")
        bad = []
        for ids, counted_B, finite_B in seen:
            names = iter(ids)
            for counts, finite in zip(counted_B.tolist(), finite_B.tolist(), strict=True):
                name = next(names) if counts else ""
                bad += [] if finite else [name]
        raise NonFiniteLossError(gather_lists(bad))

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # With several processes the library does not set the sampler's epoch when it resumes.
        if self._sampler is not None:
            self._sampler.set_epoch(kwargs["epoch"])
        super()._run_epoch(*args, **kwargs)

    def _get_train_sampler(self, train_dataset: Any = None) -> PairSampler:
        self._sampler = PairSampler(
            len(self._lengths),
            batch_size=self._train_batch_size,
            num_processes=self.args.world_size,
            seed=self.args.data_seed if self.args.data_seed is not None else self.args.seed,
            lengths=self._lengths if self.method.group_by_length else None,
        )
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> PairSampler:
        return PairSampler(
            len(eval_dataset),
            batch_size=self.args.eval_batch_size,
            num_processes=self.args.world_size,
        )


def _device_peak(device: torch.device) -> float | None:
    return find_peak(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
