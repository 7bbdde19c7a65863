"""The stories of a Word file, its body, text boxes and notes: their paragraphs and tables.

The rule: each is read once, in reading order. A text box follows the paragraph that it is
anchored in, and the notes follow the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.blocks import Block, Cell, Paragraph, Piece, Table
from annotator.documents.readers.docx.notes import NoteMarks
from annotator.documents.readers.docx.numbers import List, ListCounter
from annotator.documents.readers.docx.paragraph import ParagraphReader
from annotator.documents.readers.docx.styles import Styles, find_under, value_of
from annotator.documents.readers.docx.visible import holds_text, walk_shown
from annotator.documents.readers.file_text import UnreadableError

MAX_NESTED_TABLES = 12  # the content of deeper ones is read as paragraphs
_MAX_SPAN = 1000

_BLOCKS = frozenset("w:p w:tbl w:altChunk".split())
_INLINE = frozenset("w:r w:hyperlink w:fldSimple m:oMath m:oMathPara".split())


class BodyReader:
    """Reads stories; `counts` is what held no text or was left out, `titles` the paragraphs with a
    title style."""

    def __init__(
        self,
        *,
        styles: Styles,
        lists: Mapping[str, List],
        notes: NoteMarks,
        max_chars: int,
        keeps_space: bool,
    ) -> None:
        self._styles = styles
        self._lists = lists
        self._notes = notes
        self._max_chars = max_chars
        self._num_chars = 0
        self._keeps_space = keeps_space
        self.counts: Counter[str] = Counter()
        self.titles: list[str] = []

    def read_story(self, story: Element, label: str = "") -> Iterator[Block]:
        """Its paragraphs and tables; `label` is put before the first paragraph that holds text.

        Raises UnreadableError.
        """
        reader = ParagraphReader(
            story,
            styles=self._styles,
            counter=ListCounter(self._lists),  # a text box or note is counted separately
            counts=self.counts,
            notes=self._notes,
            keeps_space=self._keeps_space,
        )
        for block in self._read_blocks(story, reader, 0):
            if label and isinstance(block, Paragraph) and block.text.strip():
                block.pieces.insert(0, Piece(text=label + " "))
                label = ""
            yield block

    def _read_blocks(self, parent: Element, reader: ParagraphReader, depth: int) -> Iterator[Block]:
        waiting: list[Element] = []  # paragraphs that continue in the next one
        gone: list[Element] = []
        for element in walk_shown(parent, _BLOCKS | _INLINE, gone):
            if element.tag == "w:altChunk":
                self.counts["embedded_files"] += 1
            elif element.tag == "w:tbl":
                yield from self._read_paragraph(waiting, reader)
                yield from self._read_table(element, reader, depth)
            else:
                waiting.append(_as_paragraph(element))
                if not _goes_on(waiting[-1]):
                    yield from self._read_paragraph(waiting, reader)
        yield from self._read_paragraph(waiting, reader)
        self._count_deleted(gone)

    def _read_paragraph(self, waiting: list[Element], reader: ParagraphReader) -> Iterator[Block]:
        if not waiting:
            return
        paragraph = reader.read(waiting)
        waiting.clear()
        self._num_chars += len(paragraph.text)
        if self._num_chars > self._max_chars:
            raise UnreadableError("too_large", f"it holds more than {self._max_chars:,} characters")
        if paragraph.is_title and paragraph.text.strip():
            self.titles.append(paragraph.text)
        yield paragraph
        for box in paragraph.boxes:
            yield from self.read_story(box)
        for line in paragraph.lines:
            yield Paragraph(pieces=[Piece(text=line)])

    def _read_table(self, element: Element, reader: ParagraphReader, depth: int) -> Iterator[Block]:
        table = Table(rows=[])
        gone: list[Element] = []
        for row in walk_shown(element, ["w:tr"], gone):
            properties = row.find("w:trPr")
            if find_under(properties, "w:del") is not None:
                gone.append(row)
                continue
            before = _span(properties, "w:gridBefore", 0)
            table.rows.append([Cell(span=before)] if before else [])
            for cell in walk_shown(row, ["w:tc"], gone):
                self._read_cell(cell, table.rows[-1], gone, reader, depth)
        self._count_deleted(gone)
        if depth < MAX_NESTED_TABLES:
            yield table
        else:
            yield from (block for row in table.rows for cell in row for block in cell.blocks)

    def _read_cell(
        self,
        element: Element,
        row: list[Cell],
        gone: list[Element],
        reader: ParagraphReader,
        depth: int,
    ) -> None:
        properties = element.find("w:tcPr")
        if find_under(properties, "w:cellDel") is not None:
            gone.append(element)
            return
        merge = find_under(properties, "w:vMerge")
        cell = Cell(
            span=_span(properties, "w:gridSpan", 1),
            goes_on=merge is not None and merge.get("w:val", "continue") != "restart",
            blocks=list(self._read_blocks(element, reader, depth + 1)),
        )
        if row and value_of(properties, "w:hMerge") == "continue":  # how old files merge cells
            row[-1].span += cell.span
            row[-1].blocks += cell.blocks
        else:
            row.append(cell)

    def _count_deleted(self, gone: list[Element]) -> None:
        self.counts["tracked_deletions"] += sum(map(holds_text, gone))


def _as_paragraph(element: Element) -> Element:
    if element.tag == "w:p":
        return element
    paragraph = Element("w:p")
    paragraph.append(element)
    return paragraph


def _goes_on(paragraph: Element) -> bool:
    """Whether the next paragraph continues this one: its mark is deleted, or it is a drop cap."""
    properties = paragraph.find("w:pPr")
    frame = find_under(properties, "w:framePr")
    drop_cap = "none" if frame is None else frame.get("w:dropCap", "none")
    removed = (find_under(properties, "w:rPr", tag) for tag in ("w:del", "w:moveFrom"))
    return drop_cap != "none" or any(mark is not None for mark in removed)


def _span(properties: Element | None, tag: str, default: int) -> int:
    value = value_of(properties, tag)
    return min(int(value), _MAX_SPAN) if re.fullmatch("[0-9]{1,6}", value) else default
