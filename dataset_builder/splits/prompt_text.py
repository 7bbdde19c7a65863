"""What is compared of a prompt: its text without case, its words, its character 5-grams.

The rule: all that is compared is read from one folded text (`flatten`), so a place in it is the
same place for words and for 5-grams.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from schemas.text.scripts import WIDE

NGRAM = 5
WIDE_WORD = re.compile(f"[{WIDE}]")
WORD = re.compile(rf"[{WIDE}]|[^\W{WIDE}]+")


class Turn(Protocol):
    """What is read of a message, be it a record or not."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def content(self) -> str:
        """What is said."""


def prompt_text(prompt: Sequence[Turn]) -> str:
    """What is asked: all turns but the system's, which many questions share."""
    return "\n".join(message.content for message in prompt if message.role != "system")


@lru_cache(maxsize=8)  # a prompt is compared in several ways, one after the other
def flatten(text: str) -> str:
    """`text` less case, width and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def character_ngrams(text: str) -> frozenset[str]:
    """The character 5-grams of `text`, less case, width and runs of white space.

    >>> sorted(character_ngrams("ABC  dEf"))
    ['abc d', 'bc de', 'c def']
    """
    return frozenset(ngrams_of(flatten(text)))


@lru_cache(maxsize=8)
def ngrams_of(flat: str) -> tuple[str, ...]:
    """The 5-grams of a folded text, in order; the text itself where it is shorter."""
    return tuple([flat[i : i + NGRAM] for i in range(max(1, len(flat) - NGRAM + 1))])
