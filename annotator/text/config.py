"""The settings of text handling: the language of a text and its sentence splitter."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.config import Section
from schemas.text.language_codes import LanguageCode

SplitterName = Literal["sentencex", "spacy", "nltk"]


class TextConfig(Section):
    """How texts are divided into sentences."""

    language: LanguageCode = Field(
        default="auto",
        description="ISO code of the texts ('en', 'zh', ...); 'auto' detects it for each text.",
    )
    splitter: SplitterName = Field(
        default="sentencex",
        description=(
            "The library that finds sentence ends in prose. All three work offline and without "
            "models: 'sentencex' (rules for about 300 languages), 'spacy' (its rule-based "
            "sentencizer, no trained pipeline), 'nltk' (the Punkt algorithm without trained data)."
        ),
    )


class RetrievalConfig(Section):
    """Which parts a judge model reads of documents that do not fit its prompt."""

    max_tokens: int = Field(
        default=6_000,
        ge=64,
        description=(
            "documents with at most this number of tokens are shown in full; of longer ones, the "
            "passages relevant to the sentences, up to this number of tokens"
        ),
    )
    passage_sentences: int = Field(
        default=4, ge=1, le=100, description="number of sentences per passage"
    )
    overlap: int = Field(
        default=1,
        ge=0,
        le=50,
        description="number of sentences that a passage shares with the next",
    )
    passages_a_sentence: int = Field(
        default=6,
        ge=1,
        le=1_000,
        description="number of passages to search for each sentence, best first",
    )

    @model_validator(mode="after")
    def _passages_go_on(self) -> Self:
        if self.overlap >= self.passage_sentences:
            raise ValueError(
                f"overlap is {self.overlap}, but it must be below passage_sentences="
                f"{self.passage_sentences}"
            )
        return self
