"""Columns of prose on a page, read one after the other.

The rule: a gutter is a strip without text through many lines, with wrapped prose on both sides. A
table or a form has such strips too, but its cells are short or complete: its rows stay rows, so
that every value stays with its label. In doubt rows stay rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from annotator.documents.readers.file_text import meets_without_space

_MIN_GUTTER = 0.6  # of the size of type
_MIN_ROWS = 4
_MAX_STEP = 1.6  # ratio to the usual line distance up to which a column continues
_MAX_SIZE = 1.15
_MIN_WORDS = 4  # of a usual line of prose
_MIN_WIDE_CHARS = 8
_MIN_CONTINUED = 0.3  # of the lines: begin in lower case, as words inside a sentence
_MIN_FULL = 0.5  # of the lines: reach the end of the column
_FULL = 0.75  # of the width of a column
_MAX_WHOLE = 0.6  # of the lines: end with the end of a sentence
_MAX_GUTTERS = 16
_LOOK_AHEAD = 12
_SAME_ROW = 0.2  # of the size of type

_END = re.compile(r"[.!?。！？:：][\"'”’）)\]」』】]*\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """Text of one line without a wide gap in it; positions as in a `Piece`."""

    text: str
    left: float
    right: float
    base: float
    bottom: float
    height: float
    size: float
    angle: int = 0


@dataclass(kw_only=True, slots=True)
class _Gutter:
    """A strip without text, from the segment `first` to the segment `last`, counted downwards."""

    left: float
    right: float
    first: int
    last: int
    num_rows: int = 1
    members: list[int] = field(default_factory=list)


def order_columns(segments: Sequence[Segment]) -> list[tuple[Segment, int]]:
    """Segments in reading order, each with the number of its column; 0 means none."""
    plain = [(segment, 0) for segment in segments]
    if len(segments) < 2 * _MIN_ROWS:
        return plain
    downwards = sorted(range(len(segments)), key=lambda i: (-segments[i].base, segments[i].left))
    ordered = [segments[index] for index in downwards]
    regions = _find_regions(ordered)
    if not regions:
        return plain
    columns: dict[int, tuple[int, int]] = {}  # by index in `segments`: region, column
    for number, region in enumerate(regions):
        for place, column in region.items():
            columns[downwards[place]] = (number, column)
    return _reorder(segments, columns)


def _reorder(
    segments: Sequence[Segment], columns: dict[int, tuple[int, int]]
) -> list[tuple[Segment, int]]:
    """A region is read at the position of its first segment, column by column."""
    members: dict[int, list[tuple[int, int]]] = {}
    for index, (region, column) in sorted(columns.items()):
        members.setdefault(region, []).append((column, index))
    out: list[tuple[Segment, int]] = []
    done: set[int] = set()
    for index, segment in enumerate(segments):
        if index not in columns:
            out.append((segment, 0))
            continue
        region = columns[index][0]
        if region in done:
            continue
        done.add(region)
        for column, member in sorted(members[region], key=lambda pair: pair[0]):
            out.append((segments[member], 1 + column + 100 * region))
    return out


def _find_regions(ordered: Sequence[Segment]) -> list[dict[int, int]]:
    """For each region of columns, the column of each of its segments."""
    gutters = [gutter for gutter in _find_gutters(ordered) if gutter.num_rows >= _MIN_ROWS]
    regions: list[dict[int, int]] = []
    taken: set[int] = set()
    for group in _group(gutters):
        first = max(gutter.first for gutter in group)
        last = min(gutter.last for gutter in group)
        edges = sorted((gutter.left + gutter.right) / 2 for gutter in group)
        first, last = _without_cells(ordered, edges, first, last)
        columns: list[list[int]] = [[] for _ in range(len(edges) + 1)]
        for place in range(first, last + 1):
            columns[_column(ordered[place], edges)].append(place)
        if not all(_is_prose([ordered[place] for place in column]) for column in columns):
            continue
        columns = _run_on(ordered, columns, edges, range(first, last + 1), taken)
        found = {place: number for number, column in enumerate(columns) for place in column}
        if taken.isdisjoint(found):
            taken.update(found)
            regions.append(found)
    return regions


def _column(segment: Segment, edges: Sequence[float]) -> int:
    middle = (segment.left + segment.right) / 2
    return sum(edge < middle for edge in edges)


def _without_cells(
    ordered: Sequence[Segment], edges: Sequence[float], first: int, last: int
) -> tuple[int, int]:
    """The region without the rows of a table at its end and at its start.

    Such a row has two cells on one side of a gutter, which lines of a column do not have.
    """
    rows: list[list[int]] = []
    for place in range(first, last + 1):
        above = ordered[rows[-1][0]] if rows else None
        if above and above.base - ordered[place].base < _SAME_ROW * ordered[place].size:
            rows[-1].append(place)
        else:
            rows.append([place])
    while rows and _are_cells(ordered, rows[-1], edges):
        rows.pop()
    while rows and _are_cells(ordered, rows[0], edges):
        rows.pop(0)
    return (rows[0][0], rows[-1][-1]) if rows else (first, first - 1)


def _are_cells(ordered: Sequence[Segment], row: Sequence[int], edges: Sequence[float]) -> bool:
    sides = [_column(ordered[place], edges) for place in row]
    return len(set(sides)) < len(sides)


def _find_gutters(ordered: Sequence[Segment]) -> list[_Gutter]:
    """Strips that no segment crosses, from the first row with text on both sides to the last."""
    open_: list[_Gutter] = []
    closed: list[_Gutter] = []
    for place, segment in enumerate(ordered):
        still: list[_Gutter] = []
        for gutter in open_:
            (still if _leaves_open(gutter, segment) else closed).append(gutter)
        open_ = still
        gap = _gap_after(ordered, place)
        if gap is None:
            continue
        joined = False
        for gutter in open_:
            left, right = max(gutter.left, gap[0]), min(gutter.right, gap[1])
            if right - left >= _MIN_GUTTER * segment.size:
                gutter.left, gutter.right = left, right
                gutter.num_rows += 1
                gutter.last = max(gutter.last, place, gap[2])
                joined = True
        if not joined and len(open_) < _MAX_GUTTERS:
            open_.append(
                _Gutter(
                    left=gap[0],
                    right=gap[1],
                    first=min(place, gap[2]),
                    last=max(place, gap[2]),
                )
            )
    return closed + open_


def _leaves_open(gutter: _Gutter, segment: Segment) -> bool:
    """Whether a segment is on one side of a gutter, which it may make narrower."""
    middle = (gutter.left + gutter.right) / 2
    if segment.right <= gutter.left or segment.left >= gutter.right:
        return True
    if segment.left < gutter.left and segment.right > gutter.right:
        return False
    left, right = gutter.left, gutter.right
    if (segment.left + segment.right) / 2 < middle:
        left = max(left, segment.right)
    else:
        right = min(right, segment.left)
    if right - left < _MIN_GUTTER * segment.size:
        return False
    gutter.left, gutter.right = left, right
    return True


def _gap_after(ordered: Sequence[Segment], place: int) -> tuple[float, float, int] | None:
    """The gap to the next segment to the right at about the same height, and its position."""
    segment = ordered[place]
    best: tuple[float, float, int] | None = None
    for other in range(max(place - _LOOK_AHEAD, 0), min(place + _LOOK_AHEAD, len(ordered))):
        neighbour = ordered[other]
        near = abs(neighbour.base - segment.base) < 0.6 * max(segment.size, neighbour.size)
        if near and neighbour.left >= segment.right and (best is None or neighbour.left < best[1]):
            best = (segment.right, neighbour.left, other)
    return best


def _group(gutters: Sequence[_Gutter]) -> list[list[_Gutter]]:
    """Gutters side by side over about the same lines: for three or more columns."""
    groups: list[list[_Gutter]] = []
    for gutter in sorted(gutters, key=lambda gutter: -gutter.num_rows):
        for group in groups:
            first = max(gutter.first, *(other.first for other in group))
            last = min(gutter.last, *(other.last for other in group))
            apart = all(gutter.right <= other.left or gutter.left >= other.right for other in group)
            if apart and last - first >= 0.6 * (group[0].last - group[0].first):
                group.append(gutter)
                break
        else:
            groups.append([gutter])
    return groups


def _is_prose(lines: Sequence[Segment]) -> bool:
    """Whether lines are long and full and cut sentences, as in a column."""
    if len(lines) < _MIN_ROWS:
        return False
    wide = [meets_without_space(line.text[:1], line.text[:1]) for line in lines]
    if sum(wide) > len(lines) / 2:
        if median(len(line.text) for line in lines) < _MIN_WIDE_CHARS:
            return False
    else:
        if median(len(line.text.split()) for line in lines) < _MIN_WORDS:
            return False
        if sum(line.text[0].islower() for line in lines) < _MIN_CONTINUED * len(lines):
            return False
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    full = [line.right >= left + _FULL * (right - left) for line in lines]
    whole = [bool(_END.search(line.text)) for line in lines]
    return sum(full) >= _MIN_FULL * len(lines) and sum(whole) <= _MAX_WHOLE * len(lines)


def _run_on(
    ordered: Sequence[Segment],
    columns: list[list[int]],
    edges: Sequence[float],
    rows: range,
    taken: set[int],
) -> list[list[int]]:
    """Columns, with their lines above and below the rows that they share."""
    steps = [
        ordered[above].base - ordered[below].base
        for column in columns
        for above, below in pairwise(column)
    ]
    longest = _MAX_STEP * median(steps)
    for places, end in ((range(rows.stop, len(ordered)), -1), (range(rows.start - 1, -1, -1), 0)):
        for place in places:
            segment = ordered[place]
            number = _column(segment, edges)
            row = [
                other
                for other in range(
                    max(place - _LOOK_AHEAD, 0), min(place + _LOOK_AHEAD, len(ordered))
                )
                if abs(ordered[other].base - segment.base) < _SAME_ROW * segment.size
            ]
            crosses = any(segment.left < edge < segment.right for edge in edges)
            edge_line = ordered[columns[number][end]]
            small, large = sorted((edge_line.size, segment.size))
            if (
                crosses
                or _are_cells(ordered, row, edges)
                or place in taken
                or large > _MAX_SIZE * small
                or abs(edge_line.base - segment.base) > longest
            ):
                break
            columns[number].insert(0 if end == 0 else len(columns[number]), place)
    return columns
