"""One side of a pair as it is shown: its text in marked pieces, and how much of it trains.

The rule: the pieces, joined, are the text. What trains is read from the spans' weights, as the
trainer does; without spans the whole text trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maskdpo.show.marks import Mark, Piece, cut, marks_of_pair_side
from schemas.labels import Label
from schemas.records import Pair, Span

NO_VERDICT = "no_verdict"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownPiece:
    """A stretch of a text.

    label      of the sentence; `no_verdict` where no span covers it, "" between sentences
    training   "trains", "weighted" (another weight than 1), "masked", "words" (only the wrong
               words), "rest" (all but them) or "both" (each with its own weight); "" between
    segments   the text in parts, each with whether it is wrong words
    """

    segments: Sequence[tuple[str, bool]]
    number: int = 0
    label: str = ""
    training: str = ""
    weight: float = 0.0
    rest: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Chosen or rejected. The counts are of sentences; both are 0 without spans."""

    name: Literal["chosen", "rejected"]
    response_id: str
    score: float | None
    finish_reason: str
    has_spans: bool
    pieces: Sequence[ShownPiece]
    num_training: int
    num_masked: int
    num_characters: int


def sides_of(pair: Pair) -> tuple[Side, Side]:
    """Both sides of a pair."""
    return (
        _side(
            "chosen",
            pair.chosen[0].content,
            pair.chosen_spans,
            (pair.chosen_id, pair.chosen_score, pair.chosen_finish_reason),
        ),
        _side(
            "rejected",
            pair.rejected[0].content,
            pair.rejected_spans,
            (pair.rejected_id, pair.rejected_score, pair.rejected_finish_reason),
        ),
    )


def _side(
    name: Literal["chosen", "rejected"],
    text: str,
    spans: Sequence[Span] | None,
    about: tuple[str, float | None, str],
) -> Side:
    marks = marks_of_pair_side(text, spans)
    return Side(
        name=name,
        response_id=about[0],
        score=about[1],
        finish_reason=about[2],
        has_spans=spans is not None,
        pieces=[_piece(piece) for piece in cut(text, marks)],
        num_training=sum(not mark.masked for mark in marks),
        num_masked=sum(mark.masked for mark in marks),
        num_characters=len(text),
    )


def _piece(piece: Piece) -> ShownPiece:
    mark = piece.mark
    if mark is None:
        return ShownPiece(segments=piece.segments)
    return ShownPiece(
        segments=piece.segments,
        number=mark.number,
        label=_label(mark),
        training=_training(mark),
        weight=mark.weight or 0.0,
        rest=mark.rest or 0.0,
    )


def _label(mark: Mark) -> str:
    name = mark.label.replace(" ", "_")
    return name if name in set(Label) else NO_VERDICT


def _training(mark: Mark) -> str:
    if mark.masked:
        return "masked"
    if mark.rest is None:
        return "trains" if mark.weight == 1 else "weighted"
    if mark.weight and mark.rest:
        return "both"
    return "words" if mark.weight else "rest"
