"""Settings of judging: which judge, how sentences are split, how much may fail."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from annotator.text.config import TextConfig
from schemas.config import Section
from schemas.stage import DEFAULT_MAX_FAILED


class LexicalConfig(Section):
    """Settings of the lexical judge, which needs no model."""

    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """A sentence scored at or above this is called hallucinated. The default suits the fitted
    weights; no one value suits every domain."""

    max_evidence: int = Field(default=3, ge=1, le=20)
    """Passages named as evidence of a verdict, best first."""


class AnnotateConfig(Section):
    """Settings of `annotate`."""

    judge: Literal["lexical"] = "lexical"
    """Who judges. `lexical` is a baseline: word overlap, no model, no network."""

    lexical: LexicalConfig = LexicalConfig()
    """Used when `judge` is `lexical`."""

    text: TextConfig = TextConfig()
    """Language of the responses and the sentence splitter."""

    max_failed: float = Field(default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0)
    """Share of the responses that may fail before the command ends with exit code 1."""

    max_response_chars: int = Field(default=200_000, ge=1)
    """A longer response is recorded as a failed row (`response_too_long`) and not judged."""
