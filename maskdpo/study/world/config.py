"""Settings of the study's world and of its base model, with the reason for each.

The rule: these values and a seed decide every text; nothing else does.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.config import Section

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class WorldConfig(Section):
    """Size of a world, and how wrong what its base model reads is.

    With the defaults, 49% of the facts that the base model reads are true:
    0.7 * 0.6 + 0.3 * 0.4 * 0.6.
    """

    num_people: int = Field(
        default=96, ge=4, description="people of all languages; each is one topic"
    )
    num_unseen: int = Field(
        default=32, ge=2, description="the people among them that are kept for evaluation"
    )
    languages: tuple[Literal["en", "zh"], ...] = Field(
        default=("en", "zh"), min_length=1, description="people take them in turn"
    )
    num_values: int = Field(
        default=12, ge=2, le=14, description="values that an attribute can have in one world"
    )
    corrupted_share: Share = Field(
        default=0.4, description="share of random wrong values, drawn anew for each answer"
    )
    fixed_share: Share = Field(
        default=0.3,
        description="share of a person's facts for which texts repeat one wrong value, so that "
        "greedy decoding errs there",
    )
    fixed_weight: Share = Field(
        default=0.6, description="how often the texts state this wrong value, where there is one"
    )
    omitted_share: Share = Field(
        default=0.1, description="share of the facts that an answer leaves out (3 remain)"
    )
    joined_share: Share = Field(
        default=0.35, description="how often the next two facts share one sentence"
    )
    filler_share: Share = Field(
        default=0.15, description="share of the answers that have a sentence without a fact"
    )

    @model_validator(mode="after")
    def _someone_is_seen(self) -> Self:
        if self.num_unseen >= self.num_people:
            raise ValueError(
                f"num_unseen is {self.num_unseen}, but it must be less than num_people "
                f"({self.num_people}): the people who are left are trained on"
            )
        return self


class BaseConfig(Section):
    """Size and training of a base model; another seed or size makes another model."""

    hidden_size: int = Field(default=128, ge=8, multiple_of=8, description="width of the model")
    num_layers: int = Field(default=3, ge=1, description="number of layers")
    num_steps: int = Field(default=900, ge=1, description="training steps")
    batch_size: int = Field(default=32, ge=1, description="answers per step")
    learning_rate: float = Field(default=3e-3, gt=0, description="maximum learning rate")
    initializer_range: float = Field(
        default=0.02, gt=0, description="standard deviation of the initial weights"
    )
    seed: int = Field(default=0, ge=0, description="seed of weights and training texts")
