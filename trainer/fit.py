"""Fitting: our settings as transformers' arguments, one training run, the saved model.

The rule: checkpoints, which hold optimiser state as pickles, are written to and read from the
run's own folder only (and read weights-only, by transformers); what leaves the run is safetensors
and text.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BackendError, InputError
from trainer.batches import ReferencedExample
from trainer.choice import Choice
from trainer.config import TrainConfig
from trainer.failures import (
    NonFiniteLossError,
    StopSignals,
    explain_full_disk,
    explain_out_of_memory,
)
from trainer.lora import has_adapter, merge_adapter, name_base_model
from trainer.processes import is_main, keep_full_precision, main_first
from trainer.run_folder import (
    CHECKPOINTS,
    last_checkpoint,
    publish_model,
    read_state,
)

if TYPE_CHECKING:
    import torch

LOG_FILE = "training_log.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """Optimiser steps taken, and the step whose weights early stopping chose.

    `weights` are whole on the main process where the model's own are spread over processes.
    """

    num_steps: int
    weights: Mapping[str, Any] | None
    best_step: int | None
    stopped_early: bool


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
    """Train `model` in place, from the run's last checkpoint if there is one.

    Raises BackendError when the loss is not finite, the device runs out of memory, the disk is
    full or a signal asks to stop; docs/training.md says what is kept in each case. InputError for
    a checkpoint that cannot be loaded.
    """
    from transformers import PrinterCallback, ProgressCallback

    from trainer.callbacks import ProgressBar
    from trainer.mask_dpo import MaskDpoTrainer, Method

    device = next(model.parameters()).device
    arguments = _training_arguments(config, output, device, dtype, evaluates=bool(test))
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
        callbacks=_callbacks(config, output, signals),
    )
    keep_full_precision(trainer.accelerator)
    # Both print every logged line to stdout; the log file has those, and stdout is the verb's.
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if config.progress:
        trainer.add_callback(ProgressBar())
    with main_first():
        checkpoint = last_checkpoint(output)
    if checkpoint is not None:
        state = read_state(checkpoint)
        trainer.saved_step = state["global_step"]
        arguments.eval_on_start = bool(test) and _owes_evaluation(config, state)
    in_memory = explain_out_of_memory(
        device,
        doing="training",
        remedy="lower train.batch_size (and raise train.gradient_accumulation by as much), or set "
        "train.gradient_checkpointing=true",
    )
    on_disk = explain_full_disk(
        output, doing="writing a checkpoint or the log", needed=_checkpoint_bytes(model)
    )
    try:
        with in_memory, on_disk:
            result = _train_saving(trainer, checkpoint, output)
    except BackendError:
        if is_main():
            last_checkpoint(output)  # a checkpoint that was cut off gives its room back
        raise
    except Exception as error:  # any: torch and safetensors have no common class for it
        if checkpoint is None or not _is_unreadable(error):
            raise
        raise InputError.of(
            checkpoint,
            f"is not what a run writes, and was not loaded ({str(error).splitlines()[0]}); "
            "delete it, or set train.resume=false to start over",
        ) from None
    stops_early = config.early_stopping_patience is not None
    return Fitted(
        num_steps=int(result.global_step),
        weights=_gather_weights(trainer),
        best_step=trainer.state.best_global_step if stops_early else None,
        stopped_early=stops_early and result.global_step < trainer.state.max_steps,
    )


def _gather_weights(trainer: Any) -> Mapping[str, Any] | None:
    from torch.distributed.tensor import DTensor

    if trainer.is_deepspeed_enabled:
        gathered: Mapping[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        return gathered
    if not trainer.is_fsdp_enabled:
        return None  # every process has them all
    weights = {}
    for name, value in trainer.model_wrapped.state_dict().items():
        whole = value.full_tensor() if isinstance(value, DTensor) else value  # all take part
        if is_main():
            weights[name] = whole.cpu()
    return weights


def _train_saving(trainer: Any, checkpoint: Path | None, output: Path) -> Any:
    """`Trainer.train`; what is not finite leaves the state before it on disk, if that was."""
    try:
        return trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NonFiniteLossError as error:
        if not trainer.is_spoilt():
            path = trainer.save_now()
            kept = f"; the state after step {trainer.state.global_step} is kept in {path}"
        else:
            with main_first():
                last = last_checkpoint(output)
            kept = "; weights are not finite any more, and " + (
                f"{last} is the newest checkpoint" if last else "there is no checkpoint"
            )
        raise NonFiniteLossError(error.ids, what=error.what, kept=kept) from None


def _is_unreadable(error: Exception) -> bool:
    """Whether a file is damaged, or holds what weights-only loading refuses to run."""
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
    return [*callbacks, StopBetweenSteps(signals)]  # last: what the others decide comes first


def _owes_evaluation(config: TrainConfig, state: Mapping[str, Any]) -> bool:
    """Whether a run ended between a checkpoint and the evaluation that was due at its step."""
    step, epoch = state["global_step"], state.get("epoch") or 0
    due = {
        "no": False,
        "epoch": epoch == int(epoch),
        "steps": step % config.eval_steps == 0,
    }[config.evaluate]
    done = any("eval_loss" in line and line["step"] == step for line in state["log_history"])
    return bool(step) and due and not done


def _checkpoint_bytes(model: Any) -> int:
    """Weights that train, and AdamW's two moments of each, in float32."""
    trained = sum(part.numel() for part in model.parameters() if part.requires_grad)
    return 3 * 4 * int(trained)


def save_model(
    config: TrainConfig,
    model: Any,
    tokenizer: Any,
    *,
    source: Path,
    output: Path,
    weights: Mapping[str, Any] | None = None,
) -> None:
    """Write the model, with the precision and dropout of its source: safetensors and text only.

    `weights` are those of a model whose own are spread over processes. An adapter is merged into
    it, or with `lora.merge: false` written alone. Raises BackendError when a weight is not finite
    or the disk is full.
    """
    from transformers import AutoConfig

    original = AutoConfig.from_pretrained(
        source, trust_remote_code=config.trust_remote_code, local_files_only=True
    )
    if config.lora is not None and config.lora.merge:
        merge_adapter(model)
    for name, value in original.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(model.config, name, value)
    if weights is not None:
        weights = {name: value.to(original.dtype) for name, value in weights.items()}
    elif original.dtype is not None:
        model = model.to(original.dtype)
    parts = weights.values() if weights is not None else model.parameters()
    if not all(bool(part.isfinite().all()) for part in parts):
        raise BackendError(
            f"{output}: the weights are not finite after the last step, so they are not saved; "
            "lower train.learning_rate, and set train.resume=false to start over"
        )
    needed = sum(part.numel() * part.element_size() for part in model.parameters())
    if has_adapter(model):
        needed = _checkpoint_bytes(model) // 3
    with (
        explain_full_disk(output, doing="writing the trained model", needed=needed),
        publish_model(output) as folder,
    ):
        model.save_pretrained(folder, state_dict=weights)
        if has_adapter(model):
            name_base_model(folder, config.model, config.revision)
        tokenizer.save_pretrained(folder)


def _training_arguments(
    config: TrainConfig,
    output: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    evaluates: bool,
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
        logging_nan_inf_filter=False,  # ours stops at such a loss instead of averaging it away
        eval_strategy=config.evaluate if evaluates else "no",
        eval_steps=config.eval_steps,
        save_strategy=config.save,
        save_steps=config.save_steps,
        save_total_limit=1,
        report_to=[name for name in config.report_to if name != "tensorboard"],
        disable_tqdm=not config.progress,
        remove_unused_columns=False,
        dataloader_pin_memory=device.type == "cuda",
        prediction_loss_only=True,
    )
    if config.early_stopping_patience is not None:
        arguments.metric_for_best_model = "eval_loss"
        arguments.greater_is_better = False
        # Set here, past a check that wants `save` and `evaluate` alike: StopWithoutProgress makes
        # a checkpoint of every evaluation, whatever else `save` keeps.
        arguments.load_best_model_at_end = True
    # One process, one device: several GPUs are torchrun's business. DataParallel, which
    # transformers would choose here, splits a batch between chosen and rejected.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
