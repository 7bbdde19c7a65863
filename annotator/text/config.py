"""The settings of text handling: which language a text is in and what splits it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.config import Section
from schemas.text.language_codes import LanguageCode

SplitterName = Literal["sentencex", "spacy", "nltk"]


class TextConfig(Section):
    """How texts are cut into sentences."""

    language: LanguageCode = Field(
        default="auto",
        description="ISO code of the texts ('en', 'zh', ...); 'auto' detects it text by text.",
    )
    splitter: SplitterName = Field(
        default="sentencex",
        description="What finds sentence ends in prose. All three work offline and without models: "
        "'sentencex' (rules for some 300 languages), 'spacy' (its rule-based sentencizer, no "
        "trained pipeline), 'nltk' (the Punkt algorithm without trained data).",
    )


class RetrievalConfig(Section):
    """What a judge model is shown of documents that do not fit its prompt."""

    max_tokens: int = Field(
        default=6_000,
        ge=64,
        description="documents up to this many tokens are shown whole; of longer ones, the "
        "passages that bear on the sentences, up to this many",
    )
    passage_sentences: int = Field(default=4, ge=1, le=100, description="sentences per passage")
    overlap: int = Field(
        default=1, ge=0, le=50, description="sentences that a passage shares with the next"
    )
    passages_a_sentence: int = Field(
        default=6, ge=1, le=1_000, description="passages searched for each sentence, best first"
    )

    @model_validator(mode="after")
    def _passages_go_on(self) -> Self:
        if self.overlap >= self.passage_sentences:
            raise ValueError(
                f"overlap is {self.overlap}, but it must be below passage_sentences="
                f"{self.passage_sentences}"
            )
        return self
