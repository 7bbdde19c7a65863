"""Fields of a Word file: instructions that Word has replaced by a result.

The rule: the result is text, the instruction is not. For instructions that Word shows without a
stored result, what it shows is read or marked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from annotator.documents.readers.docx.styles import find_under, is_on, value_of
from annotator.documents.readers.docx.symbols import read_sign
from annotator.documents.readers.docx.visible import is_gone

_SYMBOL = re.compile(r"SYMBOL\s+(0x[0-9a-f]{1,6}|[0-9]{1,7})\b", re.I)
_FONT = re.compile(r'\\f\s+(?:"([^"]*)"|(\S+))', re.I)
_BUTTON = re.compile(r"(?:MACROBUTTON|GOTOBUTTON)\s+\S+\s+(.*)", re.I | re.DOTALL)
_NUMBERS = ("AUTONUM", "AUTONUMLGL", "AUTONUMOUT", "LISTNUM")


@dataclass(kw_only=True, slots=True)
class _Open:
    begin: Element
    code: list[str] = field(default_factory=list)
    in_result: bool = False
    shown_before: int = 0


class Fields:
    """Which field the reader of a story is in; `hides` while it is in an instruction."""

    def __init__(self, story: Element) -> None:
        self._matched = _find_matched(story)
        self._open: list[_Open] = []
        self._num_codes = 0  # of the open fields, those that are in their instruction

    @property
    def hides(self) -> bool:
        """Whether the next content is an instruction, or inside one."""
        return self._num_codes > 0

    def add_code(self, text: str) -> None:
        """A part of the innermost instruction."""
        if self._open and not self._open[-1].in_result:
            self._open[-1].code.append(text)

    def turn(self, mark: Element, num_shown: int) -> tuple[str, str]:
        """Enter, change or leave a field (w:fldChar); `num_shown` characters were shown so far.

        Returns what it shows without a stored result, and its kind for counting where that is a
        mark.
        """
        if mark not in self._matched:
            return "", ""
        turn = mark.get("w:fldCharType")
        if turn == "begin":
            self._open.append(_Open(begin=mark))
            self._num_codes += 1
        elif turn == "separate" and self._open:
            self._num_codes -= not self._open[-1].in_result
            self._open[-1].in_result = True
            self._open[-1].shown_before = num_shown
        elif turn == "end" and self._open:
            last = self._open.pop()
            self._num_codes -= not last.in_result
            if not self.hides and not (last.in_result and num_shown > last.shown_before):
                return _show(last)
        return "", ""


def _find_matched(story: Element) -> set[Element]:
    """The marks of fields that begin and end in the story: an unpaired one must hide nothing."""
    matched: set[Element] = set()
    opened: list[list[Element]] = []
    stack = list(reversed(story))
    while stack:
        element = stack.pop()
        if element.tag == "w:txbxContent" or is_gone(element):
            continue
        if element.tag != "w:fldChar":
            stack.extend(reversed(element))
            continue
        turn = element.get("w:fldCharType")
        if turn == "begin":
            opened.append([element])
        elif turn == "separate" and opened:
            opened[-1].append(element)
        elif turn == "end" and opened:
            matched.update(opened.pop(), [element])
    return matched


def _show(opened: _Open) -> tuple[str, str]:
    code = "".join(opened.code).strip()
    name = code.split(maxsplit=1)[0].upper() if code else ""
    button = _BUTTON.match(code)
    symbol = _SYMBOL.match(code)
    if name == "EQ":
        return "[equation]", "equations"
    if name in _NUMBERS:
        return "[number]", "automatic_numbers"
    if name in ("FORMCHECKBOX", "FORMDROPDOWN"):
        return _show_form(opened.begin), ""
    if symbol:
        number = int(symbol.group(1), 0 if symbol.group(1)[:2].lower() == "0x" else 10)
        font = _FONT.search(code)
        return read_sign((font.group(1) or font.group(2) or "") if font else "", f"{number:X}"), ""
    return (button.group(1) if button else ""), ""


def _show_form(begin: Element) -> str:
    box = find_under(begin, "w:ffData", "w:checkBox")
    if box is not None:
        checked = box.find("w:checked")
        switch = box.find("w:default") if checked is None else checked
        return "☒" if switch is not None and is_on(switch.get("w:val")) else "☐"
    choices = find_under(begin, "w:ffData", "w:ddList")
    if choices is None:
        return ""
    entries = [entry.get("w:val", "") for entry in choices.findall("w:listEntry")]
    chosen = value_of(choices, "w:result") or value_of(choices, "w:default") or "0"
    index = int(chosen) if re.fullmatch("[0-9]{1,4}", chosen) else 0
    return entries[index] if index < len(entries) else ""
