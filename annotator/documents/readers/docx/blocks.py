"""Paragraphs and tables of a Word file as they are shown, rewritten in Word's format.

The rule: only plain markup is written (`w:p`, `w:r`, `w:t`, `w:tbl`), and the converter that reads
it drops none of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

MAX_CELL_CHARS = 1000  # a table with more text in a cell is page layout

_BREAKS = re.compile(r"([\n\t])")
_BREAK_TAGS = {"\n": "<w:br/>", "\t": "<w:tab/>"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Text with one formatting.

    raised      'superscript', 'subscript' or ''
    position    of the baseline, in half points
    mark        for a placeholder of something that is not text: 'always' or 'inside' a sentence; ''
                for text
    """

    text: str
    raised: str = ""
    position: int = 0
    struck: bool = False
    mark: str = ""


@dataclass(kw_only=True, slots=True)
class Paragraph:
    """A paragraph; `level` is that of a heading, `boxes` are text boxes that are anchored in it."""

    pieces: list[Piece]
    level: int = 0
    is_title: bool = False
    boxes: list[Element] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The characters of its pieces."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(kw_only=True, slots=True)
class Cell:
    """A cell that spans columns; `goes_on` is the cell above that continues here."""

    span: int = 1
    goes_on: bool = False
    blocks: list[Paragraph | Table] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Table:
    """Rows of cells."""

    rows: list[list[Cell]]


Block = Paragraph | Table


def write_blocks(blocks: Sequence[Block]) -> str:
    """Paragraphs and tables as the content of a body or cell."""
    return "".join(
        _write_paragraph(block) if isinstance(block, Paragraph) else _write_table(block)
        for block in blocks
    )


def settle_marks(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with a space between a mark and the words next to it.

    Marks that count only inside a sentence are removed where text is not on both sides.
    """
    settled: list[Piece] = []
    has_text = [piece.mark == "" and not piece.text.isspace() for piece in pieces]
    first = has_text.index(True) if True in has_text else len(pieces)
    last = len(pieces) - 1 - has_text[::-1].index(True) if True in has_text else -1
    for index, piece in enumerate(pieces):
        if piece.mark == "inside" and not first < index < last:
            continue
        text = piece.text
        before = settled[-1] if settled else Piece(text="")
        if (piece.mark or before.mark) and _would_join(before.text[-1:], text[:1]):
            text = " " + text
        settled.append(replace(piece, text=text))
    return settled


def _would_join(before: str, after: str) -> bool:
    """Whether one is of a word, and the other of a word or a mark; not after a full stop."""
    both = before + after
    return any(map(str.isalnum, both)) and all(
        character.isalnum() or character in "[]" for character in both
    )


def raise_by_position(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, with those marked as raised or lowered that were moved off the baseline by
    hand."""
    lengths: Counter[int] = Counter()
    for piece in pieces:
        if piece.text.strip() and not piece.mark:
            lengths[piece.position] += len(piece.text)
    # A paragraph may be moved as a whole: its baseline is then that of most of its text.
    base = 0 if 0 in lengths or not lengths else lengths.most_common(1)[0][0]
    return [
        piece
        if piece.raised or piece.mark or piece.position == base
        else replace(piece, raised="superscript" if piece.position > base else "subscript")
        for piece in pieces
    ]


def _write_paragraph(paragraph: Paragraph) -> str:
    style = f'<w:pPr><w:pStyle w:val="H{paragraph.level}"/></w:pPr>' if paragraph.level else ""
    pieces = paragraph.pieces
    if paragraph.level:  # a heading is one line, even if it was broken for layout
        pieces = [replace(piece, text=piece.text.replace("\n", " ")) for piece in pieces]
    return f"<w:p>{style}{''.join(_write_runs(pieces))}</w:p>"


def _write_runs(pieces: Sequence[Piece]) -> Iterator[str]:
    for (raised, struck), group in groupby(pieces, lambda piece: (piece.raised, piece.struck)):
        looks = f'<w:vertAlign w:val="{raised}"/>' if raised else ""
        looks = ("<w:strike/>" if struck else "") + looks
        parts = _BREAKS.split("".join(piece.text for piece in group))
        content = "".join(
            _BREAK_TAGS.get(part) or f'<w:t xml:space="preserve">{escape(part)}</w:t>'
            for part in parts
            if part
        )
        yield f"<w:r><w:rPr>{looks}</w:rPr>{content}</w:r>"


def _write_table(table: Table) -> str:
    is_data = _is_data(table)
    rows = "".join(
        f"<w:tr>{''.join(_write_cell(cell, is_data=is_data) for cell in row)}</w:tr>"
        for row in table.rows
    )
    return f"<w:tbl>{rows}</w:tbl>"


def _write_cell(cell: Cell, *, is_data: bool) -> str:
    blocks = cell.blocks
    if is_data:
        blocks = [_join([block for block in blocks if isinstance(block, Paragraph)])]
    merge = "<w:vMerge/>" if cell.goes_on else ""
    span = f'<w:gridSpan w:val="{cell.span}"/>' if cell.span > 1 else ""
    return f"<w:tc><w:tcPr>{span}{merge}</w:tcPr>{write_blocks(blocks)}</w:tc>"


def _is_data(table: Table) -> bool:
    """Whether the table holds data: each row is then a separate line.

    The converter of HTML treats several paragraphs or a heading in a cell as page layout.
    """
    cells = [cell for row in table.rows for cell in row]
    return any(len(row) > 1 for row in table.rows) and all(
        isinstance(block, Paragraph) for cell in cells for block in cell.blocks
    ) and all(
        sum(len(block.text) for block in cell.blocks if isinstance(block, Paragraph))
        <= MAX_CELL_CHARS
        for cell in cells
    )  # fmt: skip


def _join(paragraphs: Sequence[Paragraph]) -> Paragraph:
    """The paragraphs of a cell as one, with line breaks between them."""
    pieces: list[Piece] = []
    for paragraph in paragraphs:
        if paragraph.text.strip():
            pieces += [Piece(text="\n")] if pieces else []
            pieces += paragraph.pieces
    return Paragraph(pieces=pieces)
