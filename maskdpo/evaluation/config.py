"""Settings of `evaluate`: which models, on which questions, with how many samples."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from schemas.config import Section


class EvaluateConfig(Section):
    """What `evaluate` compares. How it samples and judges is set in `sample` and `annotate`."""

    models: dict[str, str] = Field(
        min_length=1,
        description="models to compare, as name: folder or Hub id; the first is what the "
        "others are compared with",
    )
    questions: Path | None = Field(
        default=None,
        description="questions to ask, best of topics that training has not seen [run.questions]",
    )
    num_responses: int | None = Field(
        default=None, ge=1, description="responses per question; default: as in section sample"
    )
    temperature: float | None = Field(
        default=None,
        ge=0.0,
        le=2.0,
        description="sampling temperature; default: as in section sample",
    )
    seed: int = Field(default=1, ge=0, description="seed of the evaluation's own samples")
    descriptions: dict[str, str] = Field(
        default={}, description="one line per model for the report, as name: text"
    )
    num_examples: int = Field(
        default=24, ge=0, le=1000, description="questions shown with their responses in the report"
    )

    @field_validator("models")
    @classmethod
    def _names_make_folders(cls, models: dict[str, str]) -> dict[str, str]:
        for name in models:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"model name {name!r}: use letters, digits, '_' and '-' only")
        return models
