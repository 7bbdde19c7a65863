"""One cell: what keeps a spreadsheet program from changing it, and how that is undone.

    CSV     a text that a program would read as a formula, a number, a date or a logical value gets
            an apostrophe in front
    .xlsx   cells are text; characters that XML cannot hold are written `_xHHHH_`, as the format
            specifies, and in a text of that form the first `_` is written `_x005F_`

The rule: `restore` undoes `defuse`, `unescape` undoes `escape`, and the parts of `split_cell`
joined are the text, for every text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_CELL_UNITS = 32_767  # UTF-16 code units that a cell can hold
_MAX_ESCAPED = 7  # units that one character can need
_APOSTROPHE = 1
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
# Longer ones are shown, and saved as CSV, as 2.0263E+11.
_PLAIN_NUMBER = re.compile(r"0|[1-9][0-9]{0,10}")
# Words that are part of a date, a time, an amount or a logical value, in common languages.
_WORD_OF_VALUES = re.compile(
    r"jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez|mär|fév|avr|juin|juil|aoû|déc|"
    r"ene|abr|ago|dic|am|pm|a|p|e|t|z|gmt|utc|usd|eur|"
    r"上午|下午|年|月|日|时|時|分|秒|元|january|february|march|april|june|july|august|september|"
    r"sept|october|november|december"
)
_LOGICAL = re.compile(
    r"#[\w/]+[!?]?|true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|真|假|истина|ложь"
)
_MAX_VALUE_CHARS = 400
_ILLEGAL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def defuse(text: str) -> str:
    """The text of a CSV cell: an apostrophe in front of what a program would change."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) or _looks_like_a_value(text) else text


def restore(text: str) -> str:
    """A CSV cell without the apostrophe that `defuse` may have written."""
    return text.removeprefix("'")


def _looks_like_a_value(text: str) -> bool:
    """Whether a program may read a number, date, time or logical value, and write it otherwise."""
    word = text.strip().casefold()
    if len(word) > _MAX_VALUE_CHARS:
        return False
    if _LOGICAL.fullmatch(word) or word.startswith(_FORMULA_STARTS):
        return True
    if _PLAIN_NUMBER.fullmatch(text) or not any(c.isdigit() for c in word):
        return False
    return all(_WORD_OF_VALUES.fullmatch(part) for part in re.findall(r"[^\W\d_]+", word))


def escape(text: str) -> str:
    """The text of an .xlsx cell."""
    if _LOOKS_ESCAPED.search(text):
        text = _LOOKS_ESCAPED.sub("_x005F_", text)
    return _ILLEGAL.sub(_write_code, text) if _ILLEGAL.search(text) else text


def unescape(text: str) -> str:
    """The text that an .xlsx cell encodes."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) if "_x" in text else text


def _write_code(match: re.Match[str]) -> str:
    return f"_x{ord(match[0]):04X}_"


def split_cell(text: str) -> list[str]:
    """The text in parts that fit a cell in both formats, escaped or with an apostrophe."""
    if len(text) * _MAX_ESCAPED < MAX_CELL_UNITS or cell_units(text) <= MAX_CELL_UNITS:
        return [text]
    parts: list[str] = []
    start = used = 0
    for index, units in enumerate(_units(text)):
        if used + units > MAX_CELL_UNITS - _APOSTROPHE:
            parts.append(text[start:index])
            start, used = index, 0
        used += units
    return [*parts, text[start:]]


def cell_units(text: str) -> int:
    """UTF-16 units that a text may need in a cell: they decide the number of parts in
    `split_cell`."""
    long = len(_LOOKS_ESCAPED.findall(text)) + len(_ILLEGAL.findall(text))
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return units + (_MAX_ESCAPED - 1) * long + _APOSTROPHE


def _units(text: str) -> Iterator[int]:
    """The most UTF-16 units that each character needs."""
    for index, character in enumerate(text):
        if _LOOKS_ESCAPED.match(text, index) or _ILLEGAL.match(character):
            yield _MAX_ESCAPED
        else:
            yield 1 if character <= "\uffff" else 2
