"""Settings of the LLM judge: model, protocol, and which verdicts count."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from annotator.judging.protocols.table import DEFAULT, PROTOCOLS
from annotator.models.config import ModelConfig


class LlmConfig(ModelConfig):
    """A judge model and how it is called. Section `annotate.llm`."""

    backend: Literal["transformers", "openai", "vllm"] = Field(
        default="openai",
        description=(
            "'openai' calls any OpenAI-compatible server; 'vllm' and 'transformers' run the "
            "judge on this machine"
        ),
    )
    protocol: str = Field(
        default=DEFAULT,
        description="how the judge model is asked: "
        + "; ".join(f"'{item.name}': {item.summary}" for item in PROTOCOLS.values()),
        json_schema_extra=lambda schema: schema.update(enum=list(PROTOCOLS)),
    )
    window: int = Field(
        default=12,
        ge=1,
        le=200,
        description="maximum number of sentences per call, for a protocol with several per call",
    )
    max_tokens: int = Field(
        default=384, ge=16, description="maximum number of tokens for the verdict of one sentence"
    )
    temperature: float = Field(
        default=0.0,
        ge=0.0,
        le=2.0,
        description="sampling temperature; 0 takes the likeliest token",
    )
    votes: int = Field(
        default=1, ge=1, le=99, description="verdicts sampled per sentence; the majority counts"
    )
    confidence: Literal["none", "votes", "logprob"] = Field(
        default="none",
        description=(
            "source of a verdict's confidence: the share of its votes, or the probability of "
            "the label's tokens, if the server sends it"
        ),
    )
    evidence: Literal["require", "keep"] = Field(
        default="require",
        description=(
            "how to treat a verdict with a quote that is in no document, or with too little "
            "content in its quotes: 'require' makes it undetermined (evidence_not_found, "
            "weak_evidence), 'keep' keeps it and records the missing quotes"
        ),
    )
    ask_spans: bool = Field(
        default=False,
        description=(
            "also ask for the shortest wrong words of a hallucinated sentence, which become its "
            "error spans; for the protocols "
            + " and ".join(repr(item.name) for item in PROTOCOLS.values() if item.can_ask_spans)
        ),
    )
    prompts: Path | None = Field(
        default=None,
        description=(
            "a folder with en.yaml and zh.yaml: your own prompts, or the wording that published "
            "judge weights were trained on"
        ),
    )
    prompt_language: Literal["auto", "en", "zh"] = Field(
        default="auto", description="language of the prompts; auto: Chinese for Chinese responses"
    )

    @field_validator("protocol")
    @classmethod
    def _is_in_the_table(cls, name: str) -> str:
        if name not in PROTOCOLS:
            *others, last = (repr(known) for known in PROTOCOLS)
            known = f"{', '.join(others)} or {last}" if others else last
            raise PydanticCustomError("protocol", f"input should be {known}")
        return name

    @model_validator(mode="after")
    def _protocol_can_ask_spans(self) -> Self:
        if self.ask_spans and not PROTOCOLS[self.protocol].can_ask_spans:
            able = [repr(item.name) for item in PROTOCOLS.values() if item.can_ask_spans]
            raise ValueError(
                f"ask_spans is true, but the protocol {self.protocol!r} cannot ask for words; "
                f"protocols that can: {' and '.join(able)}"
            )
        return self

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
