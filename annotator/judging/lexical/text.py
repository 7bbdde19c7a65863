"""Words in the form that the lexical judge compares: one key per word, and its kind.

The rule: two forms of one word get the same key (`Works`/`working`), a quantity is one word in any
form (`$3.2 million`/`$3,200,000`), and text without spaces between words (Chinese, Japanese,
Korean, Thai) is read as overlapping character pairs. Other scripts are compared word by word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from annotator.judging.lexical.quantities import read_quantities
from annotator.judging.lexical.quantity import Quantity
from annotator.judging.lexical.words import FUNCTION_WORDS, NEGATIONS
from schemas.spans import Offsets
from schemas.text.scripts import HAN_REPEATED, HANGUL_SYLLABLES, SOUTH_EAST_ASIAN, WIDE

MAX_PASSAGE_CHARS = 600

# Han, kana, Hangul, Thai, Lao, Myanmar, Khmer: scripts in which a space does not end a word.
_UNSPACED = f"{SOUTH_EAST_ASIAN}{HAN_REPEATED}{WIDE}{HANGUL_SYLLABLES}"
# Vowel signs and accents that Python's \w leaves out, and the letters of scripts that use them.
_MARKED = (
    "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0df3"
)
_LETTER = rf"(?:[{_MARKED}]|[^\W_{_UNSPACED}])"
# Possessive and bounded repeats keep every pattern linear on malicious text.
_TOKEN = re.compile(
    rf"(?P<number>\d++(?:[.,]\d++){{0,8}}+(?:st|nd|rd|th|s)?+(?![^\W\d_{_UNSPACED}]))"
    rf"|(?P<unspaced>[{_UNSPACED}]+)"
    rf"|(?P<word>{_LETTER}+(?:['’]{_LETTER}+)*)",
    re.IGNORECASE,
)
# [3], [1, 2], [4-6], [citation needed]: they show annotators' habits, not facts.
_CITATION = re.compile(
    r"\[(?:\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,20}|citation needed|note \d+)\]", re.I
)
# A passage ends at a line end, or at a probable sentence end; a wrong cut matters little, because
# coverage is computed over several passages.
_PASSAGE_END = re.compile(
    r"(?<![\s.][A-Z])(?<!\bDr)(?<!\bMr)(?<!\bMrs)(?<!\bSt)(?<!\bNo)(?<![.!?؟۔।॥])[.!?؟۔।॥]++[\"'”’)\]]{0,4}+\s++"
    r"|[。！？]+[”’」』）\"]*|\n+"
)

_AMERICAN = {"isation": "ization", "ise": "ize", "our": "or", "tre": "ter"}
_BRITISH = re.compile(r"(?<=[a-z]{3})(?:isation|ise|our|tre)(?=s?$|d$|ing$|ed$)")


class Token(NamedTuple):
    """A word, or a pair of unspaced characters, at `[start, end)`; compared by `key`."""

    key: str
    text: str
    start: int
    end: int
    is_number: bool = False
    is_name: bool = False
    is_function: bool = False
    is_pair: bool = False
    quantity: Quantity | None = None

    @property
    def lower(self) -> str:
        """The word without case."""
        return self.text.casefold()


def read_tokens(text: str) -> tuple[Token, ...]:
    """The words of a sentence or passage in order; character pairs where words are unspaced.

    Results for texts up to the length of a passage are cached, which limits the memory.
    """
    return _remembered(text) if len(text) <= MAX_PASSAGE_CHARS else tuple(scan_tokens(text))


@lru_cache(maxsize=4096)
def _remembered(text: str) -> tuple[Token, ...]:
    return tuple(scan_tokens(text))


@lru_cache(maxsize=4096)
def read_keys(passage: str) -> frozenset[str]:
    """The keys of a passage's words.

    Cached, because many sentences are compared with one passage.
    """
    return frozenset(token.key for token in read_tokens(passage))


def scan_tokens(text: str) -> Iterator[Token]:
    """`read_tokens`, for a text that is read once."""
    position = 0
    for quantity in read_quantities(text):
        yield from _scan_words(text, position, quantity.start)
        start, position = quantity.start, quantity.end
        yield Token(
            key=quantity.key,
            text=text[start:position],
            start=start,
            end=position,
            is_number=True,
            quantity=quantity,
        )
    yield from _scan_words(text, position, len(text))


def _scan_words(text: str, start: int, end: int) -> Iterator[Token]:
    for match in _TOKEN.finditer(text, start, end):
        surface = match.group()
        if match.lastgroup == "unspaced":
            yield from _character_pairs(surface, match.start())
            continue
        lower = surface.casefold().replace("’", "'")
        is_number = match.lastgroup == "number"
        is_function = not is_number and (lower in FUNCTION_WORDS or is_negation(lower))
        yield Token(
            key=lower if is_number or is_function else stem(lower),
            text=surface,
            start=match.start(),
            end=match.end(),
            is_number=is_number,
            is_name=not is_number and not is_function and surface[0].isupper(),
            is_function=is_function,
        )


def _character_pairs(run: str, offset: int) -> Iterator[Token]:
    width = min(2, len(run))
    for index in range(len(run) - width + 1):
        pair = run[index : index + width]
        start = offset + index
        yield Token(key=pair, text=pair, start=start, end=start + width, is_pair=True)


def stem(lower: str) -> str:
    """An English word approximately without inflection; other words mostly unchanged.

    >>> [stem(word) for word in ("works", "working", "cities", "stopped", "moves", "moving")]
    ['work', 'work', 'city', 'stop', 'mov', 'mov']
    """
    word = lower.removesuffix("'s").removesuffix("'")
    if len(word) < 4 or not word.isascii():
        return word
    word = _BRITISH.sub(lambda match: _AMERICAN[match.group()], word)
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed", "ly"):
        base = word.removesuffix(suffix)
        if base != word and len(base) >= 3 and re.search("[aeiouy]", base):
            word = base
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lse":
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > 3 else word


def is_negation(lower: str) -> bool:
    """Whether a word is a negation: not, never, n't, without, failed ..."""
    return lower in NEGATIONS or lower.endswith("n't")


def blank_citations(text: str) -> str:
    """`text` with citation markers such as [3] turned to spaces, so that offsets stay."""
    return _CITATION.sub(lambda match: " " * len(match.group()), text)


def split_passages(text: str) -> list[Offsets]:
    """Sentence-like stretches of a document, trimmed, at most MAX_PASSAGE_CHARS long."""
    passages: list[Offsets] = []
    position = 0
    for end in (*(match.end() for match in _PASSAGE_END.finditer(text)), len(text)):
        while end - position > MAX_PASSAGE_CHARS:
            cut = text.rfind(" ", position + 1, position + MAX_PASSAGE_CHARS)
            cut = cut if cut > position else position + MAX_PASSAGE_CHARS
            _add_trimmed(text, position, cut, passages)
            position = cut
        _add_trimmed(text, position, end, passages)
        position = end
    return passages


def _add_trimmed(text: str, start: int, end: int, passages: list[Offsets]) -> None:
    piece = text[start:end]
    if piece.strip():
        leading = len(piece) - len(piece.lstrip())
        passages.append((start + leading, start + len(piece.rstrip())))
