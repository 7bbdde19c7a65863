"""Characters of symbol fonts: Symbol, Wingdings and Webdings have their own character codes.

The rule: in such a font "m" is µ and not m, so a code is never read as the letter that it is in
another font. A character that is in no table is marked, not left out.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNKNOWN_SIGN = "[symbol]"

_PRIVATE = range(0xF000, 0xF100)  # where Word stores the 256 characters of such a font
_ANY_PRIVATE = re.compile("[\ue000-\uf8ff]")


def is_sign_font(font: str) -> bool:
    """Whether a font's characters have to be looked up."""
    return font in _tables()


def read_sign(font: str, code: str) -> str:
    """The character of a w:sym with that hexadecimal code; '' for an unknown one."""
    if not re.fullmatch("[0-9A-Fa-f]{1,6}", code):
        return ""
    number = int(code, 16)
    index = number - 0xF000 if number in _PRIVATE else number
    found = _tables().get(font, {}).get(index)
    if found is not None:
        return found
    # In any other font the code is the character's own.
    plain = not is_sign_font(font) and 0x20 <= number <= 0x10FFFF
    character = chr(number) if plain and not 0xD800 <= number < 0xE000 else ""
    return "" if _ANY_PRIVATE.match(character) else character


def read_signs(text: str, font: str) -> str:
    """Text that is set in a font, with its signs as characters."""
    table = _tables().get(font, {})
    if not table and not _ANY_PRIVATE.search(text):
        return text
    return "".join(_read_character(character, table) for character in text)


def _read_character(character: str, table: dict[int, str]) -> str:
    number = ord(character)
    if number in _PRIVATE:
        return table.get(number - 0xF000, UNKNOWN_SIGN)
    return table.get(number, character)


@lru_cache(maxsize=1)
def _tables() -> dict[str, dict[int, str]]:
    from mammoth.docx.dingbats import dingbats

    tables: dict[str, dict[int, str]] = {}
    for (font, index), character in dingbats.items():
        tables.setdefault(font, {})[index] = chr(character)
    # The micro sign has two code points; texts use this one.
    tables["Symbol"][0x6D] = "µ"
    return tables
