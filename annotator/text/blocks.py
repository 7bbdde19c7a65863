"""The blocks of a Markdown or plain text: where a sentence must end, whatever its words are.

The rule: every non-blank line belongs to exactly one block, in order, and nothing is rewritten.
In addition to the blocks there is a *view* of the text, of the same length character by character,
in which markup is blanked, so that an offset found in the view is an offset in the text.

This is a line scanner and not a Markdown parser on purpose. A parser (CommonMark) reads four spaces
as code and `text` above `---` as a heading, drops link definitions, does not know the list markers
of Chinese texts, and needs 23 s for a 2 MB table; for answers of models all five are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.spans import Offsets
from schemas.text.scripts import CJK_PRINT, HAN, KOREAN_LETTERS

_LINE = re.compile(r"(.*?)(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|\Z)", re.DOTALL)
_LINE_BREAK = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Possessive (*+), so that a line of a million spaces is scanned once.
_INDENT = r"[\s\ufeff\u200b]*+"
_QUOTE = re.compile(rf"{_INDENT}>(?:[ \t]*>)*[ \t]?")
_FENCE = re.compile(rf"{_INDENT}(?:(`{{3,}}+)[^`]*|(~{{3,}}+).*)\Z")
_HEADING = re.compile(rf"{_INDENT}(?:#{{1,6}}+(?:[ \t]|\Z)|#{{2,6}}+[^#\s])")
_BOLD_LINE = re.compile(rf"{_INDENT}(?:\*\*[^*]+\*\*|__[^_]+__)[:：]?\Z")
_RULE = re.compile(
    rf"{_INDENT}(?:(?:-[ \t]*+){{3,}}+|(?:\*[ \t]*+){{3,}}+|(?:_[ \t]*+){{3,}}+|=++)\Z"
)
_TABLE_RULE = re.compile(rf"{_INDENT}\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?\Z")
_TABLE_ROW = re.compile(rf"{_INDENT}\|.*\|\Z")

_BULLET = re.compile(rf"{_INDENT}[-*+•‣◦▪●○·](?=\s|\Z)|{_INDENT}[•‣▪●]")
_NUMBER = re.compile(
    rf"{_INDENT}[*_]{{0,3}}(?:"
    r"(?P<digits>\d{1,9})[.)](?=[*_]{0,3}(?:\s|\Z))"  # 1. or 1)
    rf"|(?P<wide>\d{{1,3}})(?:[、．]|\.(?=[{HAN}]))"  # 1、 or, in Chinese only, 1.
    r"|[(（](?P<brackets>\d{1,3})[)）]"  # (1)
    r"|[(（]?(?P<letter>[a-zA-Z])[)）](?=\s)"  # (a) or a)
    r"|[(（](?P<han>[一二三四五六七八九十]{1,3})[)）]"
    r"|(?P<listed>[一二三四五六七八九十]{1,3})、"
    r"|(?P<circled>[\u2460-\u2473])"  # circled 1 to 20
    r")[*_]{0,3}"
)
# a. or IV.: a mark only where `_find_lettered` finds a list around it, since prose contains
# initials.
_LETTERED = re.compile(
    rf"{_INDENT}[*_]{{0,3}}(?P<mark>[a-zA-Z]|[ivxlc]{{2,6}}|[IVXLC]{{2,6}})\."
    r"(?=[*_]{0,3}\s)[*_]{0,3}"
)
_MAX_LINES_APART = 10  # lines between two lettered items; wrapped text and sub-items
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_FIRST_NUMBERS = {"0", "1", "a", "A", "一", "①"}
_WIDE = re.compile(rf"[{CJK_PRINT}{KOREAN_LETTERS}”’…]\Z")

# Emphasis, references after a full stop, and invisible characters.
_BLANKED = re.compile(
    r"\*{1,3}|__|~~|(?<=[.!?])(?:\[\d[\d,–\- ]{0,30}\])+"
    r"|[\u200b\u200e\u200f\u2060\ufeff\u202a-\u202e\u2066-\u2069]"
)
_FILLED = re.compile(
    rf"(?:https?|ftp)://[^\s<>\"“”{CJK_PRINT}{KOREAN_LETTERS}]+"
    r"|`[^`\n\r]{1,500}`"
    r"|(?<=\w)['’](?=\w)|(?<!\w)['’](?=\d\ds?\b)"  # apostrophes are not quotation marks
    r"|(?<=\d)['′] ?\d{1,2}[\"″]"  # feet and inches are not either
    r"|[\ud800-\udfff]"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A part of the text that no sentence may cross; a `whole` one is a single sentence.

    Whole are headings, table rows and fenced code; prose (paragraphs, list items with their
    bullet, quotations) is divided by a splitter.
    """

    start: int
    end: int
    whole: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """[start, end) without its line break; after `depth` quotation marks `body` starts.

    `text` is the body without the white space at its end.
    """

    start: int
    body: int
    end: int
    depth: int
    text: str

    @property
    def blank(self) -> bool:
        return not self.text


def find_blocks(text: str) -> tuple[list[Block], str]:
    """The blocks of `text` and its view: the same length, markup blanked, URLs and code filled."""
    lines = list(_read_lines(text))
    scanner = _Scanner(lines)
    blocks = list(scanner.scan())
    hidden = [(line.start, line.body) for line in lines if line.depth]
    return blocks, _make_view(text, sorted(hidden + scanner.markers))


def _read_lines(text: str) -> Iterator[_Line]:
    position = 0
    while position < len(text):
        match = _LINE.match(text, position)
        assert match is not None  # it can match an empty text, at the end
        start, end = match.span(1)
        position = match.end()
        body, depth = start, 0
        quote = _QUOTE.match(text, start, end)
        if quote:
            body, depth = quote.end(), quote.group().count(">")
        yield _Line(start=start, body=body, end=end, depth=depth, text=text[body:end].rstrip())


def _make_view(text: str, hidden: Sequence[Offsets]) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in hidden:
        pieces += (text[position:start], " " * (end - start))
        position = end
    pieces.append(text[position:])
    view = _FILLED.sub(_fill, "".join(pieces))
    view = _BLANKED.sub(lambda match: " " * len(match.group()), view)
    return _LINE_BREAK.sub(" ", view)


def _fill(match: re.Match[str]) -> str:
    """Letters in place of a URL (without the punctuation that ends it), code or an apostrophe."""
    found = match.group()
    end = len(found.rstrip(".,;:!?)]'*_"))
    return "x" * end + found[end:]


class _Scanner:
    """One pass over the lines; `markers` collects the list markers."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        self.lines = lines
        self.markers: list[Offsets] = []
        self._lettered = _find_lettered(lines)
        self._numbered = False  # inside a numbered list, where any number starts an item

    def scan(self) -> Iterator[Block]:
        index = 0
        while index < len(self.lines):
            line = self.lines[index]
            if line.blank:
                if line.depth:  # a lone quotation mark still has to be in a block
                    yield Block(start=line.start, end=line.body, whole=True)
                index += 1
                continue
            after, whole = self._block_from(index)
            if whole and self._is_table(index):
                for row in self.lines[index:after]:
                    yield Block(start=row.start, end=row.end, whole=True)
            else:
                yield Block(start=line.start, end=self.lines[after - 1].end, whole=whole)
            index = after

    def _block_from(self, index: int) -> tuple[int, bool]:
        """The index after the block that starts at `index`, and whether it is whole."""
        line = self.lines[index]
        marker_end = self._read_markers(index)
        fence = _FENCE.match(line.text, marker_end)
        if fence:
            return self._after_fence(index, fence.group(1) or fence.group(2)), True
        if marker_end == 0:
            if _is_single(line):
                self._numbered = False
                return index + 1, True
            if self._is_table(index):
                self._numbered = False
                return self._after_table(index), True
        after = index + 1
        while after < len(self.lines) and not self._interrupts(after, in_item=marker_end > 0):
            after += 1
        return after, False

    def _read_markers(self, index: int) -> int:
        """Record the list markers at the beginning of a line ("- 1. ").

        Returns where its content begins.
        """
        line = self.lines[index]
        if _RULE.match(line.text):
            return 0
        end = 0
        if index in self._lettered:
            end = self._lettered[index]
            self._numbered = True
        for _ in range(3):
            bullet = _BULLET.match(line.text, end)
            number = None if bullet else _NUMBER.match(line.text, end)
            match = bullet or number
            if match is None:
                break
            self._numbered = self._numbered if bullet else True
            end = match.end()
        if end:
            self.markers.append((line.body, line.body + end))
        return end

    def _interrupts(self, index: int, *, in_item: bool) -> bool:
        """Whether the line ends the paragraph before it; otherwise it continues that paragraph."""
        line, previous = self.lines[index], self.lines[index - 1]
        if line.blank or line.depth != previous.depth or _RULE.match(line.text):
            return True
        if _is_single(line) or _FENCE.match(line.text) or self._is_table(index):
            return True
        if _BULLET.match(line.text) or index in self._lettered:
            return True
        number = _NUMBER.match(line.text)
        if number:
            # "... in\n1999. Then" is prose that was wrapped there; a list begins with its first
            # number.
            value = next(group for group in number.groups() if group)
            announced = previous.text.endswith((":", "："))
            if value in _FIRST_NUMBERS or announced or (self._numbered and len(value) <= 3):
                return True
        # An indented line after a Chinese one is a paragraph; wrapped Chinese is not indented.
        indented = line.text[0].isspace() and not in_item and _WIDE.search(previous.text)
        return bool(indented) or line.text[0] == "\u3000"

    def _is_table(self, index: int) -> bool:
        line = self.lines[index]
        if _TABLE_ROW.match(line.text):
            return True
        after = index + 1
        if "|" not in line.text or after >= len(self.lines):
            return False
        below = self.lines[after].text
        return "|" in below and _TABLE_RULE.match(below) is not None

    def _after_table(self, index: int) -> int:
        open_ended = not _TABLE_ROW.match(self.lines[index].text)
        after = index + 1
        while after < len(self.lines):
            line = self.lines[after]
            row = "|" in line.text if open_ended else _TABLE_ROW.match(line.text)
            if line.blank or not row:
                break
            after += 1
        return after

    def _after_fence(self, index: int, fence: str) -> int:
        """After the closing fence; an answer that is cut off inside code has none."""
        depth = self.lines[index].depth
        for after in range(index + 1, len(self.lines)):
            line = self.lines[after]
            if line.depth < depth:
                return after
            text = line.text.strip()
            closes = line.depth == depth and len(text) >= len(fence) and not text.strip(fence[0])
            if closes:
                return after + 1
        return len(self.lines)


def _is_single(line: _Line) -> bool:
    """A heading, a line in bold (models write headings this way) or a horizontal rule."""
    return any(pattern.match(line.text) for pattern in (_HEADING, _BOLD_LINE, _RULE))


def _find_lettered(lines: Sequence[_Line]) -> dict[int, int]:
    """The lines that are items such as "a. Red" or "IV. Methods", and where their marks end.

    A line of prose can start like one ("I. Newton was"), so a mark needs a neighbour: the next or
    the previous letter or number of its kind a few lines away, or, for the first of a kind, an
    item above that it is indented under.
    """
    found: dict[int, int] = {}
    last: dict[tuple[str, int], tuple[int, int]] = {}  # (kind, value): line and end of its mark
    above: _Line | None = None
    for index, line in enumerate(lines):
        match = _LETTERED.match(line.text)
        if match:
            for kind, value in _read_letters(match["mark"]):
                near = last.get((kind, value - 1))
                if near and index - near[0] <= _MAX_LINES_APART:
                    found |= {near[0]: near[1], index: match.end()}
                elif value == 1 and above is not None and _is_under(line, above):
                    found[index] = match.end()
                last[kind, value] = (index, match.end())
        if not line.blank:
            above = line
    return found


def _read_letters(mark: str) -> Iterator[tuple[str, int]]:
    """Every kind of list that a mark may belong to, and its number in it: i is 9 or 1."""
    case = "upper" if mark.isupper() else "lower"
    small = mark.lower()
    if len(mark) == 1:
        yield f"{case} letter", ord(small) - ord("a") + 1
    if not small.strip("ivxlc"):
        values = [_ROMAN[letter] for letter in small]
        after = [*values[1:], 0]
        yield (
            f"{case} roman",
            sum(-v if v < w else v for v, w in zip(values, after, strict=True)),
        )


def _is_under(line: _Line, above: _Line) -> bool:
    """Whether a line is indented more than the item above it."""
    is_item = _BULLET.match(above.text) or _NUMBER.match(above.text)
    return is_item is not None and _indent(line) > _indent(above)


def _indent(line: _Line) -> int:
    return len(line.text) - len(line.text.lstrip())
