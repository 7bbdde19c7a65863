"""The demo's built-in settings, with the reason for each.

Chosen by measurement on two CPU cores without a GPU; docs/demo.md has the figures.
"""

from __future__ import annotations

from pydantic import Field

from maskdpo.demo.base_model import BaseModelConfig
from schemas.config import Section


class DemoConfig(Section):
    """Size of the closed world and of the training in it."""

    num_people: int = Field(default=120, ge=4, description="invented people, one topic each")
    num_unseen: int = Field(
        default=40, ge=2, description="people left out of the preference data, for evaluation"
    )
    num_responses: int = Field(default=8, ge=2, description="samples per topic, at temperature 1")
    max_tokens: int = Field(
        default=128, ge=1, description="maximum length of a biography, in tokens"
    )
    learning_rate: float = Field(
        default=1.5e-4,
        gt=0,
        description="learning rate of all preference runs; at 4e-4 one method or the other fails",
    )
    epochs: float = Field(
        default=4.0, gt=0, description="after the optimum a model begins to invent facts"
    )
    batch_size: int = Field(default=8, ge=1, description="pairs per step")
    beta: float = Field(default=0.1, gt=0, description="pull towards the reference (beta)")
    seed: int = Field(default=0, ge=0, description="seed of world, base model and samples")
    base_model: BaseModelConfig = BaseModelConfig()
