"""Characters of a PDF page, with their boxes, joined to pieces of a line.

The rule: where the boxes of two characters touch, there is no space between them; where the boxes
are separate, there is one. PDFium's own spaces and line breaks are only hints: it breaks a line at
a raised digit, and it puts spaces between the letters of a letter-spaced heading.

Every piece is measured in the direction of its text, so that a rotated page, or a table that is set
sideways, is read like any other.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

HYPHEN = "-"
WIDE_GAP = 0.9  # of the size of type; more separates two pieces: columns, cells, wide spaces

_HYPHENS = "\x02\xad\ufffe"  # PDFium's hyphens at a line's end; all are visible
_TOUCHING = 0.1  # of the size of type; a space is wider than this, even in a tightly set line
_APART = 0.5  # of the size of type; a space even where PDFium reports none
_OVERLAP = 0.3  # of the size of type; characters further back start a new piece
_TRACKED_GAPS = 3  # in a piece, from which they may be its letter spacing
_TRACKED_SHARE = 0.5  # of all gaps
_TRACKED_SPACE = 1.5  # ratio to the usual gap of spaced letters, from which a gap separates words
_SAME_BASE = 0.08  # of the size of type, from one character to the next
_SAME_SIZE = 1.06
_SLANT = 10  # degrees; less means a page that was scanned slightly rotated


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Characters side by side on one baseline, in one size of type.

    Positions are in points, along (`left`, `right`) and across (`base`, `bottom`, `top`) the
    direction of the text, which is turned by `angle` degrees. `lefts` are the positions of the
    characters of `text`; `spaced` is whether a space precedes it.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    bottom: float
    top: float
    angle: int = 0
    lefts: tuple[float, ...] = ()
    spaced: bool = False


class _Place(NamedTuple):
    """Where one character is, along and across its text."""

    left: float
    right: float
    base: float
    size: float
    bottom: float
    top: float
    angle: int


def read_pieces(textpage: Any) -> list[Piece]:
    """The pieces of a page in the order in which PDFium gives its characters."""
    return list(_find_pieces(textpage))


def turn(
    angle: int, left: float, bottom: float, right: float, top: float
) -> tuple[float, float, float, float]:
    """A box (left, bottom, right, top) in the coordinates of text at `angle` degrees."""
    if angle == 90:
        return bottom, -right, top, -left
    if angle == 180:
        return -right, -top, -left, -bottom
    if angle == 270:
        return -top, left, -bottom, right
    return left, bottom, right, top


def _find_pieces(textpage: Any) -> Iterator[Piece]:
    text, boxes = _read_boxes(textpage)
    measure = _Measure(textpage)
    piece: _Open | None = None
    space = ""  # since the last printed character; "\n" where it is only a hint of PDFium
    last_bottom = last_top = math.nan
    for index, (character, left, top, right, bottom) in enumerate(
        zip(text, boxes[0::4], boxes[1::4], boxes[2::4], boxes[3::4], strict=True)
    ):
        printed = HYPHEN if character in _HYPHENS else character
        if printed <= " " or printed.isspace():
            is_hint = bottom == top or printed < " "
            space = (space or "\n") if is_hint else printed
            continue
        if piece is None or bottom != last_bottom or top != last_top or piece.place.angle:
            last_bottom, last_top = bottom, top
            place = measure(index, left, bottom, right, top)
            if piece is None or not _goes_on(piece.place, place):
                if piece is not None:
                    yield piece.close()
                piece = _Open(printed, place, place.left, place.right, spaced=space > "\n")
                space = ""
                continue
            piece.place = place  # the lines of a slightly rotated scan rise, which is followed
            left, right = place.left, place.right  # noqa: PLW2901
        gap = left - piece.right
        size = piece.place.size
        if gap > WIDE_GAP * size or (gap < -_OVERLAP * size and left < piece.lefts[-1]):
            yield piece.close()
            piece = _Open(printed, piece.place, left, right, spaced=space > "\n")
        else:
            if space or gap > _APART * size:
                piece.add_space(space, gap)
            piece.add(printed, gap, left, right)
        space = ""
    if piece is not None:
        yield piece.close()


class _Open:
    """A piece under construction."""

    __slots__ = ("doubtful", "first", "gaps", "lefts", "place", "right", "spaced", "text")

    def __init__(
        self, character: str, place: _Place, left: float, right: float, *, spaced: bool
    ) -> None:
        self.first = self.place = place
        self.right = right
        self.spaced = spaced
        self.text = [character]
        self.lefts = [left]
        self.doubtful: list[int] = []  # where only the boxes show that there is a space
        self.gaps: list[tuple[int, float]] = []  # before each character but the first

    def add_space(self, space: str, gap: float) -> None:
        """A space in the file, or one decided by the boxes where PDFium gives only a hint or
        nothing."""
        if space <= "\n":
            if gap <= _TOUCHING * self.place.size:
                return
            self.doubtful.append(len(self.text))
            space = " "
        self.text.append(space)
        self.lefts.append(self.right)

    def add(self, character: str, gap: float, left: float, right: float) -> None:
        """A printed character."""
        self.gaps.append((len(self.text), gap))
        self.text.append(character)
        self.lefts.append(left)
        self.right = right

    def close(self) -> Piece:
        """The finished piece."""
        dropped = self._letter_spacing() if len(self.doubtful) >= _TRACKED_GAPS else set()
        kept = [index for index in range(len(self.text)) if index not in dropped]
        return Piece(
            text="".join(self.text[index] for index in kept) if dropped else "".join(self.text),
            left=self.lefts[0],
            right=self.right,
            base=self.first.base,
            size=self.first.size,
            bottom=self.first.bottom,
            top=self.first.top,
            angle=self.first.angle,
            lefts=tuple(self.lefts[index] for index in kept) if dropped else tuple(self.lefts),
            spaced=self.spaced,
        )

    def _letter_spacing(self) -> set[int]:
        """The spaces that are only letter spacing: all letters of the piece have the same gap.

        Separate digits among other digits stay separate: they may be cells of a table.
        """
        gaps = dict(self.gaps)
        doubtful = [index for index in self.doubtful if index + 1 in gaps]
        if len(doubtful) < _TRACKED_SHARE * len(gaps):
            return set()
        if sum(character.isalpha() for character in self.text) < len(gaps) / 2:
            return set()
        usual = median(gaps[index + 1] for index in doubtful)
        return {index for index in doubtful if gaps[index + 1] < _TRACKED_SPACE * usual}


def _goes_on(before: _Place, after: _Place) -> bool:
    """Whether a character is on the baseline of the one before it, in the same size of type."""
    small, large = sorted((before.size, after.size))
    return (
        before.angle == after.angle
        and abs(before.base - after.base) <= _SAME_BASE * small
        and large <= _SAME_SIZE * small
    )


def _read_boxes(textpage: Any) -> tuple[str, list[float]]:
    """The characters of a page, and left, top, right and bottom of each, one after the other."""
    from pypdfium2 import raw

    handle = textpage.raw
    count = max(raw.FPDFText_CountChars(handle), 0)
    boxes = (raw.FS_RECTF * count)()
    read_box = raw.FPDFText_GetLooseCharBox
    for index, box in enumerate(boxes):
        read_box(handle, index, box)
    text = textpage.get_text_range() if count else ""
    # PDFium leaves characters that it cannot map out of its text: then each is read singly.
    if len(text) != count:
        read_character = raw.FPDFText_GetUnicode
        text = "".join(chr(min(read_character(handle, i), 0x10FFFF)) for i in range(count))
    places: list[Any] = memoryview(boxes).cast("B").cast("f").tolist() if count else []
    return text, places


class _Measure:
    """Base, size and direction of characters; slow, so called once for equal characters."""

    def __init__(self, textpage: Any) -> None:
        from pypdfium2 import raw

        self._raw = raw
        self._handle = textpage.raw
        self._matrix = raw.FS_MATRIX()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()

    def __call__(self, index: int, left: float, bottom: float, right: float, top: float) -> _Place:
        raw, matrix = self._raw, self._matrix
        size = raw.FPDFText_GetFontSize(self._handle, index)
        angle = 0
        if raw.FPDFText_GetMatrix(self._handle, index, matrix):
            size *= math.hypot(matrix.c, matrix.d)
            angle = round(math.degrees(math.atan2(matrix.b, matrix.a))) % 360
        nearest = round(angle / 90) * 90
        angle = nearest % 360 if abs(angle - nearest) <= _SLANT else angle
        x, y = left, bottom
        if raw.FPDFText_GetCharOrigin(self._handle, index, self._x, self._y):
            x, y = self._x.value, self._y.value
        if angle % 90:
            return self._on_a_slope(angle, x, y, abs(size))
        box = turn(angle, left, bottom, right, top)
        height = box[3] - box[1]
        # Fonts made of drawings may state any size; their boxes show the real one.
        size = abs(size) if height / 3 < abs(size) < 2 * height else height / 1.15
        base = turn(angle, x, y, x, y)[1]
        return _Place(box[0], box[2], base, max(size, 0.1), box[1], box[3], angle)

    @staticmethod
    def _on_a_slope(angle: int, x: float, y: float, size: float) -> _Place:
        """A watermark or the like: its boxes are unreliable, so a character's width is half its
        size."""
        sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
        left, base = x * cosine + y * sine, y * cosine - x * sine
        size = max(size, 0.1)
        return _Place(left, left + size / 2, base, size, base - size / 4, base + size, angle)
