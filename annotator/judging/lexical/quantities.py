"""Finds the quantities of a text: amounts, counts, dates, codes, in digits or in words.

The rule: every character of the text belongs to at most one quantity, and the forms are tried from
the most specific (a date, a phone number) to the least (a bare number).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from annotator.judging.lexical.amounts import read_amounts
from annotator.judging.lexical.dates import read_dates
from annotator.judging.lexical.numerals import NUMBER_HINT, lower_ascii, plain_digits
from annotator.judging.lexical.quantity import Quantity

_CODE = re.compile(
    r"(?<![\w.])(?P<version>v\.?\ ?\d{1,6}(?:\.\d{1,6}){1,5}|\d{1,6}(?:\.\d{1,6}){2,5})(?!\w|\.\d)"
    r"|(?<!\w)(?P<phone>\+?\(?\d{2,4}\)?(?:[ -]\d{2,5}){2,5}|\+\d{6,15}|\d{3}-\d{4})(?![\w-])"
    r"|(?<![\w-])(?P<model>(?!(?:mid|pre|post|early|late|circa|top|sub|age|non)-)[a-z]{1,8}-\d{1,5}[a-z]?)(?![\w-]|\.\d)"
)
# Every quantity contains one of these; most passages have none and are not searched further.
_HINT = re.compile(rf"\d|{NUMBER_HINT}")
_DATE_HINT = re.compile(r"\d|centur|[月年纪]")
_LIST_NUMBER = re.compile(
    r"\s*(?:[-*•]\s*)?(?:\(?\d{1,2}[.)]|[（(]?[一二三四五六七八九十]{1,3}[）)、])(?=\s|[^\d.])"
)
_JOINED = re.compile(r" ?(?:-|–|—|~|to|bis|至|到)(?: ?|\b ?)[$€£¥]?$")
_JOINED_LOOSELY = re.compile(r" ?(?:and|or|und|和) ?$")


def read_quantities(text: str) -> tuple[Quantity, ...]:
    """The quantities of a sentence or passage in order, without overlap."""
    return _remembered(text) if len(text) <= 600 else tuple(_scan(text))


@lru_cache(maxsize=8192)
def _remembered(text: str) -> tuple[Quantity, ...]:
    return tuple(_scan(text))


def _scan(text: str) -> list[Quantity]:
    plain = plain_digits(text)
    lower = lower_ascii(plain)
    if not _HINT.search(lower):
        return []
    found = list(read_dates(lower)) if _DATE_HINT.search(lower) else []
    listed = _LIST_NUMBER.match(lower)
    begin = listed.end() if listed else 0
    if found and found[0].start < begin:
        begin = 0  # 12. Mai 1999 is not an item of a list
    taken = bytearray(len(text))
    for item in found:
        _take(item, taken)
    for item in (*_codes(lower), *read_amounts(plain, lower)):
        if item.start >= begin and not any(taken[item.start : item.end]):
            _take(item, taken)
            found.append(item)
    found = [replace(item, text=text[item.start : item.end]) for item in found]
    found.sort(key=lambda item: item.start)
    return _join_ranges(found, lower)


def _take(item: Quantity, taken: bytearray) -> None:
    taken[item.start : item.end] = b"\1" * (item.end - item.start)


def _codes(text: str) -> Iterator[Quantity]:
    for match in _CODE.finditer(text):
        surface, kind = match.group(), match.lastgroup or ""
        if kind == "version":
            code, unit = re.sub(r"[^\d.]", "", surface).strip("."), kind
        else:
            code = re.sub(r"[^a-z\d]", "", surface)
            unit = surface.partition("-")[0] if kind == "model" else kind
        if kind == "model" or not _is_plain_number(surface, kind, len(code)):
            yield Quantity(
                kind="code",
                value=math.nan,
                unit=unit,
                code=code,
                start=match.start(),
                end=match.end(),
            )


def _is_plain_number(surface: str, kind: str, num_digits: int) -> bool:
    """Whether dots or spaces only group thousands, or a dash joins two years."""
    if kind == "version":
        return bool(re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", surface))
    is_span = bool(re.fullmatch(r"(?:1\d|20)\d\d-(?:1\d|20)\d\d", surface))
    return is_span or num_digits < 7 or bool(re.fullmatch(r"\d{1,3}(?: \d{3})+", surface))


def _join_ranges(found: list[Quantity], text: str) -> list[Quantity]:
    """`10 to 20 km`: the first number takes the unit of the second, and both get the range."""
    joined = list(found)
    for index in range(len(found) - 1):
        one, other = joined[index], joined[index + 1]
        between = text[one.end : other.start]
        is_between = "between" in text[max(0, one.start - 12) : one.start]
        if not (_JOINED.match(between) or (is_between and _JOINED_LOOSELY.match(between))):
            continue
        one = _with_unit_of(one, other)
        if one.kind == other.kind and one.value <= other.value:
            joined[index] = replace(one, low=one.value, high=other.value)
            joined[index + 1] = replace(other, low=one.value, high=other.value)
        else:
            joined[index] = one
    return joined


def _with_unit_of(one: Quantity, other: Quantity) -> Quantity:
    """A bare number with the unit and scale of the number after it."""
    if one.kind != "count" or other.kind in {"date", "code", "time"}:
        return one
    scale = other.scale if one.scale == 1 and one.written <= other.written else one.scale
    factor = other.value / (other.written * other.scale) if other.written else 1.0
    return replace(
        one,
        kind=other.kind,
        unit=other.unit,
        system=other.system,
        scale=scale,
        value=one.written * scale * factor,
    )
