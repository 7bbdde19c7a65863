"""The settings of text handling: which language a text is in and what splits it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.config import Section

SplitterName = Literal["sentencex", "spacy", "nltk"]


class TextConfig(Section):
    """How texts are cut into sentences."""

    language: str = Field(
        default="auto",
        description="ISO code of the texts ('en', 'zh', ...); 'auto' detects it text by text.",
    )
    splitter: SplitterName = Field(
        default="sentencex",
        description="What finds sentence ends in prose. All three work offline and without models: "
        "'sentencex' (rules for some 300 languages), 'spacy' (its rule-based sentencizer, no "
        "trained pipeline), 'nltk' (the Punkt algorithm without trained data).",
    )
