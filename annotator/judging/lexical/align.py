"""Whether a passage states a sentence word for word, or states it with another value.

Worked example, against the passage `She works as a baker.` in a document about Mira Tolvan:

    Mira Tolvan works as a baker.    SAME    the subject and a pronoun count as the same
    She works as a singer.           SWAP    all but one part agrees; `singer` replaces `baker`
    She worked hard in her youth.    None    too little in common to decide

The rule: the value is what remains without the common beginning and the common end.
Text without spaces between words is compared character by character.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from annotator.judging.lexical.quantity import Quantity, Relation, relate
from annotator.judging.lexical.text import Token, is_negation
from annotator.judging.lexical.words import (
    ARTICLES,
    FUNCTION_CHARACTERS,
    NEGATION_CHARACTERS,
    PRONOUN_CHARACTERS,
    PRONOUNS,
    THINGS,
)

_MAX_TOKENS = 80
_MAX_VALUE_WORDS = 3
_MAX_VALUE_CHARACTERS = 7
_MIN_FRAME_SHARE = 0.5
_MIN_FRAME_SHARE_UNSPACED = 0.3
_SUBJECT = "@"


class Match(Enum):
    """How a sentence relates to a passage."""

    SAME = "same"
    SWAP = "swap"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """`said` in the sentence corresponds to `stated` in the passage; both empty for SAME."""

    match: Match
    said: str = ""
    stated: str = ""


class _Unit(NamedTuple):
    """The unit of comparison: a word or a character, or the subject in any form."""

    key: str
    text: str
    is_content: bool
    is_negation: bool = False
    is_number: bool = False
    is_name: bool = False
    is_character: bool = False
    quantity: Quantity | None = None


def align(
    sentence: Sequence[Token], passage: Sequence[Token], subject: Set[str]
) -> Alignment | None:
    """Compare a sentence with one passage; None when they differ in more than one short part.

    `subject` holds the word keys that name what the passage's document is about.
    """
    if not sentence or len(sentence) > _MAX_TOKENS or len(passage) > 2 * _MAX_TOKENS:
        return None
    said, stated = list(_units(sentence, subject)), list(_units(passage, subject))
    start = _common_length(said, stated)
    left, right = said[start:], stated[start:]
    end = _common_length(left[::-1], right[::-1])
    value, other = left[: len(left) - end], right[: len(right) - end]
    frame = said[:start] + left[len(left) - end :]
    if not _is_value(value) or not _is_value(other) or not _holds(frame, said, stated):
        return _align_reordered(said, stated)
    if _denies(value) != _denies(other):
        return _swap(value, other)
    if not any(unit.is_content for unit in value):
        return Alignment(match=Match.SAME) if len(value) <= 1 else None
    if not _comparable(value, other):
        return None
    keys = {unit.key for unit in other}
    rephrased = any(unit.is_content and unit.key in keys for unit in value)
    names_something = keys == {_SUBJECT} or any(unit.is_content for unit in other)
    return _swap(value, other) if names_something and not rephrased else None


def _align_reordered(said: Sequence[_Unit], stated: Sequence[_Unit]) -> Alignment | None:
    """A swap where the words have another order: `In 1934 she left school.`

    Only where each side has exactly one content word that the other lacks, both of them numbers
    or both of them names, and at least two in common.
    """
    if any(unit.is_character for unit in said) or _denies(said) != _denies(stated):
        return None
    words = {unit.key: unit for unit in said if unit.is_content}
    others = {unit.key: unit for unit in stated if unit.is_content}
    value = [unit for key, unit in words.items() if key not in others]
    other = [unit for key, unit in others.items() if key not in words]
    if len(value) != 1 or len(other) != 1 or len(words) < 3:
        return None
    are_numbers = value[0].is_number and other[0].is_number
    are_names = value[0].is_name and other[0].is_name
    return _swap(value, other) if are_numbers or are_names else None


def _denies(units: Sequence[_Unit]) -> bool:
    return any(unit.is_negation for unit in units)


def _units(tokens: Sequence[Token], subject: Set[str]) -> Iterator[_Unit]:
    """Words without articles, and characters; the subject, by name or pronoun, becomes one unit."""
    after_subject = False
    for index, token in enumerate(tokens):
        if token.lower in ARTICLES:
            continue
        for unit in _split_unit(tokens, index, subject):
            is_subject = unit.key == _SUBJECT
            if not (is_subject and after_subject):
                yield unit
            after_subject = is_subject


def _split_unit(tokens: Sequence[Token], index: int, subject: Set[str]) -> Iterator[_Unit]:
    token = tokens[index]
    if not token.is_pair:
        is_subject = token.lower in PRONOUNS or token.key in subject
        yield _Unit(
            key=_SUBJECT if is_subject else token.key,
            text=token.text,
            is_content=not is_subject and not token.is_function,
            is_negation=is_negation(token.lower),
            is_number=token.is_number,
            is_name=token.is_name,
            quantity=token.quantity,
        )
        return
    # Pairs overlap: each gives its first character, and the last pair of a run both.
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    is_last = after is None or after.start != token.start + 1
    named = token.key in subject
    named_before = before is not None and before.end == token.start + 1 and before.key in subject
    yield _character(token.text[0], named or named_before)
    if is_last and len(token.text) > 1:
        yield _character(token.text[1], named)


def _character(text: str, named: bool) -> _Unit:
    is_subject = named or text in PRONOUN_CHARACTERS
    return _Unit(
        key=_SUBJECT if is_subject else text,
        text=text,
        is_content=not is_subject and text not in FUNCTION_CHARACTERS,
        is_negation=text in NEGATION_CHARACTERS,
        is_character=True,
    )


def _common_length(left: Sequence[_Unit], right: Sequence[_Unit]) -> int:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one.key != other.key and not _states(one, other):
            break
        length += 1
    return length


def _states(said: _Unit, stated: _Unit) -> bool:
    """Whether a passage's quantity states that of the sentence in another form."""
    if said.quantity is None or stated.quantity is None:
        return False
    return relate(said.quantity, stated.quantity) is Relation.SAME


def _comparable(value: Sequence[_Unit], other: Sequence[_Unit]) -> bool:
    """Whether one may replace the other: a number one of its kind, a name another name.

    `it` may be any thing, so a common word in its place is not another value.
    """
    said = [unit.quantity for unit in value if unit.quantity is not None]
    stated = [unit.quantity for unit in other if unit.quantity is not None]
    if said or stated:
        return any(relate(one, two) is Relation.OTHER for one in said for two in stated)
    is_thing = bool(other) and all(unit.text.casefold() in THINGS for unit in other)
    return not is_thing or any(unit.is_name for unit in value)


def _is_value(units: Sequence[_Unit]) -> bool:
    """Whether a part is short enough to be one value, or is empty."""
    unspaced = any(unit.is_character for unit in units)
    return len(units) <= (_MAX_VALUE_CHARACTERS if unspaced else _MAX_VALUE_WORDS)


def _holds(frame: Sequence[_Unit], said: Sequence[_Unit], stated: Sequence[_Unit]) -> bool:
    """Whether the common part is large enough: then both are about the same thing."""
    unspaced = any(unit.is_character for unit in said)
    share = _MIN_FRAME_SHARE_UNSPACED if unspaced else _MIN_FRAME_SHARE
    whole = max(len(said), len(stated)) if unspaced else len(said)
    if len(frame) < share * whole:
        return False
    return any(unit.is_content for unit in frame) or len(frame) > 2


def _swap(value: Sequence[_Unit], other: Sequence[_Unit]) -> Alignment:
    return Alignment(match=Match.SWAP, said=_join(value), stated=_join(other))


def _join(units: Sequence[_Unit]) -> str:
    separator = "" if any(unit.is_character for unit in units) else " "
    return separator.join(unit.text for unit in units)
