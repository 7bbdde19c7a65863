"""The settings of the trainer: section `train` of a run config.

Defaults are those published for Mask-DPO (arXiv 2503.02846, appendix; 4 GPUs x 8 pairs), unless a
field says otherwise. `RUN_KEY_EXCLUDED` decides what makes two runs the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.chat import check_template_kwargs
from schemas.config import Section
from schemas.stage import DEFAULT_MAX_FAILED
from trainer.loss import LossKind, LossSettings
from trainer.render import FROZEN_DATE

EosPolicy = Literal["neither", "chosen", "both"]
Reporter = Literal["tensorboard", "wandb", "mlflow", "trackio"]


class LoraSettings(Section):
    """Train small matrices that are added to frozen ones; without dropout (see `trainer.lora`)."""

    rank: int = Field(default=16, ge=1, description="inner size of the added matrices")
    alpha: int = Field(
        default=32, ge=1, description="the added product is scaled by alpha over rank"
    )
    target_modules: Literal["all-linear"] | tuple[str, ...] = Field(
        default="all-linear",
        description="linear layers to adapt, by the ends of their names; all-linear: all except "
        "the LM head",
    )
    merge: bool = Field(
        default=True,
        description="write the whole model with the adapter merged in, which every command "
        "loads; false: write only the adapter",
    )


class TrainConfig(Section):
    """How to train a policy on preference pairs with sentence masks."""

    model: str = Field(min_length=1, description="policy to train: a model folder or a Hub id")
    revision: str | None = Field(default=None, description="branch, tag or commit of a Hub id")
    trust_remote_code: bool = Field(
        default=False,
        description="run Python code that comes with the model; a Hub id then needs `revision` "
        "as a full commit hash",
    )
    chat_template_kwargs: dict[str, Any] = Field(
        default={}, description="values for the chat template, such as enable_thinking: false"
    )
    template_date: datetime.date | None = Field(
        default=None,
        description="date (YYYY-MM-DD) for a chat template that prints the current date [the "
        "date recorded by an earlier run with the same output or reference_dir, else today]",
    )

    use_spans: bool = Field(
        default=True,
        description="weight tokens by the spans; false: train every answer token (stock DPO)",
    )
    eos: EosPolicy | None = Field(
        default=None,
        description="sides whose end-of-text token and template trailer train: neither, chosen "
        "or both [neither; both for pairs that train without spans, which is stock DPO]",
    )
    loss: LossKind = Field(
        default="sigmoid",
        description="sigmoid (DPO; with label_smoothing: cDPO), robust (needs label_smoothing) "
        "or ipo",
    )
    beta: float = Field(
        default=0.1,
        gt=0,
        description="strength of the pull to the reference; a larger beta keeps the policy "
        "closer to it",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=0.5, description="assumed share of wrong preferences"
    )
    length_normalize: bool = Field(
        default=False,
        description="average log-ratios over a side's active tokens instead of their sum (ipo "
        "always does)",
    )
    nll_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of the chosen side's masked negative log-likelihood, which is added "
        "to the loss against likelihood displacement",
    )
    max_length: int = Field(
        default=1024,
        ge=2,
        description="maximum number of tokens of prompt and answer; longer answers are cut at "
        "the end",
    )

    epochs: float = Field(default=3.0, gt=0, description="passes over the training pairs")
    max_steps: int | None = Field(
        default=None, ge=1, description="stop after this many optimiser steps, regardless of epochs"
    )
    batch_size: int = Field(default=8, ge=1, description="pairs per device per micro-batch")
    gradient_accumulation: int = Field(
        default=1, ge=1, description="micro-batches per optimiser step"
    )
    learning_rate: float = Field(default=5e-7, gt=0, description="peak learning rate")
    lr_scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="schedule of the learning rate after warm-up"
    )
    warmup_ratio: float = Field(
        default=0.03, ge=0, lt=1, description="share of the steps in which the learning rate rises"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay of AdamW")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="beta1 of AdamW")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="beta2 of AdamW")
    adam_epsilon: float = Field(default=1e-8, gt=0, description="epsilon of AdamW")
    max_grad_norm: float = Field(
        default=1.0,
        ge=0,
        description="largest norm of the gradient, above which it is clipped; 0: no clipping",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="gradient checkpointing: recompute activations; less memory, about a third "
        "more time",
    )
    seed: int = Field(
        default=42, ge=0, description="seed of the order of the pairs and of a new adapter"
    )
    lora: LoraSettings | None = Field(
        default=None,
        description="train an adapter (keys: rank, alpha, target_modules, merge; {} uses their "
        "defaults) [train all weights]",
    )

    layout: Literal["auto", "padded", "packed", "shared"] = Field(
        default="auto",
        description="layout of a batch: shared (prefix sharing, no padding), packed "
        "(padding-free) or padded; auto: the first of these that is shown to give the same "
        "values with this model",
    )
    head_megabytes: int | None = Field(
        default=None,
        ge=1,
        description="most MiB of logits in memory at a time; more are computed in chunks [512 on "
        "a CPU, 2048 on a GPU, 4096 on a GPU of 64 GB or more]",
    )
    group_by_length: bool = Field(
        default=False,
        description="make batches of pairs of similar length; useful with padded rows or several "
        "processes",
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="precision of the forward pass (trained weights and the optimiser are "
        "float32; with lora the frozen weights have this precision); auto: bfloat16 on a GPU "
        "that supports it, else float32",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where to train (auto: a GPU if there is one)"
    )

    precompute: bool = Field(
        default=True,
        description="compute the reference log-probs once and store them; false: compute them in "
        "every step, with a second copy of the model (with lora, with the model without its "
        "adapter)",
    )
    reference_batch_size: int = Field(
        default=8, ge=1, description="pairs per forward pass of the reference"
    )
    reference_dir: Path | None = Field(
        default=None,
        description="cache of reference log-probabilities [`reference` next to the output folder]",
    )

    evaluate: Literal["no", "epoch", "steps"] = Field(
        default="epoch", description="when to compute the loss on the test split, if there is one"
    )
    eval_steps: int = Field(
        default=100, ge=1, description="optimiser steps between evaluations, for evaluate: steps"
    )
    early_stopping_patience: int | None = Field(
        default=None,
        ge=1,
        description="stop after this many evaluations without a lower eval_loss, and use the "
        "weights of the lowest",
    )
    save: Literal["no", "epoch", "steps"] = Field(
        default="epoch", description="when to write a checkpoint, from which a killed run resumes"
    )
    save_steps: int = Field(
        default=100, ge=1, description="optimiser steps between checkpoints, for save: steps"
    )
    keep_checkpoints: bool = Field(
        default=False,
        description="keep the newest checkpoint of a finished run (with early stopping: the best "
        "one)",
    )
    resume: bool = Field(
        default=True, description="continue a killed run; false: delete it and start over"
    )
    logging_steps: int = Field(
        default=10, ge=1, description="optimiser steps between lines of the log"
    )
    peak_tflops: float | None = Field(
        default=None,
        gt=0,
        description="peak speed of a device in TFLOP/s, for mfu [known GPUs: their bfloat16 "
        "peak; CPU: no mfu]",
    )
    max_failed: float = Field(
        default=DEFAULT_MAX_FAILED,
        ge=0,
        le=1,
        description="largest tolerated share of invalid rows",
    )
    progress: bool = Field(default=True, description="show progress bars")
    report_to: tuple[Reporter, ...] = Field(
        default=(),
        description="experiment trackers to report to, in addition to training_log.jsonl",
    )

    @property
    def template_values(self) -> dict[str, Any]:
        """Variables for the chat template: the user's values, and the frozen date."""
        if self.template_date is None:
            return dict(self.chat_template_kwargs)
        return self.chat_template_kwargs | {FROZEN_DATE: self.template_date}

    @property
    def loss_settings(self) -> LossSettings:
        """The loss settings, as `trainer.loss` takes them."""
        return LossSettings(
            kind=self.loss,
            beta=self.beta,
            label_smoothing=self.label_smoothing,
            length_normalize=self.length_normalize,
            nll_weight=self.nll_weight,
        )

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_template_variables(cls, values: dict[str, Any]) -> dict[str, Any]:
        check_template_kwargs(values)
        return values

    @field_validator("evaluate", "save", mode="before")
    @classmethod
    def _false_is_the_word_no(cls, value: Any) -> Any:
        return "no" if value is False else value

    @field_validator("report_to", mode="before")
    @classmethod
    def _one_reporter_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _smoothing_has_its_loss(self) -> Self:
        if self.loss == "robust" and not self.label_smoothing:
            raise ValueError(
                "loss robust needs a label_smoothing above 0; with 0 it is the same as sigmoid"
            )
        if self.loss == "ipo" and self.label_smoothing:
            raise ValueError("loss ipo does not use label_smoothing; sigmoid and robust do")
        return self

    @model_validator(mode="after")
    def _early_stopping_has_what_it_needs(self) -> Self:
        if self.early_stopping_patience is not None:
            for name, value in (("evaluate", self.evaluate), ("save", self.save)):
                if value == "no":
                    raise ValueError(
                        "early_stopping_patience compares evaluations and goes back to the best "
                        f"checkpoint, so {name} must be 'epoch' or 'steps', not 'no'"
                    )
        return self


# What is not part of a run's identity: settings that change the trained weights by no more than
# rounding. How the pairs of an optimiser step are split is excluded too; their number
# (`pairs_per_step`) is not.
RUN_KEY_EXCLUDED: Mapping[str, str] = {
    "model": "the hash of its weights replaces it",
    "revision": "the hash of the weights replaces it",
    "batch_size": "counts as pairs_per_step; with group_by_length as block",
    "gradient_accumulation": "counts as pairs_per_step",
    "gradient_checkpointing": "memory for time; results agree up to rounding",
    "layout": "how rows are laid out; results agree up to rounding",
    "head_megabytes": "how many logits at a time; results agree up to rounding",
    "device": "where, not what; results agree up to rounding",
    "precompute": "when, not what; results agree up to rounding",
    "reference_batch_size": "how fast, not what",
    "peak_tflops": "measures, changes nothing",
    "reference_dir": "where, not what",
    "evaluate": "measures, changes nothing; counts with early_stopping_patience",
    "eval_steps": "measures, changes nothing; counts with early_stopping_patience",
    "save": "when to keep, not what",
    "save_steps": "when to keep, not what",
    "keep_checkpoints": "what to keep, not what it is",
    "resume": "how to start, not where it ends",
    "logging_steps": "measures, changes nothing",
    "max_failed": "an exit code, not a weight",
    "progress": "shows, changes nothing",
    "report_to": "reports, changes nothing",
}


def run_settings(config: TrainConfig, *, num_processes: int = 1) -> dict[str, Any]:
    """The settings that decide the trained weights, as plain JSON values."""
    values = config.model_dump(mode="json")
    excluded = set(RUN_KEY_EXCLUDED)
    if config.early_stopping_patience is not None:
        excluded -= {"evaluate", "eval_steps"}  # with it, they choose which weights are kept
    block = config.batch_size * num_processes
    counted = {"pairs_per_step": block * config.gradient_accumulation}
    if config.group_by_length:  # pairs of similar length are grouped into blocks of this size
        counted["block"] = block
    return {name: value for name, value in values.items() if name not in excluded} | counted


def compute_settings(config: TrainConfig, *, num_processes: int = 1) -> dict[str, Any]:
    """How a run was computed, as a record: settings that change its weights only by rounding."""
    names = (
        "batch_size",
        "gradient_accumulation",
        "gradient_checkpointing",
        "layout",
        "head_megabytes",
        "device",
    )
    values = config.model_dump(mode="json")
    return {name: values[name] for name in names} | {"num_processes": num_processes}
