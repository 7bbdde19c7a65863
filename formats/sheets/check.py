"""The cell `check`: whether a row that is imported is still the row that was exported.

    k EXAMPLE2ID3DIGEST TEXTPART LB      k: the judge's label was shown; b: blind, without the last
                                         part

The rule: a row is verified by itself, without the annotations. The first part depends on
the response's id, its text's SHA-256 and the offsets, the second on the words of the sentence, the
third on the judge's label. The cell holds letters and digits and begins with a letter, so that no
spreadsheet program turns it into a number or a date.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass

from schemas.labels import Label

Place = tuple[str, str, int, int]  # response id, SHA-256 of the text, start, end
_PLACE_CHARS, _TEXT_CHARS, _LABEL_CHARS = 16, 8, 2
_SPACE = re.compile("[\\s\x00-\x1f\x7f-\x9f\ufeff]+")
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The parts of a `check` cell; `label` is empty in a blind sheet."""

    place: str
    text: str
    label: str

    @property
    def blind(self) -> bool:
        """Whether the judge's label was hidden."""
        return not self.label

    def fits_place(self, place: Place) -> bool:
        """Whether id, text and offsets are those that were written."""
        return self.place == _digest(json.dumps(place), _PLACE_CHARS)

    def fits_text(self, text: str) -> bool:
        """Whether the sentence has the words that were written."""
        return self.text == _digest(plain_words(text), _TEXT_CHARS)

    def fits_label(self, label: str) -> bool:
        """Whether the judge's label is `label`."""
        return self.label == _digest(label, _LABEL_CHARS)


def make_check(place: Place, text: str, label: Label | None) -> str:
    """The cell of one row; without a label it is the cell of a blind sheet."""
    parts = _digest(json.dumps(place), _PLACE_CHARS) + _digest(plain_words(text), _TEXT_CHARS)
    return f"b{parts}" if label is None else f"k{parts}{_digest(label.value, _LABEL_CHARS)}"


def read_check(cell: str) -> Check | None:
    """The parts of a cell; None where it is not a valid `check` cell."""
    cell = cell.strip().removeprefix("'").lower()
    kind, parts = cell[:1], cell[1:]
    length = _PLACE_CHARS + _TEXT_CHARS + (_LABEL_CHARS if kind == "k" else 0)
    if kind not in ("k", "b") or len(parts) != length or set(parts) - _ALPHABET:
        return None
    middle = _PLACE_CHARS + _TEXT_CHARS
    return Check(place=parts[:_PLACE_CHARS], text=parts[_PLACE_CHARS:middle], label=parts[middle:])


def plain_words(text: str) -> str:
    """The part of a text that no spreadsheet program changes: no white space, control characters or
    first apostrophe.

    >>> plain_words("'It is\\r\\nso.")
    'Itisso.'
    """
    return unicodedata.normalize("NFC", _SPACE.sub("", text).lstrip("'"))


def _digest(content: str, length: int) -> str:
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest[:20]).decode("ascii").lower()[:length]
