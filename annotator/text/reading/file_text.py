"""What a reader answers, and the one place where characters are normalised.

The rule: offsets refer to the text that `clean` lets through, so it is the only thing between
a file's characters and a document's, every reader ends with it, and nothing comes after it.
It changes no letter: there is no Unicode normalisation and no change of spaces inside a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_LINE_FIELD_CHARS = 300

# All that ends a line somewhere; the same set as in annotator.text.blocks.
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Controls (C0 but tab and newline, DEL, C1), soft hyphens, half surrogate pairs, and U+FFFE and
# U+FFFF, which no text has. The soft hyphen is shown by no browser and breaks words for search.
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ud800-\udfff\ufffe\uffff]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x7f-\x84\x86-\x9f]")
_MAX_CONTROL_SHARE = 0.05  # of the characters; more is no text

# Characters that stand side by side without a space: Han, kana, and full-width punctuation.
_WIDE = (
    "\u2e80-\u312f\u3190-\u4dbf\u4e00-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U00020000-\U0003fffd"
)
_WIDE_END = re.compile(f"[{_WIDE}]\\Z")
_WIDE_START = re.compile(f"[{_WIDE}]")


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
    """The text of a file, and what the file states about itself; '' is what it does not state.

    encoding            of a text file that is not UTF-8, as configured or guessed
    num_pages           of a PDF, with `num_blank_pages` of them without any text (scanned ones)
    dropped             text that the reader left out, in reading order
    not_read            counts of what holds no text that can be read: {'images': 3}
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
    """`text` with every line ending in "\\n", without what is no character of a text.

    Removed are control characters, soft hyphens, half surrogate pairs, U+FFFE and U+FFFF, and
    white space around the whole. Raises UnreadableError for what is no text, or blank.
    """
    text = _LINE_ENDS.sub("\n", text)
    num_controls = len(_CONTROLS.findall(text))
    if num_controls > _MAX_CONTROL_SHARE * len(text):
        raise UnreadableError(
            "not_text", f"{num_controls} of {len(text)} characters are control characters"
        )
    text = _DROPPED.sub("", text).strip()
    if not text:
        raise UnreadableError("empty", "it holds no text")
    return text


def one_line(value: object) -> str:
    """A title, licence or the like as one line of bounded length; '' for what is no scalar."""
    if value is None or isinstance(value, (dict, list, tuple, set, bytes)):
        return ""
    line = " ".join(_DROPPED.sub("", _LINE_ENDS.sub(" ", str(value))).split())
    return line if len(line) <= MAX_LINE_FIELD_CHARS else line[: MAX_LINE_FIELD_CHARS - 1] + "…"


def meets_without_space(before: str, after: str) -> bool:
    """Whether a line break between two texts stands for nothing, as between Chinese lines."""
    return bool(_WIDE_END.search(before[-1:]) and _WIDE_START.match(after))
