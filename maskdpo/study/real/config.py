"""Settings of the study with a real model, with the reason for each.

Sized for SmolLM2-135M on one CPU core with bfloat16 instructions. Measured there: 50 steps of 16
answers about 30 people, at a rate of 1e-3, gave 30% true sentences where 51% of the sentences read
were true, and 90 steps gave 29% (of 104). So 60% of the sentences read here are true, and steps are
smaller: after 80 or 160 of them the model half believes (docs/study.md).
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from maskdpo.study.world.config import WorldConfig
from schemas.config import Section

HOME_KIND = 2
"""The fact group that questions are about: its values are ordinary words, one or two tokens."""


class SupervisedConfig(Section):
    """The supervised stage, which ends when the model half believes the truth."""

    max_steps: int = Field(default=640, ge=1, description="most steps, if no check ends it")
    batch_size: int = Field(default=8, ge=1, description="answers per step, new each time")
    learning_rate: float = Field(default=1e-3, gt=0, description="constant rate after warm-up")
    warmup_steps: int = Field(default=10, ge=0, description="steps in which the rate rises")
    trained_layers: int | None = Field(
        default=15,
        ge=1,
        description="layers that train, from the last; None: all, with the embeddings, as always "
        "where the model starts from random weights",
    )
    check_every: int = Field(default=80, ge=1, description="steps between checks and checkpoints")
    check_responses: int = Field(default=1, ge=1, description="samples per person in a check")
    stop_at: float = Field(
        default=0.42, ge=0, le=1, description="share of true sentences at which training ends"
    )
    low: float = Field(default=0.35, ge=0, le=1, description="least share that counts as half")
    high: float = Field(default=0.65, ge=0, le=1, description="largest share that counts as half")


class PreferenceConfig(Section):
    """The preference runs: equal pairs and steps for every method."""

    learning_rate: float = Field(default=3e-4, gt=0, description="constant rate of the adapter")
    steps: int = Field(default=20, ge=1, description="optimiser steps")
    batch_size: int = Field(default=8, ge=1, description="pairs per step")
    max_pairs: int = Field(default=3, ge=1, description="pairs per person, widest margins first")
    beta: float = Field(default=0.1, gt=0, description="pull towards the base model (beta)")
    rank: int = Field(default=16, ge=1, description="rank of the adapter; alpha is twice that")


class RealConfig(Section):
    """Everything that decides the result; `model` by its content, wherever its folder is."""

    model: str = Field(
        min_length=1,
        description="model folder; one with only config.json and a tokenizer starts from random "
        "weights",
    )
    world: WorldConfig = WorldConfig(
        num_people=30,
        num_unseen=12,
        languages=("en",),
        corrupted_share=0.2,
        joined_share=0.25,
        omitted_share=0.0,
        filler_share=0.0,
    )
    seed: int = Field(default=0, ge=0, description="the first seed; the others follow it")
    num_seeds: int = Field(
        default=3, ge=1, description="repetitions, each with its own world and base; may be raised"
    )
    num_responses: int = Field(default=8, ge=2, description="samples per seen person, for pairs")
    score_responses: int = Field(default=16, ge=1, description="samples per unseen person")
    kl_responses: int = Field(
        default=4, ge=0, description="samples per unseen person for the KL from the base; 0: no KL"
    )
    max_tokens: int = Field(default=56, ge=1, description="maximum length of an answer, in tokens")
    batch_size: int = Field(default=256, ge=1, description="answers sampled together")
    dtype: Literal["bfloat16", "float32"] = Field(
        default="bfloat16",
        description="precision of computing and of the stored models; float32 where a CPU has no "
        "instructions for bfloat16",
    )
    supervised: SupervisedConfig = SupervisedConfig()
    preference: PreferenceConfig = PreferenceConfig()

    @model_validator(mode="after")
    def _is_english(self) -> Self:
        if self.world.languages != ("en",):
            raise ValueError("world.languages must be ('en',): small models know little Chinese")
        return self

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds in their order."""
        return tuple(range(self.seed, self.seed + self.num_seeds))


def quick_config(model: str, num_seeds: int = 1) -> RealConfig:
    """A smoke run of a few minutes: every stage, no meaningful figure."""
    small = RealConfig(model=model)
    return small.model_copy(
        update={
            "world": small.world.model_copy(update={"num_people": 8, "num_unseen": 3}),
            "num_seeds": num_seeds,
            "score_responses": 4,
            "kl_responses": 1,
            "supervised": SupervisedConfig(
                max_steps=40, batch_size=8, check_every=20, check_responses=1, low=0.0, high=1.0
            ),
            "preference": PreferenceConfig(steps=4, max_pairs=2, batch_size=4),
        }
    )
