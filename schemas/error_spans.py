"""Error spans of sentences, from what was given to what can be used; and pieces of sentences.

The rule: records keep error spans as judge or person gave them, and what is needed of them is
computed here each time: cut at the sentence's ends, joined where they overlap, and (for weights
only) trimmed. A hallucinated sentence without error spans is wrong as a whole.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from schemas.records import Sentence, Span
from schemas.spans import Offsets

SpanT = TypeVar("SpanT")

# What ends a sentence or a clause: Latin, CJK, Arabic, Devanagari, Armenian, Ethiopic, Tibetan.
_FINAL = frozenset(".,;:!?…‥。，、；：！？．｡､،؛؟۔।॥։።፣་།")
_CLOSING = frozenset("\"'”’»›」』】）)]}〉》")
_NOT_PUNCTUATION = frozenset("%‰&@#§*/\\")  # category P of Unicode, but they carry meaning


def given_places(sentence: Sentence) -> list[Offsets]:
    """The sentence's error spans, cut at its ends, sorted; those that overlap or touch are one."""
    inside = (
        (max(span.start, sentence.start), min(span.end, sentence.end))
        for span in sentence.verdict.error_spans
    )
    return join_places((start, end) for start, end in inside if start < end)


def wrong_words(text: str, sentence: Sentence) -> list[Offsets]:
    """The places of the wrong words that a weight can depend on, sorted and disjoint.

    These are `given_places` without white space at their ends and without final punctuation. A
    place of punctuation alone is left out; places with only white space between them are one.
    """
    trimmed = (trim_words(text, start, end) for start, end in given_places(sentence))
    places: list[Offsets] = []
    for place in trimmed:
        if place is None:
            continue
        adjoins = places and not text[places[-1][1] : place[0]].strip()
        start = places.pop()[0] if adjoins else place[0]
        places.append((start, place[1]))
    return places


def trim_words(text: str, start: int, end: int) -> Offsets | None:
    """`[start, end)` without outer white space and final punctuation; None if no word is left.

    A closing quote or bracket goes with the final punctuation before it.

    >>> trim_words('He is "from Rome." ', 6, 19)
    (6, 16)
    >>> trim_words("in (1990).", 0, 10)
    (0, 9)
    """
    while start < end and text[start].isspace():
        start += 1
    while start < end and _is_final(text, start, end):
        end -= 1
    if all(_is_punctuation(letter) for letter in text[start:end]):
        return None
    return start, end


def join_places(places: Iterable[Offsets]) -> list[Offsets]:
    """Places in order; those that overlap or touch become one.

    >>> join_places([(4, 6), (0, 2), (5, 9)])
    [(0, 2), (4, 9)]
    """
    joined: list[Offsets] = []
    for start, end in sorted(places):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def group_pieces(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans of one side by sentence: its pieces, or the one span that is the sentence."""
    return _group(spans, [span.sentence for span in spans])


def group_piece_rows(spans: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """`group_pieces` for spans as they are in a file."""
    return _group(spans, [span.get("sentence") for span in spans])


def _group(spans: Sequence[SpanT], numbers: Sequence[int | None]) -> list[list[SpanT]]:
    groups: list[list[SpanT]] = []
    last: int | None = None
    for span, number in zip(spans, numbers, strict=True):
        if number is None or number != last:
            groups.append([])
        groups[-1].append(span)
        last = number
    return groups


def _is_final(text: str, start: int, end: int) -> bool:
    last = text[end - 1]
    if last.isspace() or last in _FINAL:
        return True
    return last in _CLOSING and end - 1 > start and text[end - 2] in _FINAL


def _is_punctuation(letter: str) -> bool:
    if letter.isspace():
        return True
    return unicodedata.category(letter).startswith("P") and letter not in _NOT_PUNCTUATION
