"""When two spellings name the same topic.

The rule: letters, digits and symbols of every script count; case, width, white space and
punctuation do not. So `City 3` and `city 3 ` are one topic, `C++`, `C#` and `C` are three, and a
topic of only punctuation is kept as it is.

Marks that are part of a name are kept: `#`, `%`, `&` and `@`, one `*`, the point of `.NET` and of
`1.5`, and the sign of `-5`. An apostrophe joins its word; the points of initials go with the
spaces between them (`J. R. R. Tolkien`, `J.R.R. Tolkien`); between characters of Chinese and
Japanese, which are written without spaces, a space goes too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from schemas.text.scripts import HAN, HAN_REPEATED, KANA_OF_WORDS

_WIDE = f"{HAN_REPEATED}{KANA_OF_WORDS}{HAN}"
_BETWEEN_WIDE = re.compile(rf"(?<=[{_WIDE}]) (?=[{_WIDE}])")
_INITIAL_POINT = re.compile(r"(?<![^\W_])([^\W\d_])\.\s*(?=[^\W\d_]\.)")
_APOSTROPHES = "'\u2018\u2019\u02bc\u02b9\u2032`\u00b4"
_MINUS = "-\u2212"
_NAMING = frozenset("#%&@\u00a7")


@lru_cache(maxsize=20_000)
def topic_key(topic: str) -> str:
    """The key that all spellings of one topic share; "" only for "".

    >>> topic_key("  City\u00a03 ") == topic_key("city, 3"), topic_key("C++") == topic_key("C#")
    (True, False)
    """
    if topic.isascii() and topic.replace(" ", "").isalnum():
        return " ".join(topic.lower().split())
    flat = " ".join(_fold(topic).split())
    text = _INITIAL_POINT.sub(r"\1", flat)
    parts = [_part(text, place) for place in range(len(text))]
    key = " ".join("".join(parts).split())
    return _BETWEEN_WIDE.sub("", key) or flat or (" " if topic else "")


def _fold(text: str) -> str:
    """NFKC without case, and without characters that only format.

    Those are soft hyphens, joiners, and the variation selectors of emoji.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(one for one in folded if not _only_formats(one))


def _only_formats(one: str) -> bool:
    return unicodedata.category(one) == "Cf" or "\ufe00" <= one <= "\ufe0f"


def _part(text: str, place: int) -> str:
    """What one character adds to a key: itself, nothing, or a word boundary."""
    one = text[place]
    if one in _APOSTROPHES:
        return ""
    kind = unicodedata.category(one)
    if one in _NAMING:
        return f" {one} "
    if one in _MINUS:
        return "-" if _is_sign(text, place) else " "
    if one == ".":
        return "." if _is_point_of_name(text, place) else " "
    if one == "*":
        return "*" if text.count("*") == 1 and place and text[place - 1].isalnum() else " "
    return one if kind[0] in "LMN" or (kind[0] == "S" and kind != "Sk") else " "


def _is_sign(text: str, place: int) -> bool:
    """`-5`, but neither `COVID-19` nor `1914 - 1918`."""
    starts = place == 0 or text[place - 1] in " (["
    return starts and text[place + 1 : place + 2].isdigit()


def _is_point_of_name(text: str, place: int) -> bool:
    """`1.5` and `.NET`, but neither `Node.js` nor the end of a sentence."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if after.isdigit():
        return before.isdigit()
    return after.isalpha() and before in {"", " "}
