"""The compared parts of a prompt: its text without case, its words, its character 5-grams.

The rule: all compared parts come from one folded text (`flatten`), so offsets in it are the same
for words and for 5-grams.
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
    """The fields of a message that are read, from a record or another object."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def content(self) -> str:
        """The message's text."""


def prompt_text(prompt: Sequence[Turn]) -> str:
    """The question: all turns except the system's, which many questions share."""
    return "\n".join(message.content for message in prompt if message.role != "system")


@lru_cache(maxsize=8)  # one prompt is compared in several ways, one after the other
def flatten(text: str) -> str:
    """`text` without case, width and runs of white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def character_ngrams(text: str) -> frozenset[str]:
    """The character 5-grams of `text`, without case, width and runs of white space.

    >>> sorted(character_ngrams("ABC  dEf"))
    ['abc d', 'bc de', 'c def']
    """
    return frozenset(ngrams_of(flatten(text)))


@lru_cache(maxsize=8)
def ngrams_of(flat: str) -> tuple[str, ...]:
    """The 5-grams of a folded text, in order; the text itself if it is shorter."""
    return tuple([flat[i : i + NGRAM] for i in range(max(1, len(flat) - NGRAM + 1))])
