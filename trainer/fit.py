"""Fitting: the settings as transformers' arguments, and one training run.

The rule: checkpoints, which hold optimiser state as pickles, are written to and read from the run's
own folder only (transformers reads them with `weights_only=True`). The published model is written
by `trainer.publish`.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BackendError, ConfigError, InputError
from trainer.batches import ReferencedExample
from trainer.choice import Choice
from trainer.config import TrainConfig
from trainer.failures import (
    NonFiniteLossError,
    StopSignals,
    explain_full_disk,
    explain_out_of_memory,
)
from trainer.models import may_leave_weights_unused
from trainer.processes import is_main, keep_full_precision, main_first
from trainer.run_folder import CHECKPOINTS, last_checkpoint, read_state

if TYPE_CHECKING:
    import torch

LOG_FILE = "training_log.jsonl"
_MEMORY_OF_TRAINING = (
    "lower train.batch_size and raise train.gradient_accumulation by the same factor, "
    "set train.gradient_checkpointing=true, or lower train.head_megabytes; the run continues "
    "with any of these, since none changes its result by more than rounding does"
)
_MOST_SAVING_SHARE, _LEAST_SAVING_SECONDS = 0.05, 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Optimiser steps taken, and the step whose weights early stopping chose.

    weights    whole, on the main process, if the model's own are sharded; else None
    notes      for the user
    """

    num_steps: int
    weights: Mapping[str, Any] | None
    best_step: int | None
    stopped_early: bool
    notes: Sequence[str] = ()


def fit(
    config: TrainConfig,
    model: Any,
    *,
    train: Sequence[ReferencedExample],
    test: Sequence[ReferencedExample],
    output: Path,
    dtype: torch.dtype,
    signals: StopSignals,
    choice: Choice,
    reference: Any = None,
) -> Fitted:
    """Train `model` in place, from the run's newest checkpoint if there is one.

    Raises BackendError when the loss is not finite, the device runs out of memory, the disk is full
    or a signal stops the run; docs/training.md says what is kept in each case. Raises InputError
    for a checkpoint that cannot be loaded.
    """
    device = next(model.parameters()).device
    arguments = _training_arguments(
        config,
        output,
        device,
        dtype,
        evaluates=bool(test),
        has_unused=may_leave_weights_unused(model),
    )
    trainer = _make_trainer(
        config,
        model,
        arguments,
        train=train,
        test=test,
        callbacks=_callbacks(config, output, signals),
        choice=choice,
        reference=reference,
    )
    checkpoint = _find_checkpoint(trainer, config, output, evaluates=bool(test))
    started = time.monotonic()
    result = _train_explained(
        trainer, checkpoint, output, device=device, checkpoint_size=checkpoint_bytes(model)
    )
    stops_early = config.early_stopping_patience is not None
    return Fitted(
        num_steps=int(result.global_step),
        weights=_gather_weights(trainer),
        best_step=trainer.state.best_global_step if stops_early else None,
        stopped_early=stops_early and result.global_step < trainer.state.max_steps,
        notes=saving_notes(
            trainer.saving_seconds,
            time.monotonic() - started,
            save_steps=config.save_steps if config.save == "steps" else None,
        ),
    )


def _make_trainer(
    config: TrainConfig,
    model: Any,
    arguments: Any,
    *,
    train: Sequence[ReferencedExample],
    test: Sequence[ReferencedExample],
    callbacks: list[Any],
    choice: Choice,
    reference: Any,
) -> Any:
    """The trainer, which prints only its progress bar."""
    from transformers import PrinterCallback, ProgressCallback

    from trainer.callbacks import ProgressBar
    from trainer.mask_dpo import MaskDpoTrainer, Method

    trainer = MaskDpoTrainer(
        model=model,
        args=arguments,
        method=Method(
            loss=config.loss_settings,
            choice=choice,
            reference=reference,
            group_by_length=config.group_by_length,
            peak_flops=config.peak_tflops and config.peak_tflops * 1e12,
        ),
        train_items=train,
        eval_items=test,
        callbacks=callbacks,
    )
    keep_full_precision(trainer.accelerator)
    # Both print every logged line to stdout; the log file has them, and stdout is for results.
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if config.progress:
        trainer.add_callback(ProgressBar())
    return trainer


def _find_checkpoint(
    trainer: Any, config: TrainConfig, output: Path, *, evaluates: bool
) -> Path | None:
    """The checkpoint to continue from; sets the trainer to do what is due at its step."""
    with main_first():
        checkpoint = last_checkpoint(output)
    if checkpoint is not None:
        _refuse_other_shards(checkpoint, is_sharded=trainer.is_fsdp_enabled)
        state = read_state(checkpoint)
        trainer.saved_step = state["global_step"]
        trainer.args.eval_on_start = evaluates and _owes_evaluation(config, state)
    return checkpoint


def _train_explained(
    trainer: Any,
    checkpoint: Path | None,
    output: Path,
    *,
    device: torch.device,
    checkpoint_size: int,
) -> Any:
    """`_train_saving`; whatever stops it is raised as an error that names the remedy."""
    in_memory = explain_out_of_memory(device, doing="training", remedy=_MEMORY_OF_TRAINING)
    on_disk = explain_full_disk(
        output, doing="writing a checkpoint or the log", needed=checkpoint_size
    )
    try:
        with in_memory, on_disk:
            return _train_saving(trainer, checkpoint, output)
    except BackendError:
        if is_main():
            last_checkpoint(output)  # free the space of an incomplete checkpoint
        raise
    except Exception as error:  # any: torch and safetensors have no common error class
        if checkpoint is None or not _is_unreadable(error):
            raise
        raise InputError.of(
            checkpoint,
            f"was not written by a run, or is damaged: not loaded ({str(error).splitlines()[0]}); "
            "delete it, or set train.resume=false to start over",
        ) from None


def _refuse_other_shards(checkpoint: Path, *, is_sharded: bool) -> None:
    """Raise ConfigError for a checkpoint of FSDP in a run without FSDP, or the reverse."""
    was_sharded = any(checkpoint.glob("pytorch_model_fsdp*"))
    if was_sharded == is_sharded:
        return
    wanted, other = ("with", "without") if was_sharded else ("without", "with")
    name = "fsdp2" if was_sharded else "ddp"
    raise ConfigError(
        f"{checkpoint}: was written {wanted} FSDP, and this run was started {other}; start it "
        f"{wanted} FSDP (accelerate launch --config_file {name}.yaml; the file: maskdpo recipes "
        f"{name} > {name}.yaml), or set train.resume=false to start over"
    )


def saving_notes(
    saving_seconds: Sequence[float], seconds: float, *, save_steps: int | None
) -> list[str]:
    """A note if checkpoints took over 5% of the time and more than one minute."""
    total = sum(saving_seconds)
    share = total / seconds if seconds else 0.0
    if total < _LEAST_SAVING_SECONDS or share <= _MOST_SAVING_SHARE:
        return []
    remedy = "save less often"
    if save_steps is not None:
        # 5% of the total is 1/19 of the time of all other work.
        factor = total * (1 - _MOST_SAVING_SHARE) / (seconds - total) / _MOST_SAVING_SHARE
        remedy = f"train.save_steps={math.ceil(save_steps * factor)} would bring that under 5%"
    return [
        f"{len(saving_seconds)} checkpoints took {total:.0f} s, {100 * share:.0f}% of the training "
        f"time; {remedy}"
    ]


def _gather_weights(trainer: Any) -> Mapping[str, Any] | None:
    """Whole weights on the main process, each once: tied weights under their first name."""
    from torch.distributed.tensor import DTensor

    if trainer.is_deepspeed_enabled:
        gathered: Mapping[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        return gathered
    if not trainer.is_fsdp_enabled:
        return None  # every process has them all
    model = trainer.model_wrapped
    first_name: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first_name.setdefault(id(parameter), name)
    once = set(first_name.values())
    again = {name for name, _ in model.named_parameters(remove_duplicate=False)} - once
    weights = {}
    for name, value in model.state_dict().items():
        if name in again:
            continue
        # All processes take part in `full_tensor`.
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        if is_main():
            weights[name] = whole.cpu()
    return weights


def _train_saving(trainer: Any, checkpoint: Path | None, output: Path) -> Any:
    """`Trainer.train`; after a non-finite loss the state before it is saved, if it was finite."""
    try:
        return trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NonFiniteLossError as error:
        if not trainer.is_spoilt():
            path = trainer.save_now()
            kept = f"; the state after step {trainer.state.global_step} is kept in {path}"
        else:
            with main_first():
                last = last_checkpoint(output)
            kept = "; weights are not finite, and " + (
                f"{last} is the newest checkpoint" if last else "there is no checkpoint"
            )
        raise NonFiniteLossError(error.ids, what=error.what, kept=kept) from None


def _is_unreadable(error: Exception) -> bool:
    """Whether a file is damaged, or holds code that weights-only loading refuses to run."""
    from safetensors import SafetensorError

    return isinstance(error, (pickle.UnpicklingError, SafetensorError)) or (
        "PytorchStreamReader" in str(error)
    )


def _callbacks(config: TrainConfig, output: Path, signals: StopSignals) -> list[Any]:
    from trainer.callbacks import LogFile, StopBetweenSteps, StopWithoutProgress

    callbacks: list[Any] = [LogFile(output / LOG_FILE)]
    if config.early_stopping_patience is not None:
        callbacks.append(StopWithoutProgress(config.early_stopping_patience))
    if "tensorboard" in config.report_to and is_main():
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        callbacks.append(TensorBoardCallback(SummaryWriter(str(output / "tensorboard"))))
    return [*callbacks, StopBetweenSteps(signals)]  # last, after the decisions of the others


def _owes_evaluation(config: TrainConfig, state: Mapping[str, Any]) -> bool:
    """Whether a run ended after a checkpoint but before the evaluation due at its step."""
    step, epoch = state["global_step"], state.get("epoch") or 0
    due = {
        "no": False,
        "epoch": epoch == int(epoch)
        or step >= state["max_steps"],  # at the end of an incomplete accumulation
        "steps": step % config.eval_steps == 0,
    }[config.evaluate]
    done = any("eval_loss" in line and line["step"] == step for line in state["log_history"])
    return bool(step) and due and not done


def checkpoint_bytes(model: Any) -> int:
    """Bytes of the trained weights and of AdamW's two moments for each, in float32."""
    trained = sum(part.numel() for part in model.parameters() if part.requires_grad)
    return 3 * 4 * int(trained)


def _training_arguments(
    config: TrainConfig,
    output: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    evaluates: bool,
    has_unused: bool = False,
) -> Any:
    import torch
    from transformers import TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(output / CHECKPOINTS),
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.lr_scheduler,
        warmup_steps=config.warmup_ratio,  # below 1, transformers reads it as a share
        weight_decay=config.weight_decay,
        adam_beta1=config.adam_beta1,
        adam_beta2=config.adam_beta2,
        adam_epsilon=config.adam_epsilon,
        max_grad_norm=config.max_grad_norm,
        activation_checkpointing=config.gradient_checkpointing,
        bf16=dtype == torch.bfloat16,
        use_cpu=device.type == "cpu",
        seed=config.seed,
        logging_steps=config.logging_steps,
        # this trainer stops at such a loss instead of filtering it out
        logging_nan_inf_filter=False,
        eval_strategy=config.evaluate if evaluates else "no",
        eval_steps=config.eval_steps,
        save_strategy=config.save,
        save_steps=config.save_steps,
        save_total_limit=1,
        report_to=[name for name in config.report_to if name != "tensorboard"],
        disable_tqdm=not config.progress,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        # The search for weights that a step did not use takes time.
        ddp_find_unused_parameters=has_unused,
        prediction_loss_only=True,
    )
    if config.early_stopping_patience is not None:
        arguments.metric_for_best_model = "eval_loss"
        arguments.greater_is_better = False
        # Set here, after a check that requires `save` and `evaluate` to be equal:
        # StopWithoutProgress saves a checkpoint at every evaluation, whatever `save` is.
        arguments.load_best_model_at_end = True
    # One process, one device: several GPUs need torchrun. DataParallel, which transformers would
    # choose here, splits a batch between chosen and rejected.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
