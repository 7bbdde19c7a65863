"""Settings of judging: which judge, how sentences are split, how much may fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from annotator.judging.llm_config import LlmConfig
from annotator.judging.protocols.table import PROTOCOLS
from annotator.text.config import RetrievalConfig, TextConfig
from schemas.config import Section
from schemas.stage import DEFAULT_MAX_FAILED


class LexicalConfig(Section):
    """Settings of the lexical judge, which needs no model."""

    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    """A sentence with this score or a higher one is called hallucinated. At 0.5 that is 42% of its
    words uncovered, or a number, name or negation that differs; no single value suits every
    domain."""

    max_evidence: int = Field(default=3, ge=1, le=20)
    """Passages named as evidence of a verdict, best first."""


JudgeName = Literal["llm", "lexical", "replay", "cascade"]
SingleJudgeName = Literal["llm", "lexical", "replay"]


class ReplayConfig(Section):
    """Settings of the replay judge."""

    annotations: Path
    """annotations.jsonl whose verdicts are reused, by response id, text and offsets."""


class CascadeConfig(Section):
    """Settings of the cascade: the first judge, and the second one for unsure sentences."""

    first: SingleJudgeName = "lexical"
    """The judge of every sentence."""

    second: SingleJudgeName = "llm"
    """The judge of sentences where the first is undetermined or below `min_confidence`."""

    min_confidence: float = Field(default=0.9, ge=0.0, le=1.0)
    """A verdict of the first judge with at least this confidence (0 to 1) is kept, and so is one
    without a confidence."""

    @model_validator(mode="after")
    def _two_judges(self) -> Self:
        if self.first == self.second:
            raise ValueError(f"first and second are both {self.first!r}; name two judges")
        return self


class AnnotateConfig(Section):
    """Settings of `annotate`."""

    FORMER_NAMES: ClassVar[Mapping[str, str]] = {"documents": "find_documents"}

    judge: JudgeName = "lexical"
    """The judge: `llm` (a judge model and a protocol), `lexical` (a baseline: word overlap, no
    model, no network), `replay` (verdicts made earlier or elsewhere), `cascade` (a second judge
    where the first is unsure)."""

    llm: LlmConfig | None = Field(
        default=None,
        description="The judge model: {model, protocol, base_url, ...}; see docs/judging.md. "
        f"protocol: {', '.join(PROTOCOLS)}.",
    )

    lexical: LexicalConfig = LexicalConfig()
    """Used when `judge` is `lexical`."""

    replay: ReplayConfig | None = None
    """Used when `judge` is `replay`: {annotations: FILE}."""

    cascade: CascadeConfig = CascadeConfig()
    """Used when `judge` is `cascade`: {first, second, min_confidence}."""

    domain: str | None = None
    """What the documents are about: a name (`general`, `biography`, `medical`, `legal`,
    `zh_general`, or one made with `maskdpo domain new`) or a file. A judge model reads its
    guidance; its language and splitter are used where `text` does not set them."""

    text: TextConfig = TextConfig()
    """Language of the responses and the sentence splitter."""

    find_documents: Literal["auto", "ids", "topic", "corpus"] = "auto"
    """The documents that a response is compared with: `ids` (those it names), `topic` (those of its
    topic), `auto` (its ids, else its topic), `corpus` (those that a search in all documents by
    question and sentences finds)."""

    retrieval: RetrievalConfig = RetrievalConfig()
    """What a judge model reads of long documents: {max_tokens, passage_sentences, ...}."""

    max_failed: float = Field(default=DEFAULT_MAX_FAILED, ge=0.0, le=1.0)
    """Share of the responses that may fail before the command ends with exit code 1."""

    max_undetermined_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the sentences that may be undetermined before the command ends with exit code 1.
    The output is written all the same. Sentences that people left undetermined do not count."""

    max_useless: int = Field(default=30, ge=0)
    """Number of unusable replies in a row at which the run stops with exit code 3; 0: it never
    stops."""

    max_response_chars: int = Field(default=200_000, ge=1)
    """A longer response is recorded as a failed row (`response_too_long`) and not judged."""

    @model_validator(mode="after")
    def _judge_is_described(self) -> Self:
        asked = {self.judge}
        if self.judge == "cascade":
            asked = {self.cascade.first, self.cascade.second}
        if "llm" in asked and self.llm is None:
            raise ValueError(
                "the judge 'llm' needs a section llm with at least a model, such as "
                "--set annotate.llm.model=my-judge"
            )
        if "replay" in asked and self.replay is None:
            raise ValueError("the judge 'replay' needs replay.annotations, a file of verdicts")
        return self
