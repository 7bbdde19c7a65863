"""Fitting: our settings as transformers' arguments, one training run, the saved model.

The rule: checkpoints, which hold optimiser state as pickles, are written to and read from the
run's own folder only (and read weights-only, by transformers); what leaves the run is safetensors
and text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import BackendError
from trainer.batches import ReferencedExample
from trainer.config import TrainConfig
from trainer.run_folder import CHECKPOINTS, last_checkpoint

if TYPE_CHECKING:
    import torch

LOG_FILE = "training_log.jsonl"


def fit(
    config: TrainConfig,
    model: Any,
    *,
    train: Sequence[ReferencedExample],
    test: Sequence[ReferencedExample],
    output: Path,
    dtype: torch.dtype,
) -> int:
    """Train `model` in place, from the run's last checkpoint if there is one; answers the steps.

    Raises BackendError when the loss is not finite or the device runs out of memory.
    """
    from transformers import PrinterCallback, ProgressCallback
    from transformers.integrations import TensorBoardCallback

    from trainer.mask_dpo import LogFile, MaskDpoTrainer, ProgressBar

    device = next(model.parameters()).device
    callbacks: list[Any] = [LogFile(output / LOG_FILE)]
    if "tensorboard" in config.report_to:
        from torch.utils.tensorboard import SummaryWriter

        callbacks.append(TensorBoardCallback(SummaryWriter(str(output / "tensorboard"))))
    trainer = MaskDpoTrainer(
        model=model,
        args=_training_arguments(config, output, device, dtype, evaluates=bool(test)),
        beta=config.beta,
        train_items=train,
        eval_items=test,
        callbacks=callbacks,
    )
    # Both print every logged line to stdout; the log file has those, and stdout is the verb's.
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if config.progress:
        trainer.add_callback(ProgressBar())
    checkpoint = last_checkpoint(output)
    try:
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise BackendError(
            f"{device} ran out of memory in a training step; lower train.batch_size (and raise "
            "train.gradient_accumulation by as much) or set train.gradient_checkpointing=true"
        ) from None
    return int(result.global_step)


def save_model(model: Any, tokenizer: Any, *, source: Path, output: Path) -> None:
    """Write the model, with the precision and dropout of its source: safetensors and text only.

    Raises BackendError when a weight is not finite.
    """
    from transformers import AutoConfig

    original = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    for name, value in original.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(model.config, name, value)
    if original.dtype is not None:
        model = model.to(original.dtype)
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise BackendError(
            f"{output}: the weights are not finite after the last step, so they are not saved; "
            "lower train.learning_rate, and set train.resume=false to start over"
        )
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)


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
    # One process, one device: several GPUs are torchrun's business. DataParallel, which
    # transformers would choose here, splits a batch between chosen and rejected.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA has a class for it; the CPU allocator only a message."""
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text
