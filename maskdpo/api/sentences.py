"""Sentences of a text, split as `annotate` splits a response.

The rule: offsets are Unicode code points into the untouched text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from annotator.text.config import TextConfig
from annotator.text.sentences import split_sentences as split
from schemas.errors import ConfigError
from schemas.text.language import resolve_language
from schemas.validation import show_value

if TYPE_CHECKING:
    from annotator.text.config import SplitterName


def split_sentences(
    text: str, *, language: str = "auto", splitter: SplitterName = "sentencex"
) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end): sorted, disjoint, without outer white space.

    language   an ISO code such as "de"; "auto" detects it
    splitter   "sentencex", "spacy" or "nltk"

    Raises ConfigError for an unknown language or splitter, and for a value that is not a text.
    """
    if not isinstance(text, str):
        raise ConfigError(f"text is {show_value(text)}, but it must be a text")
    settings = TextConfig.parse(
        {"language": language, "splitter": splitter}, where="maskdpo.split_sentences"
    )
    resolved = resolve_language(settings.language, text)
    return split(text, language=resolved, splitter=settings.splitter)
