"""A paragraph of a Word file: its runs as pieces of text, its number, its anchored objects.

The rule: nothing is lost silently. Text that Word shows is text here; other content is counted, and
marked where it is inside a sentence; content that Word does not show is left out, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.blocks import (
    Paragraph,
    Piece,
    raise_by_position,
    settle_marks,
)
from annotator.documents.readers.docx.fields import Fields
from annotator.documents.readers.docx.graphics import read_graphic
from annotator.documents.readers.docx.notes import NOTE_REFERENCES, NoteMarks
from annotator.documents.readers.docx.numbers import ListCounter
from annotator.documents.readers.docx.styles import RunFormat, Styles, find_under
from annotator.documents.readers.docx.symbols import UNKNOWN_SIGN, read_sign, read_signs
from annotator.documents.readers.docx.visible import holds_text, is_gone, shown_children

_SPACE = re.compile(r"[\t\r\n]+")
_XML_SPACE = " \t\r\n"
_CHARACTERS = {
    "w:tab": "\t",
    "w:ptab": "\t",
    "w:br": "\n",  # a page or column break separates words too
    "w:cr": "\n",
    "w:noBreakHyphen": "-",
}
_GRAPHICS = frozenset("w:drawing w:pict w:object".split())
_EQUATIONS = frozenset({"m:oMath", "m:oMathPara"})
_NO_TEXT = frozenset("w:delText w:delInstrText w:rt".split())


class ParagraphReader:
    """Reads the paragraphs of a story in order: it counts list items and follows fields."""

    def __init__(
        self,
        story: Element,
        *,
        styles: Styles,
        counter: ListCounter,
        counts: Counter[str],
        notes: NoteMarks,
        keeps_space: bool,
    ) -> None:
        self._styles = styles
        self._counter = counter
        self._counts = counts
        self._notes = notes
        self._keeps_space = keeps_space
        self._fields = Fields(story)
        self._pieces: list[Piece] = []
        self._num_shown = 0  # characters in the story so far
        self._paragraph = Paragraph(pieces=[])

    def read(self, elements: Sequence[Element]) -> Paragraph:
        """The paragraph made of the elements (w:p); the last one has its properties."""
        properties = elements[-1].find("w:pPr")
        self._pieces = []
        self._paragraph = paragraph = Paragraph(
            pieces=[],
            level=self._styles.heading_level(properties),
            is_title=self._styles.is_title(properties),
        )
        for element in elements:
            self._walk(element)
        pieces = settle_marks(raise_by_position(self._pieces))
        struck = groupby(pieces, lambda piece: piece.struck and bool(piece.text.strip()))
        self._counts["struck_out"] += sum(is_struck for is_struck, _ in struck)
        paragraph.pieces = [*self._number(properties, pieces), *pieces]
        return paragraph

    def _number(self, properties: Element | None, pieces: Sequence[Piece]) -> list[Piece]:
        """The number of a list item; an item without text is counted too, as Word does."""
        ref = self._styles.number_ref(properties)
        text = "".join(piece.text for piece in pieces).lstrip()
        mark = find_under(properties, "w:rPr")
        if ref is None or (not text and self._styles.run_format(properties, mark).hidden):
            return []
        label = self._counter.next_label(ref)
        if not label or not text:
            return []
        touches = label[-1].isalnum() and text[0].isalnum() and text[0].isascii()
        return [Piece(text=label + (" " if touches else ""))]

    def _walk(self, paragraph: Element) -> None:
        properties = paragraph.find("w:pPr")
        frame = find_under(properties, "w:framePr")
        is_drop_cap = frame is not None and frame.get("w:dropCap", "none") != "none"
        plain = self._styles.run_format(properties, None)
        stack = [(child, plain) for child in reversed(paragraph)]
        while stack:
            element, looks = stack.pop()
            if element.tag == "w:r":
                looks = self._styles.run_format(properties, element.find("w:rPr"))
                if looks.hidden and holds_text(element) and not self._fields.hides:
                    self._counts["hidden_text"] += 1
            if is_gone(element):
                self._counts["tracked_deletions"] += element.tag == "w:del" and holds_text(element)
            elif not self._read(element, looks, is_drop_cap=is_drop_cap):
                stack += [(child, looks) for child in reversed(shown_children(element))]

    def _read(self, element: Element, looks: RunFormat, *, is_drop_cap: bool) -> bool:
        """Read an element that is not a container; False for a container."""
        tag = element.tag
        if tag == "w:fldChar":
            text, kind = self._fields.turn(element, self._num_shown)
            self._put_mark(text, kind) if kind else self._put(text, looks)
        elif tag == "w:instrText":
            self._fields.add_code(element.text or "")
        elif tag in _NO_TEXT:
            return True
        elif looks.hidden or self._fields.hides:
            return tag in _GRAPHICS or tag in _EQUATIONS  # otherwise a field may begin or end in it
        elif tag == "w:t":
            self._put(self._text_of(element, looks.font), looks, moved=not is_drop_cap)
        elif tag in _CHARACTERS:
            self._put(_CHARACTERS[tag], looks)
        elif tag == "w:sym":
            sign = read_sign(element.get("w:font", ""), element.get("w:char", ""))
            self._counts["symbols"] += not sign
            self._put(sign or UNKNOWN_SIGN, looks)
        elif tag in NOTE_REFERENCES:
            self._put_mark(self._notes.mark_of(element))
        elif tag in _EQUATIONS:
            for _ in [element] if tag == "m:oMath" else element.iter("m:oMath"):
                self._put_mark("[equation]", "equations")
        elif tag in _GRAPHICS:
            self._read_graphic(element)
        else:
            self._counts["unrecognised"] += bool((element.text or "").strip())
            return False
        return True

    def _text_of(self, element: Element, font: str) -> str:
        text = element.text or ""
        if not self._keeps_space and element.get("xml:space") != "preserve":
            text = text.strip(_XML_SPACE)  # Word does not show it either
        signs = read_signs(_SPACE.sub(" ", text), font)
        self._counts["symbols"] += signs.count(UNKNOWN_SIGN) - text.count(UNKNOWN_SIGN)
        return signs

    def _read_graphic(self, element: Element) -> None:
        graphic = read_graphic(element)
        self._counts.update(graphic.counts)
        self._paragraph.boxes += graphic.boxes
        self._paragraph.lines += filter(str.strip, graphic.lines)
        if not graphic.counts:
            return
        if graphic.alt and graphic.inline:
            self._put_mark(graphic.alt)
        elif graphic.alt:
            self._paragraph.lines.append(graphic.alt)
        elif graphic.inline:
            mark = "always" if "equations" in graphic.counts else "inside"
            self._pieces.append(Piece(text=graphic.mark, mark=mark))

    def _put(self, text: str, looks: RunFormat, *, moved: bool = True) -> None:
        if text:
            self._num_shown += len(text)
            position = looks.position if moved else 0
            self._pieces.append(
                Piece(text=text, raised=looks.raised, position=position, struck=looks.struck)
            )

    def _put_mark(self, text: str, kind: str = "") -> None:
        if kind:
            self._counts[kind] += 1
        if text:
            self._num_shown += len(text)
            self._pieces.append(Piece(text=text, mark="always"))
