"""Kind `model`: a base model trained on a data set for some steps, by the project's trainer.

The rule: the learning rate is constant and has no warm-up, and the order of the pairs depends on
the seed alone. So fewer steps are a prefix of more: models that differ only in their number of
steps are points of one run.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from maskdpo.study.lab.base import MODEL
from maskdpo.study.lab.dataset import DATASET
from maskdpo.study.lab.samples import MAX_TOKENS
from maskdpo.study.lab.task import Job
from schemas.config import Section
from trainer.config import EosPolicy, TrainConfig
from trainer.loss import LossKind
from trainer.run import run_train

_MAX_LENGTH = MAX_TOKENS + 64  # tokens of prompt and answer


class ModelSettings(Section):
    """Settings of the kind `model`; those of the trainer have its names."""

    use_spans: bool = True
    """Train by the masks; false: stock DPO."""

    eos: EosPolicy | None = None
    """Sides whose end-of-text token trains; None: the trainer's default."""

    loss: LossKind = "sigmoid"
    """With label_smoothing, sigmoid is cDPO."""

    learning_rate: float = Field(default=1.5e-4, gt=0)
    """Learning rate, constant."""

    steps: int = Field(default=40, ge=1)
    """Optimiser steps."""

    batch_size: int = Field(default=8, ge=1)
    """Pairs per step."""

    beta: float = Field(default=0.1, gt=0)
    """Pull to the reference."""

    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    """Assumed share of wrong preferences."""

    length_normalize: bool = False
    """Average log-ratios over a side's tokens."""

    nll_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the chosen side's negative log-likelihood."""

    seed: int = Field(default=0, ge=0)
    """Seed of the order of the pairs."""


def run(job: Job) -> dict[str, Any]:
    """Train into model/; returns the counts of the trainer and its notes."""
    settings = job.settings(ModelSettings)
    base = job.inputs["base"].folder
    config = TrainConfig(
        model=str(base / MODEL),
        **_trained(settings),
        max_steps=settings.steps,
        max_length=_MAX_LENGTH,
        lr_scheduler="constant",
        warmup_ratio=0.0,
        reference_dir=base / "reference",  # shared by all models of this base
        reference_batch_size=32,
        device="cpu",
        evaluate="no",
        save="no",
        progress=False,
        logging_steps=max(1, settings.steps // 4),
    )
    result = run_train(
        config, dataset=job.inputs["dataset"].folder / DATASET, output=job.folder / MODEL
    )
    return {"counts": dict(result.counts), "notes": list(result.notes)}


def _trained(settings: ModelSettings) -> dict[str, Any]:
    """The settings that have the same name in the trainer."""
    return settings.model_dump(exclude={"steps"})
