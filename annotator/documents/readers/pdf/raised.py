"""Raised and lowered characters of a PDF: put at their place, and marked.

The rule: a raised digit never becomes a digit of the number before it, and none is lost. Raised and
lowered characters are detected by their baseline and size relative to their neighbour, never by the
height of a glyph: quotes and degree signs are high, but on the baseline.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from annotator.documents.readers.pdf.chars import Piece
from annotator.documents.readers.raised import write_mark

_LIST = re.compile(r"\d{1,3}(?:\s*[,;–-]\s*\d{1,3})+")  # of references: 1,2 or 3–5
_ORDINAL = re.compile(r"st|nd|rd|th|er|re|e|ème|eme|o|a|de|ste", re.I)
_PLAIN = re.compile(r"[^\w\s+\-−().,;=–/]+")  # asterisks, daggers, degree signs, primes
_SIGNS = {"TM": "™", "tm": "™", "SM": "℠"}
# Lowered digits before a digit of the line: many readers see log₁₀5 as log and 105.
_BEFORE_DIGIT = re.compile(r"([₀-₎]+)(?=\d)")
_FROM_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₍₎", "0123456789+−()")

_SMALLER = 0.87  # ratio of sizes; more is the same type
_MAX_RISE = 0.75  # of the size of the line; more is another line
_MIN_RISE = {True: 0.1, False: 0.05}  # for digits raised, lowered
_MIN_RISE_OF_WORDS = 0.15  # small type centred on a line of large type rises less
_STAGGERED = 0.22  # rise from which text as large as its line counts as raised
_NEAR = 0.5  # of the size of the line, to the raised text next to it
_BEHIND_FIRST = 0.5  # the same; for a mark nearer to its right, unless it touches the left
_TOUCHING = 0.12
_CLOSE = 0.15
_OVERLAP = 0.3
_MAX_CHARS = 20
_MAX_STAGGERED_CHARS = 4
_DROP_CAP = 1.8  # ratio of a drop cap to the words that it starts
_BUCKET = 4.0  # points
_MAX_TRIED = 8  # neighbours of one piece and bucket: no page has more at one position


def mark(text: str, raised: bool) -> str:
    """Raised or lowered text as it is written in a line: 10⁵, CO₂, x^{6.5}, ` [1,2]`."""
    text = " ".join(text.split())
    if _PLAIN.fullmatch(text):
        return text
    if raised and text in _SIGNS:
        return _SIGNS[text]
    if raised and _LIST.fullmatch(text):
        return f" [{text}]"
    if raised and text == "o":
        return "º"
    return write_mark(text, raised=raised)


def part_lowered(line: str) -> str:
    """`line` with lowered digits before a digit in braces: log_{10}5."""
    return _BEFORE_DIGIT.sub(lambda m: f"_{{{m[1].translate(_FROM_LOWERED)}}}", line)


def attach(pieces: Sequence[Piece]) -> list[Piece]:
    """`pieces` with those that are raised or lowered written into the piece they belong to."""
    largest = max((piece.size for piece in pieces), default=0.0)
    candidates = [i for i, piece in enumerate(pieces) if _may_be_raised(piece, largest)]
    if not candidates:
        return list(pieces)
    near = _Neighbours(pieces)
    owners: dict[int, tuple[int, int]] = {}  # of raised text: its piece, and the position in it
    for index in sorted(candidates, key=lambda index: pieces[index].left):
        found = _find_owner(index, pieces, near, owners)
        if found is not None:
            owners[index] = found
    marks: defaultdict[int, list[tuple[int, float, int]]] = defaultdict(list)
    for index, found in owners.items():
        while found[0] in owners:  # sizes grow from owner to owner, so this ends
            found = owners[found[0]]  # noqa: PLW2901
        marks[found[0]].append((found[1], pieces[index].left, index))
    return [
        _write(piece, [(place, pieces[i]) for place, _, i in sorted(marks[index])])
        if index in marks
        else piece
        for index, piece in enumerate(pieces)
        if index not in owners
    ]


def _may_be_raised(piece: Piece, largest: float) -> bool:
    if len(piece.text) > _MAX_CHARS:
        return False
    return piece.size < _SMALLER * largest or _may_be_staggered(piece)


def _may_be_staggered(piece: Piece) -> bool:
    return len(piece.text) <= _MAX_STAGGERED_CHARS and any(map(str.isdigit, piece.text))


class _Neighbours:
    """The pieces near a position, without looking at all of them."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._by_left = self._sort(pieces, right=False)
        self._by_right = self._sort(pieces, right=True)

    @staticmethod
    def _sort(
        pieces: Sequence[Piece], *, right: bool
    ) -> dict[tuple[int, int], list[tuple[float, int]]]:
        rows: defaultdict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
        for index, piece in enumerate(pieces):
            key = (piece.angle, int(piece.base // _BUCKET))
            rows[key].append((piece.right if right else piece.left, index))
        for row in rows.values():
            row.sort()
        return rows

    def around(self, piece: Piece, reach: float) -> Iterator[int]:
        """Indexes of pieces that end, begin or are near the position of `piece`."""
        low = int((piece.base - reach) // _BUCKET)
        high = int((piece.base + reach) // _BUCKET)
        for bucket in range(low, min(high, low + 40) + 1):
            key = (piece.angle, bucket)
            ends, starts = self._by_right.get(key, []), self._by_left.get(key, [])
            at = bisect_left(ends, (piece.left - reach, -1))
            yield from (index for _, index in ends[at : at + _MAX_TRIED])
            at = bisect_left(starts, (piece.right - reach, -1))
            yield from (index for _, index in starts[max(at - 2, 0) : at + _MAX_TRIED])


def _find_owner(
    index: int,
    pieces: Sequence[Piece],
    near: _Neighbours,
    owners: dict[int, tuple[int, int]],
) -> tuple[int, int] | None:
    """The piece relative to which this one is raised or lowered, and the position in its text."""
    piece = pieces[index]
    best: tuple[float, int, int] | None = None
    for other in near.around(piece, 2 * piece.size):
        if other == index:
            continue
        owner = pieces[other]
        staggered = piece.size >= _SMALLER * owner.size
        if staggered and (other in owners or not _is_staggered(piece, owner)):
            continue
        if not staggered and not _is_off_line(piece, owner):
            continue
        found = _find_place(piece, owner, only_after=staggered)
        if found is None:
            continue
        # Text lowered in one line is raised relative to the next: the nearer baseline decides.
        distance = found[0] + abs(piece.base - owner.base) / owner.size
        if best is None or distance < best[0]:
            best = (distance, other, found[1])
    return None if best is None else best[1:]


def _is_off_line(piece: Piece, owner: Piece) -> bool:
    """Whether a smaller piece is above or below the baseline, but on the line, of a larger one."""
    rise = (piece.base - owner.base) / owner.size
    is_number = any(map(str.isdigit, piece.text)) or not any(map(str.isalpha, piece.text))
    least = _MIN_RISE[rise > 0] if is_number else _MIN_RISE_OF_WORDS
    if not least <= abs(rise) <= _MAX_RISE or (rise < 0 and rise < -0.5):
        return False
    starts_words = len(owner.text) == 1 and owner.size >= _DROP_CAP * piece.size
    return is_number or (not starts_words and " " not in piece.text.strip())


def _is_staggered(piece: Piece, owner: Piece) -> bool:
    """Whether a number is raised relative to a piece of the same size, directly after it."""
    rise = (piece.base - owner.base) / owner.size
    return (
        _may_be_staggered(piece)
        and _STAGGERED <= abs(rise) <= 0.6
        and owner.size >= 0.9 * piece.size
        and -0.1 <= (piece.left - owner.right) / owner.size <= _CLOSE
    )


def _find_place(piece: Piece, owner: Piece, *, only_after: bool) -> tuple[float, int] | None:
    """The distance of a piece from its owner, and the character of the owner that it precedes."""
    behind = (piece.left - owner.right) / owner.size
    ahead = (owner.left - piece.right) / owner.size
    if -_OVERLAP <= behind <= _NEAR and piece.left > owner.left:
        return max(behind, 0.0), len(owner.text)
    if only_after:
        return None
    # The mark of a footnote or an isotope belongs to the text after it; others to the text before
    # it.
    if -_OVERLAP <= ahead <= _NEAR:
        return max(ahead, 0.0) + (_BEHIND_FIRST if ahead > _TOUCHING else 0.05), 0
    if owner.left < piece.left and piece.right < owner.right:
        return _find_hole(piece, owner)
    return None


def _find_hole(piece: Piece, owner: Piece) -> tuple[float, int] | None:
    """The space that a line of one piece leaves for raised text in it."""
    place = bisect_left(owner.lefts, piece.left - _OVERLAP * piece.size)
    while place < len(owner.text) and owner.text[place].isspace():
        place += 1
    if place == len(owner.text) or owner.lefts[place] < piece.right - _OVERLAP * piece.size:
        return None
    return 0.0, place


def _write(owner: Piece, marks: Sequence[tuple[int, Piece]]) -> Piece:
    """`owner` with its marks; `marks` in order of place, then from left to right."""
    written: list[str] = []
    start = 0
    for place, piece in marks:
        before = owner.text[start:place]
        start = place
        text = _mark_of(piece, owner, "".join(written) + before)
        if place == 0:
            gap = owner.left - piece.right
            space = " " if gap > _CLOSE * owner.size or owner.spaced else ""
            written.append(text.lstrip() + space)
        elif place == len(owner.text):
            written.extend((before, text))
        else:
            space = " " if owner.lefts[place] - piece.right > _CLOSE * owner.size else ""
            written.extend((before.rstrip(), text, space))
    written.append(owner.text[start:])
    return replace(
        owner,
        text="".join(written),
        left=min(owner.left, *(piece.left for _, piece in marks)),
        right=max(owner.right, *(piece.right for _, piece in marks)),
        spaced=marks[0][1].spaced if marks[0][0] == 0 else owner.spaced,
        lefts=(),
    )


def _mark_of(piece: Piece, owner: Piece, before: str) -> str:
    raised = piece.base > owner.base
    if raised and before[-1:].isdigit() and _ORDINAL.fullmatch(piece.text):
        return piece.text if piece.text.lower() not in ("o", "a") else mark(piece.text, raised)
    return mark(piece.text, raised)
