"""From the lines of pages to text whose sentences are whole. Pure.

The rule: two lines are joined unless something between them shows that the first one ended there: a
gap, another size of type, an indent, a bullet, cells of a table, or space on the first line for the
word that begins the second. A wrong join merges paragraphs, which sentence ends separate again; a
wrong split cuts a sentence in two, which cannot be repaired later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from annotator.documents.readers.file_text import meets_without_space
from annotator.documents.readers.pdf.hyphens import TIES, count_words, ends_in_hyphen, join_lines

CELL_GAP = 1.5  # line heights; a space between two words is never as wide

_LARGER = 1.15  # ratio of line heights from which two lines have different type
_GAP = 1.35  # ratio to the usual distance of lines
_WIDE_WORD = 1.15  # ratio to its length in usual characters: some words have wide characters
_MAX_LEADING = 2.5  # line heights; lines farther apart do not follow each other
_INDENT = 0.8  # line heights

_ENDS = re.compile(r"[.!?…。！？：:;；][\"'”’）)\]」』】]*\Z")
_BULLET = re.compile(r"[•‣◦▪●○■□◆➢✓·–—*-]\s")
_NUMBERED = re.compile(r"(?:\d{1,3}[.)、]|[(（]\w{1,3}[)）]|[一二三四五六七八九十]{1,3}、)\s?")
_LEADER = re.compile(r"(?:\. ?){5}|…{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """Part of a line without a gap wider than any space."""

    text: str
    size: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a page; positions in points, from the bottom left of the page in reading
    orientation.

    `size` is its size of type, `height` that of its boxes, which is larger. `place` is the height
    of its baseline on the page, from 0 to 1; None for text in another direction than most.
    `has_cells`: a gap wider than any space is in it, as between the cells of a table; `cells` are
    the texts between such gaps, one where there is none.
    """

    text: str
    left: float
    right: float
    bottom: float
    height: float
    size: float
    angle: int = 0
    place: float | None = None
    has_cells: bool = False
    cells: Sequence[Cell] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The lines of a page in reading order."""

    lines: Sequence[Line]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """Lines that follow each other closely, in one size of type; where its column ends."""

    lines: Sequence[Line]
    right: float


def join_pages(pages: Sequence[Page]) -> str:
    """The text of a document: paragraphs with a blank line between."""
    words = count_words(line.text for page in pages for line in page.lines)
    paragraphs: list[list[Line]] = []
    before: _Block | None = None
    for page in pages:
        for block in _find_blocks(page.lines):
            found = list(_find_paragraphs(block))
            if before is not None and _runs_on(before, block):
                paragraphs[-1].extend(found.pop(0))
            paragraphs.extend(found)
            before = block
    return "\n\n".join(_join(lines, words) for lines in paragraphs)


def opens_item(text: str) -> bool:
    """Whether a line starts with the bullet or number of a list item."""
    return bool(_BULLET.match(text) or _NUMBERED.match(text))


def _find_blocks(lines: Sequence[Line]) -> Iterator[_Block]:
    """Runs of lines without a gap or a change of type between them."""
    steps = [
        above.bottom - below.bottom
        for above, below in pairwise(lines)
        if 0 < above.bottom - below.bottom < _MAX_LEADING * above.height
    ]
    usual = median(steps) if steps else 0.0
    start = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or _is_parted(lines[index - 1], lines[index], usual):
            block = lines[start:index]
            yield _Block(lines=block, right=max(line.right for line in block))
            start = index


def _is_parted(above: Line, below: Line, usual: float) -> bool:
    step = above.bottom - below.bottom
    return above.angle != below.angle or not (
        0 < step <= min(_GAP * usual, _MAX_LEADING * above.height) and _same_type(above, below)
    )


def _same_type(one: Line, other: Line) -> bool:
    small, large = sorted((one.height, other.height))
    return large <= _LARGER * small


def _find_paragraphs(block: _Block) -> Iterator[list[Line]]:
    paragraph = [block.lines[0]]
    for above, below in pairwise(block.lines):
        if _ends_between(above, below, block.right):
            yield paragraph
            paragraph = []
        paragraph.append(below)
    yield paragraph


def _ends_between(above: Line, below: Line, right: float) -> bool:
    """Whether a paragraph ends between two lines that follow each other in one block."""
    if above.has_cells or below.has_cells or _BULLET.match(below.text):
        return True
    if _LEADER.search(above.text):
        return True  # a line of a table of contents
    if TIES.search(above.text):
        return False
    ended = bool(_ENDS.search(above.text))
    if _NUMBERED.match(below.text) and ended:
        return True
    if above.right + _width_of_start(below) < right:
        return True  # the next word would have fitted, so the paragraph ended
    indented = below.left - above.left > _INDENT * below.height
    return indented and ended and not opens_item(above.text)


def _width_of_start(line: Line) -> float:
    """The width of the word that begins a line, with the space before it.

    Chinese takes two characters: a full stop must not begin a line and takes one more character
    with it.
    """
    width = (line.right - line.left) / max(len(line.text), 1)
    if meets_without_space(line.text[:1], line.text[:1]):
        return 2 * width
    return _WIDE_WORD * width * (len(line.text.split(maxsplit=1)[0]) + 1)


def _runs_on(before: _Block, after: _Block) -> bool:
    """Whether a sentence continues from one column or page to the next."""
    last, first = before.lines[-1], after.lines[0]
    if not _same_type(last, first) or first.bottom < last.bottom:
        return False  # another kind of text, or simply further down the page
    if ends_in_hyphen(last.text):
        return True
    if _ENDS.search(last.text) or _BULLET.match(first.text) or len(before.lines) < 2:
        return False
    return last.right + _width_of_start(first) >= before.right


def _join(lines: Sequence[Line], words: Counter[str]) -> str:
    text = lines[0].text
    for below in lines[1:]:
        text = join_lines(text, below.text, words)
    return text
