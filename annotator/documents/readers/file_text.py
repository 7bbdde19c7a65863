"""What a reader returns, and the one place where characters are normalised.

The rule: offsets refer to the result of `clean`, so it is the only step between a file's characters
and a document's: it is the last step of every reader. It changes no letter: there is no Unicode
normalisation and no change of spaces inside a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.text.scripts import CJK_PRINT

MAX_LINE_FIELD_CHARS = 300

# All characters that end a line in some format; the same set as in annotator.text.blocks.
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Controls (C0 but tab and newline, DEL, C1), soft hyphens, half surrogate pairs, and U+FFFE and
# U+FFFF, which do not occur in text; a terminal's escape sequence for colour counts as one control.
# Browsers do not show soft hyphens, which break words for search.
_NO_TEXT = re.compile(
    "(?:\x1b\\[[0-9;]{0,20}[A-Za-z]|[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ud800-\udfff\ufffe\uffff])+"
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x7f-\x84\x86-\x9f]")
_MAX_CONTROL_SHARE = 0.05  # share of the characters; with more it is not text
_FEW_CONTROLS = 4  # are not a reason to refuse a short text

_WIDE_END = re.compile(rf"[{CJK_PRINT}]\Z")
_WIDE_START = re.compile(f"[{CJK_PRINT}]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """Text of a file that its reader left out of the document.

    kind    'header', 'footer' or 'page_number'
    page    counted from 1
    """

    kind: str
    page: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileText:
    """The text of a file, and the metadata that the file states; '' where it states none.

    encoding            of a text file that is not UTF-8, as configured or guessed
    num_pages           of a PDF, with `num_blank_pages` of them without any text (scanned ones)
    dropped             text that the reader left out, in reading order
    not_read            counts of parts without readable text: {'images': 3}
    """

    text: str
    title: str = ""
    topic: str = ""
    language: str = ""
    source: str = ""
    license: str = ""
    encoding: str = ""
    num_pages: int = 0
    num_blank_pages: int = 0
    dropped: tuple[Dropped, ...] = ()
    not_read: Mapping[str, int] = field(default_factory=dict)


class UnreadableError(Exception):
    """A file that gives no text: `reason` is a word for counting, `detail` a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def clean(text: str) -> str:
    """`text` with every line ending in "\\n", without characters that do not belong to text.

    Control characters, half surrogate pairs, U+FFFE and U+FFFF separate the text around them, as
    one space. Soft hyphens are removed, and white space around the whole. Raises UnreadableError
    for data that is not text, or blank.
    """
    text = _LINE_ENDS.sub("\n", text)
    num_controls = len(_CONTROLS.findall(text))
    if num_controls > max(_FEW_CONTROLS, _MAX_CONTROL_SHARE * len(text)):
        raise UnreadableError(
            "not_text", f"{num_controls} of {len(text)} characters are control characters"
        )
    text = _part_at_controls(text).strip()
    if not text:
        raise UnreadableError("empty", "it holds no text")
    return text


def _part_at_controls(text: str) -> str:
    """`text` with a space for characters that are not text, so that the numbers around them do not
    join."""
    return _NO_TEXT.sub(_space_for, text)


def _space_for(match: re.Match[str]) -> str:
    before = match.string[max(match.start() - 1, 0) : match.start()]
    after = match.string[match.end() : match.end() + 1]
    if not before or not after or before.isspace() or after.isspace():
        return ""
    inside_word = not match.group().strip("\xad")  # soft hyphens; numbers are not hyphenated
    return "" if inside_word and not (before.isdigit() and after.isdigit()) else " "


def field_text(value: object) -> str:
    """A title, licence or the like as one line of bounded length.

    '' for a value that is not a scalar.
    """
    if value is None or isinstance(value, (dict, list, tuple, set, bytes)):
        return ""
    line = " ".join(_part_at_controls(_LINE_ENDS.sub(" ", str(value))).split())
    return line if len(line) <= MAX_LINE_FIELD_CHARS else line[: MAX_LINE_FIELD_CHARS - 1] + "…"


def is_wide(character: str) -> bool:
    """Whether it belongs to a script without spaces between words: Han, kana, full-width
    punctuation."""
    return _WIDE_START.match(character) is not None


def meets_without_space(before: str, after: str) -> bool:
    """Whether a line break between two texts is not a space, as between Chinese lines."""
    return bool(_WIDE_END.search(before[-1:]) and _WIDE_START.match(after))
