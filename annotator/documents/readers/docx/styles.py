"""The formatting that the styles of a Word file give to a paragraph or a run.

The rule: direct formatting takes precedence over the character style, that over the paragraph
style, and a style over the one that it is based on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

_HEADING = re.compile(r"heading ([1-9])\Z", re.I)
_ON = frozenset({None, "1", "true", "on"})
_SWITCHES = frozenset("w:vanish w:strike w:dstrike".split())
_LOOKS = _SWITCHES | {"w:vertAlign", "w:position", "w:rFonts"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFormat:
    """The formatting of a run that changes its meaning.

    raised      'superscript', 'subscript' or ''
    position    of the baseline, in half points
    """

    raised: str = ""
    position: int = 0
    hidden: bool = False
    struck: bool = False
    font: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberRef:
    """The list a paragraph is in; `styles` are the styles whose level it may be, nearest first."""

    num_id: str
    level: int | None
    styles: tuple[str, ...]


class Styles:
    """The styles of a file, by their ids."""

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, Element] = {}
        self._default = ""
        for style in () if root is None else root.findall("w:style"):
            key = style.get("w:styleId", "")
            self._styles[key] = style
            if style.get("w:type") == "paragraph" and is_on(style.get("w:default", "0")):
                self._default = key
        self._looks: dict[tuple[str, str], dict[str, str]] = {}
        self._chains: dict[str, tuple[str, ...]] = {}

    def run_format(self, paragraph: Element | None, run: Element | None) -> RunFormat:
        """The format of a run with those properties (w:pPr, w:rPr)."""
        looks = dict(self._inherited(self._style_of(paragraph), value_of(run, "w:rStyle")))
        looks |= _read_looks(run)
        raised = looks.get("w:vertAlign", "")
        return RunFormat(
            raised=raised if raised in ("superscript", "subscript") else "",
            position=_whole(looks.get("w:position", "")),
            hidden=is_on(looks.get("w:vanish", "0")),
            struck=any(is_on(looks.get(tag, "0")) for tag in ("w:strike", "w:dstrike")),
            font=looks.get("w:rFonts", ""),
        )

    def heading_level(self, paragraph: Element | None) -> int:
        """1 to 6, or 0 where it is not a heading; a title has level 1."""
        stated = value_of(paragraph, "w:outlineLvl")
        if stated.isascii() and stated.isdigit():
            return _heading_of_outline(stated)
        for key in self._chain(self._style_of(paragraph)):
            style = self._styles[key]
            stated = value_of(style.find("w:pPr"), "w:outlineLvl")
            if stated.isascii() and stated.isdigit():
                return _heading_of_outline(stated)
            match = _HEADING.match(value_of(style, "w:name"))
            if match:
                return min(int(match.group(1)), 6)
            if value_of(style, "w:name").lower() == "title":
                return 1
        return 0

    def is_title(self, paragraph: Element | None) -> bool:
        """Whether the style is Word's own for the document's title."""
        style = self._styles.get(self._style_of(paragraph))
        return value_of(style, "w:name").lower() == "title"

    def number_ref(self, paragraph: Element | None) -> NumberRef | None:
        """The list of a paragraph, from its properties or its style; None for no list."""
        chain = self._chain(self._style_of(paragraph))
        levels = [paragraph, *(self._styles[key].find("w:pPr") for key in chain)]
        refs = [level.find("w:numPr") for level in levels if level is not None]
        num_id = next(filter(None, (value_of(ref, "w:numId") for ref in refs)), "")
        if num_id in ("", "0"):
            return None
        stated = "" if paragraph is None else value_of(paragraph.find("w:numPr"), "w:ilvl")
        if not stated:
            stated = next(filter(None, (value_of(ref, "w:ilvl") for ref in refs)), "")
            return NumberRef(num_id=num_id, level=_level(stated), styles=chain)
        return NumberRef(num_id=num_id, level=_level(stated), styles=())

    def num_of_list_style(self, key: str) -> str:
        """The id of the list that a list style defines."""
        style = self._styles.get(key)
        return value_of(find_under(style, "w:pPr", "w:numPr"), "w:numId")

    def _style_of(self, paragraph: Element | None) -> str:
        return value_of(paragraph, "w:pStyle") or self._default

    def _inherited(self, paragraph_style: str, run_style: str) -> dict[str, str]:
        key = (paragraph_style, run_style)
        if key not in self._looks:
            looks: dict[str, str] = {}
            for name in (*self._chain(run_style), *self._chain(paragraph_style)):
                looks = _read_looks(self._styles[name].find("w:rPr")) | looks
            self._looks[key] = looks
        return self._looks[key]

    def _chain(self, key: str) -> tuple[str, ...]:
        if key not in self._chains:
            self._chains[key] = tuple(self._walk(key))
        return self._chains[key]

    def _walk(self, key: str) -> Iterator[str]:
        seen: set[str] = set()
        while key in self._styles and key not in seen and len(seen) < 50:
            seen.add(key)
            yield key
            key = value_of(self._styles[key], "w:basedOn")


def find_under(parent: Element | None, *tags: str) -> Element | None:
    """The first child of a tag, then its first child of the next tag, and so on."""
    for tag in tags:
        parent = None if parent is None else parent.find(tag)
    return parent


def value_of(parent: Element | None, tag: str) -> str:
    """The w:val of a direct child; '' without one."""
    child = None if parent is None else parent.find(tag)
    return "" if child is None else child.get("w:val", "")


def is_on(value: str | None) -> bool:
    """Whether a switch with that value is on; one without a value is on."""
    return value in _ON


def _read_looks(properties: Element | None) -> dict[str, str]:
    """The properties of a run that count, by tag; a switch without a value is on."""
    looks: dict[str, str] = {}
    for child in () if properties is None else properties:
        if child.tag in _LOOKS:
            default = "1" if child.tag in _SWITCHES else ""
            value = _font(child) if child.tag == "w:rFonts" else child.get("w:val", default)
            if value:
                looks[child.tag] = value
    return looks


def _whole(value: str) -> int:
    return int(value) if re.fullmatch(r"-?[0-9]{1,6}", value) else 0


def _level(value: str) -> int | None:
    return int(value) if re.fullmatch("[0-8]", value) else None


def _font(fonts: Element) -> str:
    return fonts.get("w:asciiTheme") or fonts.get("w:ascii") or fonts.get("w:hAnsi") or ""


def _heading_of_outline(value: str) -> int:
    return 0 if int(value[:2]) > 8 else min(int(value) + 1, 6)
