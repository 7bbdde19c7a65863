"""A text as HTML in which places can be selected: its text nodes, joined, are the text.

The rule: every code point of the text is one code point of one text node, in order, and nothing
else is. So an offset in the page is an offset in the text. What HTML cannot hold as it is keeps its
length: NUL and lone surrogates are shown as U+FFFD, and a carriage return is written as `&#13;`,
which a parser does not turn into a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

# Marks, embeddings, overrides and isolates of the bidirectional algorithm (Unicode UAX 9), and
# invisible characters that can hide words.
_CONTROLS = re.compile("([\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff])")
_UNSHOWN = re.compile("[\0\ud800-\udfff]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\r": "&#13;"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A marked place; marks may overlap. `name` is a CSS class."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """An element of its own around [start, end); blocks are sorted and disjoint.

    classes      CSS classes
    attributes   by name; values are escaped
    """

    start: int
    end: int
    classes: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def html_of_text(
    text: str,
    *,
    start: int = 0,
    end: int | None = None,
    blocks: Sequence[Block] = (),
    marks: Sequence[Mark] = (),
) -> Markup:
    """`text[start:end]` as the content of an element, with blocks and, in them, marks.

    What lies outside [start, end) is left out. A marked place inside a block, or between blocks,
    becomes one `<span>` per stretch on which the same marks lie, with the marks' names as classes.
    """
    from markupsafe import Markup

    last = len(text) if end is None else end
    pieces: list[str] = []
    at = start
    for block in blocks:
        first, after = max(block.start, at), min(block.end, last)
        if first >= after:
            continue
        pieces += _stretch(text, at, first, marks)
        pieces.append(f"<span{_attributes(block)}>")
        pieces += _stretch(text, first, after, marks)
        pieces.append("</span>")
        at = after
    pieces += _stretch(text, at, last, marks)
    return Markup("".join(pieces))  # every part of it is escaped


def escape_text(text: str) -> str:
    """Text for HTML, with one code point for each code point; controls are in elements of their
    own, so that a style sheet can make them visible."""
    shown = _UNSHOWN.sub("\ufffd", text).translate(_ESCAPES)
    return _CONTROLS.sub(_control, shown)


def _control(found: re.Match[str]) -> str:
    letter = found.group(1)
    return f'<span class="control" data-name="U+{ord(letter):04X}">{letter}</span>'


def _attributes(block: Block) -> str:
    given = {"class": block.classes, **block.attributes}
    return "".join(
        f' {name}="{_UNSHOWN.sub(chr(0xFFFD), value).translate(_ESCAPES)}"'
        for name, value in given.items()
        if value or name != "class"
    )


def _stretch(text: str, start: int, end: int, marks: Sequence[Mark]) -> Iterator[str]:
    """The HTML of text without blocks in it."""
    for first, after, names in cut_at_marks(start, end, marks):
        shown = escape_text(text[first:after])
        yield f'<span class="{names}">{shown}</span>' if names else shown


def cut_at_marks(start: int, end: int, marks: Sequence[Mark]) -> list[tuple[int, int, str]]:
    """[start, end) in stretches with the names of the marks on each, in alphabetical order.

    >>> cut_at_marks(0, 9, [Mark(start=2, end=6, name="a"), Mark(start=4, end=7, name="b")])
    [(0, 2, ''), (2, 4, 'a'), (4, 6, 'a b'), (6, 7, 'b'), (7, 9, '')]
    """
    inside = [
        (max(mark.start, start), min(mark.end, end), mark.name)
        for mark in marks
        if mark.start < end and start < mark.end and mark.start < mark.end
    ]
    begins: dict[int, list[str]] = {}
    ends: dict[int, list[str]] = {}
    for first, after, name in inside:
        begins.setdefault(first, []).append(name)
        ends.setdefault(after, []).append(name)
    points = sorted({start, end, *begins, *ends})
    found: list[tuple[int, int, str]] = []
    active: list[str] = []
    for first, after in pairwise(points):
        for name in ends.get(first, ()):
            active.remove(name)
        active += begins.get(first, ())
        found.append((first, after, " ".join(sorted(set(active)))))
    return found
