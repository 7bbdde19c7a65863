"""Settings of `maskdpo questions`: the writer model, the number of questions, how much of a
document it reads."""

from __future__ import annotations

from pydantic import Field

from annotator.models.config import ModelConfig
from schemas.stage import DEFAULT_MAX_FAILED


class QuestionsConfig(ModelConfig):
    """Settings of `maskdpo questions`."""

    num_questions: int = Field(default=3, ge=1, le=100, description="questions per document")
    temperature: float = Field(
        default=0.7,
        ge=0.0,
        le=2.0,
        description="sampling temperature; 0 takes the likeliest token",
    )
    max_tokens: int = Field(
        default=1024,
        ge=1,
        description=(
            "maximum length of a reply, in tokens; one that is cut off is requested again with "
            "twice that"
        ),
    )
    max_document_tokens: int = Field(
        default=4000,
        ge=50,
        description=(
            "of a longer document, the writer reads the beginning, about this number of tokens"
        ),
    )
    max_failed: float = Field(
        default=DEFAULT_MAX_FAILED,
        ge=0.0,
        le=1.0,
        description=(
            "share of documents that may have no question before the command ends with exit code 1"
        ),
    )
