"""Settings of FActScore in `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from annotator.judging.config import AnnotateConfig
from annotator.judging.facts.config import FactsConfig
from schemas.config import Section
from schemas.errors import ConfigError


class FactScoreConfig(Section):
    """FActScore, next to the other scores: where facts come from, and the length penalty."""

    gamma: float = Field(
        default=10.0,
        ge=0.0,
        description=(
            "length penalty: a response with fewer facts than this has its score multiplied by "
            "exp(1 - gamma / facts); 0: no penalty"
        ),
    )
    facts: Literal["model", "sentences"] = Field(
        default="model",
        description=(
            "'model' asks a model to break each sentence into atomic facts; 'sentences' takes "
            "each sentence as one fact, without calls for it"
        ),
    )
    writer: FactsConfig | None = Field(
        default=None, description="the model that writes the facts [that of annotate.llm]"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """The model that writes facts, and the name of the section with its settings."""

    config: FactsConfig
    section: str


def find_writer(
    config: FactScoreConfig | None, annotate: AnnotateConfig, *, has_rule: bool = False
) -> Writer | None:
    """The model that writes the facts; None without FActScore, and where a rule finds them.

    Raises ConfigError where none is set, and for a judge that cannot judge new text.
    """
    if config is None:
        return None
    if annotate.judge == "replay":
        raise ConfigError(
            "evaluate.factscore needs a judge that can judge facts: annotate.judge 'replay' has "
            "verdicts on recorded sentences only; use llm, cascade or lexical, or leave "
            "evaluate.factscore out"
        )
    if has_rule or config.facts == "sentences":
        return None
    if config.writer is not None:
        return Writer(config=config.writer, section="evaluate.factscore.writer")
    if annotate.llm is None:
        raise ConfigError(
            f"evaluate.factscore needs a model that writes facts, and annotate.judge "
            f"{annotate.judge!r} has none: give evaluate.factscore.writer.model, or "
            "evaluate.factscore.facts=sentences to take each sentence as one fact"
        )
    return Writer(config=FactsConfig.of_judge(annotate.llm), section="annotate.llm")
