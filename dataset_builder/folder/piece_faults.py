"""What can be wrong with the pieces of one side of a pair: pure functions from spans to messages.

The rule: either no span of a side has the number of its sentence (format 1), or all have; the
numbers count up from 0; and the pieces of a sentence, joined, are the sentence: nothing is between
them, they have one label, and each is `error` or `context`. On the chosen side, `error` weighs 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

from schemas.error_spans import group_piece_rows
from schemas.labels import Side
from schemas.records import Part
from schemas.validation import show_value

PARTS = get_args(Part)


def find_piece_faults(spans: Sequence[Mapping[str, Any]], column: str) -> Iterator[str]:
    """The faults of the pieces of one side, whose spans are in order and inside the text."""
    numbers = [span.get("sentence") for span in spans]
    if all(number is None for number in numbers):
        for index, span in enumerate(spans):
            if span.get("part") is not None:
                yield f"'{column}[{index}]' is a piece, but its 'sentence' is missing"
        return
    if None in numbers:
        index = numbers.index(None)
        yield f"'{column}[{index}].sentence' is missing; give it in all spans of a side, or in none"
        return
    groups = group_piece_rows(spans)
    for expected, pieces in enumerate(groups):
        if pieces[0]["sentence"] != expected:
            found = pieces[0]["sentence"]
            yield f"'{column}': sentence {found} is where sentence {expected} should be"
            return
        yield from _faults_of_sentence(pieces, column, expected)


def _faults_of_sentence(
    pieces: Sequence[Mapping[str, Any]], column: str, number: int
) -> Iterator[str]:
    place = f"'{column}', sentence {number}"
    for piece in pieces:
        part = piece.get("part")
        if part not in PARTS and (part is not None or len(pieces) > 1):
            yield f"{place}: 'part' is {show_value(part)}, must be one of {', '.join(PARTS)}"
        if part == "error" and column.startswith(Side.CHOSEN) and (piece["weight"] or 0.0) > 0.0:
            words = f"[{piece['start']}, {piece['end']})"
            yield f"{place}: the wrong words {words} have weight {piece['weight']}, must be 0"
    for before, piece in pairwise(pieces):
        if before["label"] != piece["label"]:
            labels = f"{show_value(before['label'])} and {show_value(piece['label'])}"
            yield f"{place}: its pieces have the labels {labels}, must have one"
        if before["end"] != piece["start"]:
            gap = f"[{before['end']}, {piece['start']})"
            yield f"{place}: no piece covers {gap}; pieces must follow each other without a gap"
