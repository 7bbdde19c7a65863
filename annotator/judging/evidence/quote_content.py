"""Whether located quotes have enough content to support a verdict.

The rule: a verdict needs words that could be wrong. Function words, a bare year and a bare date
are in every document; they show nothing about a sentence, wherever they occur.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from annotator.text.function_words import (
    FUNCTION_CHARACTERS,
    is_date_word,
    is_function_word,
)
from annotator.text.quote_text import read_quote_text
from schemas.text.scripts import HAN, HAN_SIGNS, HIRAGANA, KATAKANA, UNSPACED

ENOUGH_UNITS = 3.0  # content words or numbers that are enough without a word of the sentence
SHARED_UNITS = 2.0  # enough where a part of the sentence is among them
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_IS_HIRAGANA = re.compile(f"[{HIRAGANA}]")
_IS_HAN_OR_KATAKANA = re.compile(f"[{HAN_SIGNS}{KATAKANA}{HAN}]")
_UNITS_OF_HAN = 0.5  # of a content word; words usually have two characters
_UNITS_OF_OTHERS = 0.25  # Thai, Khmer and the like
_ENDS = frozenset(".!?")


@dataclass(kw_only=True, slots=True)
class Content:
    """The content of texts, without repeats; words are casefolded.

    words      content words, with their units of content
    numbers    numbers, and words of dates
    capitals   words with a capital letter, and `inner` those of them that do not begin
               a sentence
    tied       what connects two texts without capitals: pairs of Chinese characters, words of
               scripts without case
    """

    words: dict[str, float] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    capitals: set[str] = field(default_factory=set)
    inner: set[str] = field(default_factory=set)
    tied: set[str] = field(default_factory=set)

    @property
    def units(self) -> float:
        """The amount of content: one per content word and per number."""
        return sum(self.words.values()) + len(self.numbers)

    def names_shared(self, other: Content) -> set[str]:
        """Names in both: with a capital in both, or inside a sentence of one of them."""
        words = self.words.keys() & other.words.keys()
        return words & ((self.capitals & other.capitals) | self.inner | other.inner)


def read_content(texts: Iterable[str], language: str) -> Content:
    """The content of all `texts`, in `language` (ISO 639, or '').

    >>> read_content(["Ada was born in 1990"], "en").units
    3.0
    """
    content = Content()
    for text in texts:
        read = read_quote_text(text)
        before = "."
        for number, word in enumerate(read.tokens()):
            raw = text[read.starts[number] : read.ends[number]]
            if word[0].isdecimal() or is_date_word(word):
                content.numbers.add(word)
            elif _IS_UNSPACED.match(word):
                _add_character(content, word, before)
            elif word[0].isalnum() and not is_function_word(word, language):
                _add_word(content, word, raw, is_first=before in _ENDS)
            before = word
    return content


def _add_character(content: Content, character: str, before: str) -> None:
    if (
        character in FUNCTION_CHARACTERS
        or _IS_HIRAGANA.match(character)
        or not character[0].isalnum()
    ):
        return
    is_han = _IS_HAN_OR_KATAKANA.match(character)
    content.words[character] = _UNITS_OF_HAN if is_han else _UNITS_OF_OTHERS
    if before in content.words and _IS_UNSPACED.match(before):
        content.tied.add(before + character)


def _add_word(content: Content, word: str, raw: str, *, is_first: bool) -> None:
    content.words[word] = 1.0
    if raw[0].isupper():
        content.capitals.add(word)
        if not is_first:
            content.inner.add(word)
    elif not raw[0].islower():
        content.tied.add(word)


def is_weak(said: Content, sentence: Content) -> bool:
    """Whether the quotes have too little content for a sentence.

    Enough is ENOUGH_UNITS of content, or SHARED_UNITS with a name, a number or two words of the
    sentence among them; names of the sentence alone are never enough, nor is a short run of Chinese
    characters of the sentence, which may be its name. A sentence with less content needs no more
    than its own.
    """
    names = said.names_shared(sentence)
    has_more = bool(said.words.keys() - names)
    if sentence.words.keys() - names and not has_more and not (names and said.numbers):
        return True
    num_shared = len(said.words.keys() & sentence.words.keys())
    shares = bool(names or said.tied & sentence.tied or said.numbers & sentence.numbers)
    shares = shares or num_shared >= SHARED_UNITS
    shares = shares and not _is_one_run(said, sentence)
    needed = min(SHARED_UNITS if shares else ENOUGH_UNITS, max(sentence.units, 1.0))
    return said.units < needed


def _is_one_run(said: Content, sentence: Content) -> bool:
    """Whether the quote is one unbroken run of Chinese characters of the sentence."""
    is_run = bool(said.tied) and len(said.tied) == len(said.words) - 1
    return is_run and not said.numbers and said.tied <= sentence.tied
