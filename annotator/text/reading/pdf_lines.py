"""From the lines of pages to text whose sentences are whole. Pure.

The rule: two lines are joined unless something between them says that the first one ended there:
a gap, another size of type, an indent, a bullet, cells of a table, or room on the first line for
the word that starts the second. What is joined wrongly merges paragraphs, which sentence ends part
again; what is parted wrongly cuts a sentence in two, which nothing mends.

Lines that stand at the same place near the edge of several pages, but for the page's number, are
headers and footers, and are left out.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from annotator.text.reading.file_text import meets_without_space

HYPHEN_BREAK = "\ufffe"  # PDFium's sign for a line that ended in a hyphen inside a word

CELL_GAP = 1.5  # line heights; no space between two words of a line is as wide

_EDGE_LINES = 3  # lines of a page, from its top and its bottom, that may be header or footer
_SAME_PLACE = 4.0  # points
_MIN_REPEATS = 3  # pages
_NUMBER = re.compile(r"\d{1,5}")

_LARGER = 1.15  # ratio of line heights from which two lines are of different type
_GAP = 1.35  # ratio to the usual distance of lines
_MAX_LEADING = 2.5  # line heights; lines farther apart do not follow each other
_INDENT = 0.8  # line heights
_SAME_ROW = 0.2  # line heights
_MARKER_CHARS = 5  # of a bullet or number that stands apart from its item

_ENDS = re.compile(r"[.!?…。！？：:;；][\"'”’）)\]」』】]*\Z")
_BULLET = re.compile(r"[•‣◦▪●○■□◆➢✓·–—*-]\s")
_NUMBERED = re.compile(r"(?:\d{1,3}[.)、]|[(（]\w{1,3}[)）]|[一二三四五六七八九十]{1,3}、)\s?")
_LEADER = re.compile(r"(?:\. ?){5}|…{2}")
_TIES = re.compile(r"\S[-‐‑–—/]\Z")  # after these nothing is wanting, no space either
_WORD_BEFORE = re.compile(r"\w+\Z")
_WORD_AFTER = re.compile(r"\w+")
_WORDS = re.compile(r"\w+(?:[-‐‑]\w+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a page; places in points, from the bottom left of the page as it is read.

    `hyphenated`: it ended in a hyphen inside a word, which `text` no longer holds.
    `has_cells`: a gap wider than any space is in it, as between the cells of a table.
    """

    text: str
    left: float
    right: float
    bottom: float
    height: float
    hyphenated: bool = False
    has_cells: bool = False


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
    """The text of a document: paragraphs with a blank line between, no headers and footers."""
    kept = drop_repeated_edges([Page(lines=_merge_rows(page.lines)) for page in pages])
    words = _count_words(line for page in kept for line in page.lines)
    paragraphs: list[list[Line]] = []
    before: _Block | None = None
    for page in kept:
        for block in _find_blocks(page.lines):
            found = list(_find_paragraphs(block))
            if before is not None and _runs_on(before, block):
                paragraphs[-1].extend(found.pop(0))
            paragraphs.extend(found)
            before = block
    return "\n\n".join(_join(lines, words) for lines in paragraphs)


def drop_repeated_edges(pages: Sequence[Page]) -> list[Page]:
    """`pages` without the lines that repeat near their edges.

    A line repeats when it stands within 4 points of the same height on 3 pages or more, with the
    same text, or the same but for one number that grows as the pages do. With two pages only
    such a number is enough: two equal lines may be two things that people wrote.
    """
    needed = min(_MIN_REPEATS, len(pages))
    places: defaultdict[tuple[str, int | None], list[float]] = defaultdict(list)
    for index, page in enumerate(pages):
        for line in _edge_lines(page):
            for key in _edge_keys(line, index):
                places[key].append(line.bottom)
    kept = []
    for index, page in enumerate(pages):
        dropped = {
            id(line)
            for line in _edge_lines(page)
            if any(
                sum(abs(place - line.bottom) <= _SAME_PLACE for place in places[key]) >= needed
                and (len(pages) > 2 or key[1] is not None)
                for key in _edge_keys(line, index)
            )
        }
        kept.append(Page(lines=[line for line in page.lines if id(line) not in dropped]))
    return kept if len(pages) > 1 else list(pages)


def opens_item(text: str) -> bool:
    """Whether a line starts with the bullet or number of a list item."""
    return bool(_BULLET.match(text) or _NUMBERED.match(text))


def _merge_rows(lines: Sequence[Line]) -> list[Line]:
    """`lines`, with neighbours on one height made one line: PDFium parts some rows of tables."""
    merged: list[Line] = []
    for line in lines:
        before = merged[-1] if merged else line
        on_one_height = abs(before.bottom - line.bottom) < _SAME_ROW * line.height
        if before is line or not on_one_height or line.left < before.right:
            merged.append(line)
            continue
        is_marker = opens_item(f"{before.text} ") and len(before.text) <= _MARKER_CHARS
        is_cell = not is_marker and line.left - before.right > CELL_GAP * line.height
        merged[-1] = replace(
            line,
            text=f"{before.text} {line.text}",
            left=before.left,
            bottom=min(before.bottom, line.bottom),
            height=max(before.height, line.height),
            has_cells=before.has_cells or line.has_cells or is_cell,
        )
    return merged


def _edge_lines(page: Page) -> list[Line]:
    ordered = sorted(page.lines, key=lambda line: line.bottom)
    if len(ordered) <= 2 * _EDGE_LINES:
        return ordered
    return ordered[:_EDGE_LINES] + ordered[-_EDGE_LINES:]


def _edge_keys(line: Line, index: int) -> Iterator[tuple[str, int | None]]:
    """The line as it stands, and with its first and its last number relative to the page's."""
    yield line.text, None
    numbers = list(_NUMBER.finditer(line.text))
    for match in numbers[:1] + numbers[1:][-1:]:
        around = f"{line.text[: match.start()]}\0{line.text[match.end() :]}"
        yield around, int(match.group()) - index


def _find_blocks(lines: Sequence[Line]) -> Iterator[_Block]:
    """Stretches of lines without a gap or a change of type between them."""
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
    return not (
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
    if above.hyphenated or _TIES.search(above.text):
        return False
    ended = bool(_ENDS.search(above.text))
    if _NUMBERED.match(below.text) and ended:
        return True
    if above.right + _width_of_start(below) < right:
        return True  # the next word had room, so it was kept from there
    indented = below.left - above.left > _INDENT * below.height
    return indented and ended and not opens_item(above.text)


def _width_of_start(line: Line) -> float:
    """What the word that starts a line takes, with the space before it.

    Chinese takes two characters: a full stop must not start a line and brings one along.
    """
    width = (line.right - line.left) / max(len(line.text), 1)
    if meets_without_space(line.text[:1], line.text[:1]):
        return 2 * width
    return width * (len(line.text.split(maxsplit=1)[0]) + 1)


def _runs_on(before: _Block, after: _Block) -> bool:
    """Whether a sentence runs on from one column or page to the next."""
    last, first = before.lines[-1], after.lines[0]
    if not _same_type(last, first) or first.bottom < last.bottom:
        return False  # another kind of text, or simply further down the page
    if last.hyphenated:
        return True
    if _ENDS.search(last.text) or _BULLET.match(first.text) or len(before.lines) < 2:
        return False
    return last.right + _width_of_start(first) >= before.right


def _count_words(lines: Iterator[Line]) -> Counter[str]:
    """How often each word stands whole on a line, with hyphens and without."""
    words: Counter[str] = Counter()
    for line in lines:
        found = [word.lower() for word in _WORDS.findall(line.text)]
        words.update(found[:-1] if line.hyphenated else found)
    return words


def _join(lines: Sequence[Line], words: Counter[str]) -> str:
    text = lines[0].text
    for above, below in pairwise(lines):
        if above.hyphenated:
            text += _hyphen_between(text, below.text, words)
        elif not (meets_without_space(text, below.text) or _TIES.search(text)):
            text += " "
        text += below.text
    return text


def _hyphen_between(before: str, after: str, words: Counter[str]) -> str:
    """'-' or '': whether the hyphen at the end of a line belongs to the word.

    The document itself is the dictionary. Where it has neither form, the hyphen stays if both
    halves are words of their own (well-known), or the second is a name or a number.
    """
    head, tail = _WORD_BEFORE.search(before), _WORD_AFTER.match(after)
    if head is None or tail is None:
        return "-"
    one, other = head.group().lower(), tail.group().lower()
    if words[one + other]:
        return ""
    if words[f"{one}-{other}"] or not tail.group()[0].islower():
        return "-"
    return "-" if words[one] and words[other] else ""
