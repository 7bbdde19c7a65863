"""Blocks of text under construction: paragraphs, list items, quotations, code, tables.

The rule: the result is plain text with the block marks of Markdown and no others, so that
`annotator.text.blocks` finds every block and no mark is inside a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from annotator.documents.readers.file_text import meets_without_space
from annotator.documents.readers.raised import InlineText

_SPACE = re.compile(r"[ \t\r\n\f]+")  # what HTML collapses: not no-break and wide spaces
_SIDE_SPACE = re.compile(r" *\n *")
_FENCE_RUN = re.compile(r"`{3,}")


@dataclass(kw_only=True, slots=True)
class _Level:
    """A list item or quotation that is open: the prefix of its first line, and of the others.

    `keep`: its mark is written even when it is empty.
    """

    first: str
    others: str
    keep: bool = False
    opened: bool = False


class BlockWriter:
    """Inline text is added piece by piece; `flush` ends the block; `finish` returns all of it."""

    def __init__(self) -> None:
        self.inline = InlineText()
        self._levels: list[_Level] = []
        self._out: list[str] = []
        self._tight = False  # whether the next block follows on the next line
        self._in_item = False  # whether the last block was in a list

    def add(self, text: str) -> None:
        """Inline text, with the white space of its source."""
        self.inline.add(text)

    def open(self, first: str, others: str, *, keep: bool = False) -> None:
        """Enter a list item or quotation; `first` begins its first line, `others` each further
        line.

        With `keep` an empty item is written too.
        """
        self.flush()
        self._levels.append(_Level(first=first, others=others, keep=keep))

    def close(self) -> None:
        """Leave the innermost list item or quotation."""
        self.flush()
        if self._levels[-1].keep and not self._levels[-1].opened:
            self.write("")
        self._levels.pop()

    def end_list(self) -> None:
        """After this, an item belongs to another list."""
        self._in_item = False

    def flush(self, *, mark: str = "", tight_after: bool = False) -> None:
        """End the open block of inline text, if it is not empty; `mark` is written before it."""
        text = collapse(self.inline.take())
        # A blank line that the author made of two breaks separates paragraphs.
        paragraphs = [part.strip() for part in re.split(r"\n{2,}", text)]
        for paragraph in filter(None, paragraphs):
            self.write(mark + paragraph)
            self._tight = tight_after

    def write(self, block: str) -> None:
        """A finished block, its line breaks kept."""
        starts_item = any(not level.opened for level in self._levels)
        prefixes = [level.others if level.opened else level.first for level in self._levels]
        others = "".join(level.others for level in self._levels)
        for level in self._levels:
            level.opened = True
        lines = block.split("\n")
        first = "".join(prefixes) + lines[0]
        # An empty block is the mark of an empty item.
        prefixed = [first if block else first.rstrip()]
        prefixed += [(others + line).rstrip() for line in lines[1:]]
        if self._out:
            tight = self._tight or (starts_item and self._in_item)
            self._out.append("\n" if tight else "\n\n")
        self._out.append("\n".join(prefixed))
        self._tight = False
        self._in_item = bool(self._levels)

    def write_code(self, code: str) -> None:
        """A block of code, fenced."""
        self.flush()
        code = code.strip("\n").replace("\r\n", "\n")
        if code.strip():
            fence = "`" * max([3, *(len(run) + 1 for run in _FENCE_RUN.findall(code))])
            self.write(f"{fence}\n{code}\n{fence}")

    def write_table(self, rows: Sequence[Sequence[str]]) -> None:
        """A table, one line per row; the first row is its header. A cell's "|" is written "\\|"."""
        self.flush()
        width = max(map(len, rows), default=0)
        cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
        if len(lines) > 1:
            lines.insert(1, "|" + " --- |" * width)
        if lines:
            self.write("\n".join(lines))

    def finish(self) -> str:
        """All blocks."""
        self.flush()
        return "".join(self._out)


def collapse(text: str) -> str:
    """Inline text with its white space as a browser shows it; "\\v" is an explicit line break.

    A line break between Chinese characters is not a space.
    """
    pieces: list[str] = []
    position = 0
    for match in _SPACE.finditer(text):
        pieces.append(text[position : match.start()])
        wraps = "\n" in match.group()
        start, end = match.span()
        joined = wraps and meets_without_space(text[max(start - 1, 0) : start], text[end : end + 1])
        pieces.append("" if joined else " ")
        position = match.end()
    pieces.append(text[position:])
    return _SIDE_SPACE.sub("\n", "".join(pieces).replace("\v", "\n")).strip()
