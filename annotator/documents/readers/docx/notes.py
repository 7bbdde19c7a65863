"""Footnotes and endnotes: the mark in the text, and the same mark before the note.

The rule: a note has the number that Word shows, by its order in the text and not by its id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.labels import write_number
from annotator.documents.readers.docx.styles import is_on, value_of

_STYLES = {"footnote": "decimal", "endnote": "lowerRoman"}  # where the file sets none
_KIND_OF_TAG = {"w:footnoteReference": "footnote", "w:endnoteReference": "endnote"}
NOTE_REFERENCES = frozenset(_KIND_OF_TAG)


class NoteMarks:
    """The notes that the text refers to, in order."""

    def __init__(self, document: Element | None = None, settings: Element | None = None) -> None:
        self._forms = {kind: _find_form(kind, document, settings) for kind in _STYLES}
        self._counts = dict.fromkeys(_STYLES, 0)
        self._labels: dict[tuple[str, str], str] = {}

    def mark_of(self, reference: Element) -> str:
        """The mark of a reference; '' where the author set one, which follows as text."""
        kind = _KIND_OF_TAG[reference.tag]
        key = (kind, reference.get("w:id", ""))
        if is_on(reference.get("w:customMarkFollows", "0")):
            self._labels.setdefault(key, "")
        elif key not in self._labels:
            style, start = self._forms[kind]
            number = write_number(start + self._counts[kind], style)
            self._counts[kind] += 1
            self._labels[key] = f"[{number}]"
        return self._labels[key]

    def referred(self) -> Iterator[tuple[str, str, str]]:
        """Kind, id and mark of the notes: all footnotes, then all endnotes."""
        for wanted in _STYLES:
            for (kind, key), label in self._labels.items():
                if kind == wanted:
                    yield kind, key, label


def _find_form(kind: str, document: Element | None, settings: Element | None) -> tuple[str, int]:
    """How the notes of a kind are numbered: the last section's setting, or the file's."""
    tag = f"w:{kind}Pr"
    style, start = "", ""
    sections = [] if document is None else list(document.iter("w:sectPr"))
    for owner in (*sections[-1:], settings):
        properties = None if owner is None else owner.find(tag)
        style = style or value_of(properties, "w:numFmt")
        start = start or value_of(properties, "w:numStart")
    return style or _STYLES[kind], int(start) if re.fullmatch("[0-9]{1,6}", start) else 1
