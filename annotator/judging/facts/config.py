"""Settings of the model that breaks sentences into atomic facts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from annotator.judging.llm_config import LlmConfig
from annotator.models.config import ModelConfig


class FactsConfig(ModelConfig):
    """The model that breaks sentences into atomic facts, and how it is called."""

    backend: Literal["transformers", "openai", "vllm"] = Field(
        default="openai",
        description=(
            "'openai' calls any OpenAI-compatible server; 'vllm' and 'transformers' run the "
            "model on this machine"
        ),
    )
    temperature: float = Field(
        default=0.0,
        ge=0.0,
        le=2.0,
        description="sampling temperature; 0 takes the likeliest token",
    )
    max_tokens: int = Field(
        default=512,
        ge=16,
        description=(
            "maximum length of the facts of one sentence, in tokens; a reply that is cut off is "
            "requested again with twice that"
        ),
    )

    @classmethod
    def of_judge(cls, judge: LlmConfig) -> Self:
        """The judge's model, called with these defaults."""
        return cls(**{name: getattr(judge, name) for name in ModelConfig.model_fields})
