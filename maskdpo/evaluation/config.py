"""Settings of `evaluate`: which models, on which questions, with how many samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from maskdpo.evaluation.factscore.config import FactScoreConfig
from schemas.config import Section


class EvaluateConfig(Section):
    """What `evaluate` compares. Sampling and judging are set in `sample` and `annotate`."""

    TRUE_FOR_DEFAULTS = frozenset({"factscore"})

    models: dict[str, str] = Field(
        description="models to compare, each NAME: folder or Hub id; the first is the baseline",
    )
    answers: list[str] = Field(
        default=[],
        description="files of answers to compare, each [NAME=]FILE: responses, or annotations "
        "whose verdicts count; without NAME, one model per value of 'model' [none]",
    )
    people: list[Path] = Field(
        default=[],
        description="files of people's reviews of the answers, or annotations of people: adds "
        "prediction-powered scores [none]",
    )
    best_of: bool = Field(
        default=False,
        description="also print the expected best of n responses, n = 1, 2, 4 ... num_responses",
    )
    questions: Path | None = Field(
        default=None,
        description="questions to ask, preferably of topics that are not in the training data "
        "[run.questions]",
    )
    num_responses: int | None = Field(
        default=None, ge=1, description="responses per question [as in section sample]"
    )
    temperature: float | None = Field(
        default=None, ge=0.0, le=2.0, description="sampling temperature [as in section sample]"
    )
    seed: int = Field(default=1, ge=0, description="seed of the evaluation's samples")
    descriptions: dict[str, str] = Field(
        default={}, description="descriptions for the report, each NAME: one line"
    )
    num_examples: int = Field(
        default=24,
        ge=0,
        le=1000,
        description="number of questions that the report shows with their responses",
    )
    factscore: FactScoreConfig | None = Field(
        default=None,
        description="also FActScore, from atomic facts: true, or its settings; it costs a call "
        "per sentence and one per fact",
    )

    @model_validator(mode="before")
    @classmethod
    def _answers_need_no_models(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("answers") and "models" not in values:
            return {**values, "models": {}}
        return values

    @model_validator(mode="after")
    def _somebody_answers(self) -> Self:
        if not self.models and not self.answers:
            raise ValueError("give at least one model in 'models', or a file in 'answers'")
        return self

    @field_validator("models")
    @classmethod
    def _names_make_folders(cls, models: dict[str, str]) -> dict[str, str]:
        for name in models:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"model name {name!r}: use letters, digits, '_' and '-' only")
        return models
