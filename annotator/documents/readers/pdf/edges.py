"""Headers, footers and page numbers of a PDF: found, left out, and reported.

The rule: a line is left out only if it repeats on pages or counts with them, at one position in the
margin, separated from the text; a numbered heading, a form and a slide are kept. A line that is
left out by mistake is lost to every judge; one that is kept by mistake is only an extra line.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from annotator.documents.readers.file_text import Dropped
from annotator.documents.readers.pdf.lines import Cell, Line, Page

_MARGIN = 0.13  # of a page's height, at its top and at its bottom
_MAX_ROWS = 4  # of a header or footer
_MIN_REPEATS = 3  # pages
_MIN_NUMBERS = 2  # pages, for a line with only the page number
_BUCKET = 4.0  # points between two positions that count as the same
_APART = 1.5  # ratio to the usual distance of lines
_APART_OF_SMALL = 1.25  # the same, for type smaller than that of the text
# On an overfull page the page number is as near as one line to the next.
_APART_OF_SMALL_NUMBER = 0.95
_SMALL = 0.95  # ratio to the size of the text
_LARGE = 1.15
_USUAL_STEP = 1.2  # of the size of type, in a document without consecutive lines

_NUMBER = re.compile(r"\d{1,5}")
_COUNT = r"(?:\d{1,5}|[ivxlc]{1,7}|[IVXLC]{1,7})"
_PAGE_WORD = (
    r"(?:page|pages|pag\.?|pg\.?|p\.?|pp\.?|seite|s\.|página|pagina|pág\.?|folio|fol\.?|"
    r"sida|side|strona|str\.?|стр\.?|страница|صفحة|sayfa|trang|halaman)"
)
_OF = r"(?:/|\||of|von|de|di|sur|av|van|z|из|から)"
_PAGE_NUMBER = re.compile(
    rf"[-–—\[(|·•~\s]*(?:{_PAGE_WORD}\s*)?(?P<n>{_COUNT})(?:\s*{_OF}\s*\d{{1,5}})?[-–—\])|·•~.\s]*"
    rf"|[-–—\s]*第\s*(?P<m>\d{{1,5}})\s*[页頁](?:\s*[,，/／]?\s*[共全]\s*\d{{1,5}}\s*[页頁])?[-–—\s]*"
    rf"|(?P<k>\d{{1,5}})\s*(?:페이지|쪽|ページ|頁|页)",
    re.I,
)
# A line that begins with one of these and has a number is a heading, even in small type.
_HEADING = re.compile(
    r"(?:article|chapter|section|part|table|figure|fig\.?|appendix|annex|patient|case|question|"
    r"exercise|step|day|week|visit|lesson|unit|module|item|example|paragraph|rule|schedule|"
    r"subject|participant|group|form|artikel|kapitel|abschnitt|tabelle|abbildung|teil|fall|"
    r"chapitre|artículo|capítulo|tabla|sección)\b|第.{1,4}[章节節条條部课課]|[表图圖]\s*\d",
    re.I,
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Key:
    """The key of repetition: text without its number, the number minus the page's, the side."""

    text: str
    offset: int | None
    is_top: bool
    bucket: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """The lines of a page at one height."""

    lines: Sequence[Line]

    @property
    def base(self) -> float:
        return self.lines[0].bottom

    @property
    def size(self) -> float:
        return max(line.size for line in self.lines)


def drop_edges(pages: Sequence[Page]) -> tuple[list[Page], list[Dropped]]:
    """`pages` without headers, footers and page numbers, and the removed lines in reading order."""
    if len(pages) < 2:
        return list(pages), []
    finder = _Finder(pages)
    kept, dropped = [], []
    for index, page in enumerate(pages):
        found = finder.find(index)
        kept.append(Page(lines=[line for line in page.lines if id(line) not in found]))
        dropped += [
            Dropped(kind=found[id(line)], page=index + 1, text=line.text)
            for line in page.lines
            if id(line) in found
        ]
    return kept, dropped


class _Finder:
    """Counts what repeats in the margins of all pages, then checks each page."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._rows = [_find_rows(page) for page in pages]
        self._num_pages = len(pages)
        self._body_size = _body_size(pages)
        self._step = _usual_step(self._rows, self._body_size)
        self._pages_of: defaultdict[_Key, set[int]] = defaultdict(set)
        for index, rows in enumerate(self._rows):
            for is_top in (True, False):
                for row in _margin(rows, is_top=is_top):
                    for line in row.lines:
                        for cell in line.cells:
                            for key in _keys(cell, line, index, is_top=is_top):
                                self._pages_of[key].add(index)

    def find(self, index: int) -> dict[int, str]:
        """The lines of a page to be left out, by their id, and the kind of each."""
        rows = self._rows[index]
        step = self._step[index]
        found: dict[int, str] = {}
        for is_top in (True, False):
            edge = self._take_edge(rows, index, step, is_top=is_top)
            for row in edge:
                for line in row.lines:
                    found[id(line)] = self._kind(line, is_top=is_top)
        return found if len(found) < sum(len(row.lines) for row in rows) else {}

    def _take_edge(
        self, rows: Sequence[_Row], index: int, step: float, *, is_top: bool
    ) -> Sequence[_Row]:
        """The rows from the edge that all repeat, up to the last one with a gap after it."""
        inwards = rows if is_top else rows[::-1]
        count = 0
        for row in _margin(rows, is_top=is_top):
            gap = _gap(inwards, count)
            if not all(
                self._repeats(cell, line, index, gap / step, is_top=is_top)
                for line in row.lines
                for cell in line.cells
            ):
                break
            count += 1
        while count and not self._is_apart(inwards, count, step):
            count -= 1
        return inwards[:count]

    def _is_apart(self, inwards: Sequence[_Row], count: int, step: float) -> bool:
        if count == len(inwards):
            return False  # no text is left to be separated from
        is_small = all(row.size < _SMALL * self._body_size for row in inwards[:count])
        least = _APART_OF_SMALL if is_small else _APART
        if is_small and all(_is_page_number(row) for row in inwards[:count]):
            least = _APART_OF_SMALL_NUMBER
        return _gap(inwards, count - 1) > least * step

    def _repeats(self, cell: Cell, line: Line, index: int, gap: float, *, is_top: bool) -> bool:
        if cell.size > _LARGE * self._body_size:
            return False
        for key in _keys(cell, line, index, is_top=is_top):
            num_pages = self._count(key)
            if key.offset is None:
                enough = self._num_pages >= _MIN_REPEATS and num_pages >= _MIN_REPEATS
            elif not key.text:
                enough = num_pages >= _MIN_NUMBERS
            else:
                enough = num_pages >= _MIN_REPEATS and self._may_count(cell, gap, is_top=is_top)
            if enough:
                return True
        return False

    def _may_count(self, cell: Cell, gap: float, *, is_top: bool) -> bool:
        """Whether words with a counting number may be more than a heading of the text."""
        if _HEADING.match(cell.text):
            return False
        if cell.size < _SMALL * self._body_size:
            return True
        return not is_top and cell.size <= self._body_size and gap > 2

    def _count(self, key: _Key) -> int:
        """The number of pages that have it, at nearly the same position."""
        near = (
            _Key(text=key.text, offset=key.offset, is_top=key.is_top, bucket=key.bucket + by)
            for by in (-1, 0, 1)
        )
        return len(set().union(*(self._pages_of.get(other, set()) for other in near)))

    def _kind(self, line: Line, *, is_top: bool) -> str:
        if _is_page_number(_Row(lines=[line])):
            return "page_number"
        return "header" if is_top else "footer"


def _is_page_number(row: _Row) -> bool:
    return all(_PAGE_NUMBER.fullmatch(cell.text) for line in row.lines for cell in line.cells)


def _find_rows(page: Page) -> list[_Row]:
    """The rows of a page from its top to its bottom, of text in its usual direction."""
    ordered = sorted(
        (line for line in page.lines if line.place is not None), key=lambda line: -line.bottom
    )
    rows: list[list[Line]] = []
    for line in ordered:
        if rows and rows[-1][0].bottom - line.bottom < line.height / 3:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_Row(lines=row) for row in rows]


def _margin(rows: Sequence[_Row], *, is_top: bool) -> Iterator[_Row]:
    """The rows of a page in its margin, from its edge on."""
    for row in (rows if is_top else rows[::-1])[:_MAX_ROWS]:
        place = row.lines[0].place or 0.0
        if (1 - place if is_top else place) > _MARGIN:
            return
        yield row


def _gap(inwards: Sequence[_Row], index: int) -> float:
    """From a row to the next one inwards."""
    if index + 1 >= len(inwards):
        return 0.0
    return abs(inwards[index].base - inwards[index + 1].base)


def _body_size(pages: Sequence[Page]) -> float:
    """The size of most of the text."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size, 1)] += len(line.text)
    return max(sizes, key=lambda size: (sizes[size], size), default=1.0)


def _usual_step(rows: Sequence[Sequence[_Row]], body_size: float) -> list[float]:
    """For each page its usual line distance; that of the document where the page has few lines."""
    of_pages = [[above.base - below.base for above, below in pairwise(page)] for page in rows]
    inner = [page[1:-1] for page in of_pages]
    all_steps = [step for page in inner for step in page]
    usual = median(all_steps) if all_steps else 0.0
    # Lines closer than their type is high are not lines of text.
    usual = usual if body_size <= usual <= 3 * body_size else _USUAL_STEP * body_size
    steps = []
    for page in inner:
        own = median(page) if len(page) >= 3 else 0.0
        steps.append(own if body_size <= own <= 3 * body_size else usual)
    return steps


def _keys(cell: Cell, line: Line, index: int, *, is_top: bool) -> Iterator[_Key]:
    """A cell unchanged, and with its first and its last number relative to the page number."""
    bucket = round(line.bottom / _BUCKET)
    text = " ".join(cell.text.split())
    yield _Key(text=text, offset=None, is_top=is_top, bucket=bucket)
    number = _page_number(text)
    if number is not None:
        yield _Key(text="", offset=number - index, is_top=is_top, bucket=bucket)
        return
    numbers = list(_NUMBER.finditer(text))
    for match in numbers[:1] + numbers[1:][-1:]:
        around = f"{text[: match.start()]}\0{text[match.end() :]}"
        offset = int(match.group()) - index
        yield _Key(text=around, offset=offset, is_top=is_top, bucket=bucket)


def _page_number(text: str) -> int | None:
    """The number in a text that has the form of a page number; None for other text."""
    match = _PAGE_NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match["n"] or match["m"] or match["k"]
    return int(digits) if digits.isdigit() else _read_roman(digits)


def _read_roman(text: str) -> int:
    values = [_ROMAN[character] for character in text.lower()]
    return sum(
        -value if after > value else value
        for value, after in zip(values, [*values[1:], 0], strict=True)
    )
