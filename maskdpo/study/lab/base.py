"""Kind `base`: a world, and a model that half believes what is true in it.

The rule: the folder model/ has its final name only when it is complete.
"""

from __future__ import annotations

import shutil
from typing import Any

from maskdpo.study.lab.task import Job
from maskdpo.study.lab.worlds import BaseConfig, WorldConfig, train_base_model, world_of
from schemas.config import Section

MODEL = "model"


class BaseSettings(Section):
    """Settings of the kind `base`."""

    world: WorldConfig = WorldConfig()
    """The world."""

    seed: int = 0
    """Seed of the world. That of the model is `base.seed`."""

    base: BaseConfig = BaseConfig()
    """The model and its training."""


def run(job: Job) -> dict[str, Any]:
    """Train the base model into model/; returns its last loss in nats per token."""
    settings = job.settings(BaseSettings)
    fresh, output = job.folder / f"{MODEL}.unfinished", job.folder / MODEL
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(output, ignore_errors=True)
    loss = train_base_model(world_of(job.task), fresh, settings.base)
    fresh.rename(output)
    return {"loss": loss}
