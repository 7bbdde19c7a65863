"""Says whether a passage states a sentence word for word, or states it with another value.

Worked example, against the passage `She works as a baker.` in a document about Mira Tolvan:

    Mira Tolvan works as a baker.    SAME    the subject and a pronoun are taken for each other
    She works as a singer.           SWAP    all but one stretch agrees; `singer` stands for `baker`
    She worked hard in her youth.    None    too little in common to say

The rule: what is left after the common beginning and the common end are taken off is the value.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from enum import Enum

from annotator.judging.lexical_text import Token, is_article, is_negation
from annotator.judging.lexical_words import FUNCTION_WORDS, PRONOUNS

_MAX_VALUE_WORDS = 3
_MAX_WORDS = 60
_MIN_FRAME_SHARE = 0.5
_SUBJECT = "@"


class Match(Enum):
    """How a sentence relates to a passage."""

    SAME = "same"
    SWAP = "swap"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """`said` in the sentence stands where `stated` stands in the passage; both empty for SAME."""

    match: Match
    said: str = ""
    stated: str = ""


def align(
    sentence: Sequence[Token], passage: Sequence[Token], subject: Set[str]
) -> Alignment | None:
    """Compare a sentence with one passage; None when they differ by more than one short stretch.

    `subject` holds the word keys that name what the passage's document is about.
    """
    if not sentence or len(sentence) > _MAX_WORDS or len(passage) > 2 * _MAX_WORDS:
        return None
    said, stated = _canonical(sentence, subject), _canonical(passage, subject)
    start = _common_length(said, stated)
    left, right = said[start:], stated[start:]
    end = _common_length(left[::-1], right[::-1])
    value, other = left[: len(left) - end], right[: len(right) - end]
    frame = said[: len(said) - len(left)] + left[len(left) - end :]
    if max(len(value), len(other)) > _MAX_VALUE_WORDS or not _holds(frame, len(said)):
        return None
    if any(map(is_negation, value)) != any(map(is_negation, other)):
        return _swap(value, other)
    if not any(map(_is_content, value)):
        return Alignment(match=Match.SAME) if len(value) <= 1 else None
    rephrased = any(_is_content(word) and word in other for word in value)
    names_something = other == [_SUBJECT] or any(map(_is_content, other))
    return _swap(value, other) if names_something and not rephrased else None


def _canonical(tokens: Sequence[Token], subject: Set[str]) -> list[str]:
    """Word keys without articles; a pronoun or a run of subject words becomes one mark."""
    keys: list[str] = []
    for token in tokens:
        if is_article(token):
            continue
        is_subject = token.lower in PRONOUNS or (token.is_name and token.key in subject)
        if not is_subject:
            keys.append(token.key)
        elif not keys or keys[-1] != _SUBJECT:
            keys.append(_SUBJECT)
    return keys


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length


def _holds(frame: Sequence[str], num_words: int) -> bool:
    """Whether the common words are enough to say that both speak of the same thing."""
    if len(frame) < _MIN_FRAME_SHARE * num_words:
        return False
    return any(_is_content(word) for word in frame) or len(frame) > 2


def _is_content(word: str) -> bool:
    return word != _SUBJECT and word not in FUNCTION_WORDS


def _swap(value: Sequence[str], other: Sequence[str]) -> Alignment:
    return Alignment(match=Match.SWAP, said=" ".join(value), stated=" ".join(other))
