"""Settings of `maskdpo questions`: the writer model, how many questions, how much of a document."""

from __future__ import annotations

from pydantic import Field

from annotator.models.config import ModelConfig
from schemas.stage import DEFAULT_MAX_FAILED


class QuestionsConfig(ModelConfig):
    """Settings of `maskdpo questions`."""

    num_questions: int = Field(default=3, ge=1, le=100, description="questions per document")
    temperature: float = Field(
        default=0.7, ge=0.0, le=2.0, description="sampling temperature; 0 takes the likeliest token"
    )
    max_tokens: int = Field(
        default=1024,
        ge=1,
        description="longest reply, in tokens; one that is cut off is asked for again with twice",
    )
    max_document_tokens: int = Field(
        default=4000,
        ge=50,
        description="of a longer document, the writer sees the beginning, about so many tokens",
    )
    max_failed: float = Field(
        default=DEFAULT_MAX_FAILED,
        ge=0.0,
        le=1.0,
        description="share of documents that may end without a question",
    )
