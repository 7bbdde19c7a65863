"""From pieces of text on a page to its lines.

The rule: pieces side by side on one baseline are one line, with a space where the gap is wide
enough; after a gap wider than any space a new cell of that line begins, unless a gutter between
columns of prose runs through the gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from annotator.documents.readers.pdf.chars import WIDE_GAP, Piece
from annotator.documents.readers.pdf.columns import Segment, order_columns
from annotator.documents.readers.pdf.lines import CELL_GAP, Cell, Line, opens_item
from annotator.documents.readers.pdf.raised import attach, part_lowered

_SPACE = 0.15  # of the size of type; a smaller gap is a change of font in a word
_OVERLAP = 0.3
_SAME_BASE = 0.2  # line heights
_MARKER_CHARS = 5  # of a bullet or number that is separate from its item


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The lowest and the highest position of a page, across text at one angle."""

    bottom: float
    top: float


def make_lines(pieces: Sequence[Piece], frames: dict[int, Frame]) -> list[Line]:
    """The lines of a page in reading order; text in its most usual direction comes first."""
    lines: list[Line] = []
    sizes: dict[int, int] = {}
    for piece in pieces:
        sizes[piece.angle] = sizes.get(piece.angle, 0) + len(piece.text)
    attached = attach(pieces)
    for angle in sorted(sizes, key=lambda angle: -sizes[angle]):
        segments = list(_join_pieces([piece for piece in attached if piece.angle == angle]))
        lines += _join_segments(order_columns(segments), frames.get(angle), is_main=not lines)
    return lines


def _join_pieces(pieces: Sequence[Piece]) -> Iterator[Segment]:
    """Pieces without a wide gap between them, as one text."""
    group: list[Piece] = []
    for piece in pieces:
        if group and not _is_beside(group[-1], piece):
            yield _make_segment(group)
            group = []
        group.append(piece)
    if group:
        yield _make_segment(group)


def _is_beside(before: Piece, after: Piece) -> bool:
    size = max(before.size, after.size)
    gap = after.left - before.right
    return (
        abs(before.base - after.base) <= _SAME_BASE * min(before.size, after.size)
        and -_OVERLAP * size <= gap <= WIDE_GAP * size
        and after.left > before.left
    )


def _make_segment(group: Sequence[Piece]) -> Segment:
    text = group[0].text
    for before, after in pairwise(group):
        gap = after.left - before.right
        room = _SPACE * min(before.size, after.size)
        if gap > room or (after.spaced and gap > 0):
            text += " "
        text += after.text
    main = max(group, key=lambda piece: len(piece.text))
    return Segment(
        text=part_lowered(text),
        left=group[0].left,
        right=max(piece.right for piece in group),
        base=main.base,
        bottom=main.bottom,
        height=main.top - main.bottom,
        size=main.size,
        angle=main.angle,
    )


def _join_segments(
    segments: Sequence[tuple[Segment, int]], frame: Frame | None, *, is_main: bool
) -> list[Line]:
    """Joins neighbours on one baseline and in one column to one line."""
    rows: list[list[Segment]] = []
    last_column = -1
    for segment, column in segments:
        if rows and column == last_column and _is_on_row(rows[-1], segment):
            rows[-1].append(segment)
        else:
            rows.append([segment])
        last_column = column
    return [_make_line(row, frame if is_main else None) for row in rows]


def _is_on_row(row: Sequence[Segment], segment: Segment) -> bool:
    before = row[-1]
    return (
        abs(before.base - segment.base) < _SAME_BASE * max(segment.height, before.height)
        and segment.left >= before.right - _OVERLAP * segment.size
    )


def _make_line(row: Sequence[Segment], frame: Frame | None) -> Line:
    text = row[0].text
    has_cells = False
    cells = [Cell(text=text, size=row[0].size)]
    for before, after in pairwise(row):
        is_marker = len(text) <= _MARKER_CHARS and opens_item(f"{text} ")
        height = max(before.height, after.height)
        if after.left - before.right > CELL_GAP * height and not is_marker:
            has_cells = True
            cells.append(Cell(text=after.text, size=after.size))
        else:
            cells[-1] = Cell(text=f"{cells[-1].text} {after.text}", size=cells[-1].size)
        text = f"{text} {after.text}"
    main = max(row, key=lambda segment: len(segment.text))
    low = min(segment.bottom for segment in row)
    place = None
    if frame is not None and frame.top > frame.bottom:
        place = (main.base - frame.bottom) / (frame.top - frame.bottom)
    return Line(
        text=text,
        left=row[0].left,
        right=row[-1].right,
        bottom=low,
        height=main.height,
        size=main.size,
        angle=main.angle,
        place=place,
        has_cells=has_cells,
        cells=tuple(cells),
    )
