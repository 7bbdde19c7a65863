"""Settings of the LLM judge: which model, which protocol, what makes a verdict stand."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from annotator.models.config import ModelConfig


class LlmConfig(ModelConfig):
    """A judge model and how it is asked. Section `annotate.llm`."""

    backend: Literal["transformers", "openai", "vllm"] = Field(
        default="openai",
        description="'openai' asks any OpenAI-compatible server; 'vllm' and 'transformers' run "
        "the judge here",
    )
    protocol: Literal["response", "sentence", "anah"] = Field(
        default="response",
        description="'response': one call for all sentences (fewest tokens); 'sentence': one call "
        "a sentence, prefix shared; 'anah': the three questions of ANAH-v2 a sentence",
    )
    window: int = Field(
        default=12, ge=1, le=200, description="protocol response: most sentences in one call"
    )
    max_tokens: int = Field(
        default=384, ge=16, description="room for the verdict of one sentence, in tokens"
    )
    temperature: float = Field(default=0.0, ge=0.0, le=2.0, description="0 takes the likeliest")
    votes: int = Field(
        default=1, ge=1, le=99, description="verdicts drawn for each sentence; the majority holds"
    )
    confidence: Literal["none", "votes", "logprob"] = Field(
        default="none",
        description="what is stored as a verdict's confidence: the share of its votes, or the "
        "probability of the label's tokens, where the server tells it",
    )
    evidence: Literal["require", "keep"] = Field(
        default="require",
        description="a verdict with a quote that no document says, or with quotes that say too "
        "little: 'require' makes it undetermined (evidence_not_found, weak_evidence), 'keep' keeps "
        "it and records the missing quotes",
    )
    prompts: Path | None = Field(
        default=None,
        description="a folder with en.yaml and zh.yaml: prompts of your own, or the wording that "
        "published judge weights were trained on",
    )
    prompt_language: Literal["auto", "en", "zh"] = Field(
        default="auto", description="language of the prompts; auto: Chinese for Chinese responses"
    )

    @model_validator(mode="after")
    def _votes_differ(self) -> Self:
        if self.votes > 1 and self.temperature == 0.0:
            raise ValueError(
                f"votes is {self.votes} at temperature 0, where all votes are equal; set "
                "temperature to 0.7 or so"
            )
        if self.confidence == "votes" and self.votes == 1:
            raise ValueError("confidence 'votes' needs votes above 1")
        return self
