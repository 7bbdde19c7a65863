"""The marks of list items: the numbers that a page shows, in the page's style.

The rule: no number is invented and none is lost: `start`, `reversed`, `value` and `type` count
as in a browser, and a Markdown file's items keep what was typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

TYPED_MARK = "data-maskdpo-mark"  # the typed mark of a Markdown item: "1999." or "*"
_TYPED = re.compile(r"\d{1,9}[.)]|[-*+]")
_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,9})(?![0-9])")
_STYLE = re.compile(r"list-style(?:-type)?\s*:\s*([^;]*)", re.I)
_TYPES = {"1": "decimal", "a": "lower-alpha", "A": "upper-alpha", "i": "lower-roman"} | {
    "I": "upper-roman"
}
_SHOWN = {
    "decimal", "decimal-leading-zero", "lower-alpha", "lower-latin", "upper-alpha", "upper-latin",
    "lower-roman", "upper-roman", "lower-greek",
}  # fmt: skip
_UNNUMBERED = {"none", "disc", "circle", "square"}
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψω"


@dataclass(kw_only=True, slots=True)
class OpenList:
    """An open list: the number of its next item and the style of its numbers."""

    number: int
    step: int
    style: str

    def mark(self, item: LexborNode) -> str:
        """The mark of the list's next item, with the space after it."""
        typed = read_typed_mark(item)
        value = read_integer(item.attributes.get("value"))
        if value is not None:
            self.number = value
        number = self.number
        self.number += self.step
        return (typed or write_number(number, _find_style(item) or self.style)) + " "


def open_list(node: LexborNode, tag: str) -> OpenList:
    """The state of a list before its first item."""
    numbered = tag == "ol"
    style = _find_style(node) or ("decimal" if numbered else "disc")
    if not numbered:
        return OpenList(number=1, step=1, style=style)
    backwards = "reversed" in node.attributes
    start = read_integer(node.attributes.get("start"))
    if start is None:
        start = _count_items(node) if backwards else 1
    return OpenList(number=start, step=-1 if backwards else 1, style=style)


def read_typed_mark(item: LexborNode) -> str:
    """The mark typed before this item in a Markdown file; '' for an item of a page."""
    typed = item.attributes.get(TYPED_MARK) or ""
    return typed if _TYPED.fullmatch(typed) else ""


def read_integer(value: str | None) -> int | None:
    """An integer as browsers read it in an attribute; None for anything else."""
    match = _INTEGER.match(value or "")
    return int(match[1]) if match else None


def write_number(number: int, style: str) -> str:
    """The mark of an item: '7.', 'c.', 'iv.', or '-' where no number is shown."""
    if style in _UNNUMBERED:
        return "-"
    shown = ""
    if style == "decimal-leading-zero":
        shown = f"{number:02d}"
    elif style.endswith("roman"):
        shown = _write_roman(number)
    elif style.endswith(("alpha", "latin")):
        shown = _write_letters(number, _LATIN)
    elif style == "lower-greek":
        shown = _write_letters(number, _GREEK)
    if style.startswith("upper"):
        shown = shown.upper()
    return f"{shown or number}."


def _find_style(node: LexborNode) -> str:
    """The style that an element states: in its `style`, else its `type`; '' for an unknown one."""
    stated = _STYLE.findall(node.attributes.get("style") or "")
    for word in stated[-1].lower().replace("!important", "").split() if stated else ():
        if word in _SHOWN or word in _UNNUMBERED:
            return str(word)
    kind = node.attributes.get("type") or ""
    return _TYPES.get(kind) or (kind.lower() if kind.lower() in _UNNUMBERED else "")


def _count_items(node: LexborNode) -> int:
    count = 0
    child = node.first_child
    while child is not None:
        count += child.tag == "li"
        child = child.next
    return count


def _write_roman(number: int) -> str:
    if not 0 < number < 4000:
        return ""
    letters = []
    for value, text in _ROMAN:
        letters.append(text * (number // value))
        number %= value
    return "".join(letters)


def _write_letters(number: int, alphabet: str) -> str:
    """a to z, then aa; '' below 1."""
    letters: list[str] = []
    while number > 0:
        number, rest = divmod(number - 1, len(alphabet))
        letters.append(alphabet[rest])
    return "".join(reversed(letters))
