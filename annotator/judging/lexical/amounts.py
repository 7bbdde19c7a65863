"""Amounts: a number in digits or words with the scale, unit or currency around it.

The rule: a number takes the adjacent unit, and the currency before or after it; nothing is guessed
from words further away.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from annotator.judging.lexical.numerals import (
    CHINESE_NUMBER,
    DIGITS,
    MIXED_NUMBER,
    NUMBER_WORDS,
    ORDINAL_WORDS,
    count_digits,
    read_chinese,
    read_digits,
    read_number_words,
    read_ordinal_words,
)
from annotator.judging.lexical.quantity import Quantity
from annotator.judging.lexical.units import CURRENCIES, SCALE_LETTERS, SCALES, UNITS, Unit
from schemas.text.scripts import CJK_FROM

_NUMBER = re.compile(
    rf"(?P<ordinal>(?<![\w.])\d{{1,4}}(?:st|nd|rd|th)\b)"
    rf"|(?P<cnordinal>第\ ?(?:\d+|{CHINESE_NUMBER}))"
    rf"|(?P<cnpercent>百分之(?P<share>\d+(?:\.\d+)?|{CHINESE_NUMBER}))"
    rf"|(?<![\d.])(?P<mixed>{MIXED_NUMBER})"
    rf"|(?<![A-Za-z_\d])(?<!\d[.,])(?P<digits>{DIGITS})"
    rf"|(?P<words>{NUMBER_WORDS})"
    rf"|(?P<ordwords>{ORDINAL_WORDS})"
    rf"|(?P<chinese>{CHINESE_NUMBER})"
)


def _names(names: Iterable[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_LATIN = [name for name in (*UNITS, *CURRENCIES) if name[0] < CJK_FROM]
_HAN = [name for name in (*UNITS, *CURRENCIES) if name[0] >= CJK_FROM]
_AFTER = re.compile(rf"[ -]?(?:(?P<latin>{_names(_LATIN)})(?![^\W_])|(?P<han>{_names(_HAN)}))")
_SCALE = re.compile(rf"[ -]?(?P<scale>{_names(SCALES)})\b")
_SCALE_LETTER = re.compile(r" ?(?P<scale>[KkMmBbTt])(?![^\W\d])")
_CURRENCY_BEFORE = re.compile(
    r"((?:(?<![a-z])(?:us|a|c|hk))?\$|[€£¥₹₽₩]"
    r"|(?<![a-z])(?:usd|aud|cad|hkd|eur|gbp|jpy|cny|rmb|chf|inr)|人民币) ?(-?)$"
)
_MINUS = re.compile(r"(?:(?<!\w)-|\bminus )$")
_MEASURE_WORDS = "人名个座条次家位只层种年天台辆本件级岁册场届项所间头匹张艘架户倍颗段篇期集"
_ABOUT = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|ca\.?|c\.|~|≈|"
    r"close to|an estimated|estimated|约|大约|约为|近|将近|接近|大概|etwa|rund|environ|unos|unas)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_LEAST = re.compile(
    r"(?:more than|over|at least|upwards of|exceeding|exceeded|above|mehr als|über"
    r"|超过|逾|至少|不少于)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_MOST = re.compile(
    r"(?:less than|fewer than|under|at most|up to|below|no more than"
    r"|不到|不足|少于|至多|最多|不超过)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_ABOUT_AFTER = re.compile(r" ?(?:左右|上下|or so\b)")
_LEAST_AFTER = re.compile(r"(?: ?(?:多|余|以上)|\+| or more\b)")
_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|of|by|from|until|during|after|before|around|circa|year|to|early|late|und"
    r"|im jahr|en)|[(,–—/-]) ?$"
)
_COUNTED = re.compile(r" [a-z-]+s\b")


def read_amounts(plain: str, lower: str) -> Iterator[Quantity]:
    """The amounts, counts and ordinals of a text in plain digits, and in lower case."""
    position = 0
    while match := _NUMBER.search(lower, position):
        position = max(match.end(), position + 1)
        found = _read_number(match, plain, lower)
        if found is not None:
            position = max(found.end, position)
            yield found


def _read_number(match: re.Match[str], plain: str, lower: str) -> Quantity | None:
    surface, start, end = match.group(), match.start(), match.end()
    number: float | None
    match match.lastgroup:
        case "ordinal":
            return _plain(surface[:-2], "ordinal", start, end)
        case "cnordinal":
            return _plain(surface[1:].strip(), "ordinal", start, end)
        case "ordwords":
            value = read_ordinal_words(surface)
            return Quantity(kind="ordinal", value=value, written=value, start=start, end=end)
        case "cnpercent" | "share":
            return _plain(match["share"], "percent", start, end, unit="%")
        case "words":
            is_number = surface != "one" or _is_one_unit(lower, end)
            number = read_number_words(surface) if is_number else None
        case "chinese":
            is_number = _is_chinese_number(surface, lower, end)
            number = read_chinese(surface) if is_number else None
        case "mixed":
            number = read_chinese(surface)
        case _:
            number = read_digits(surface)
    if number is None:
        return None
    digits = count_digits(re.sub(r"[^\d.,]", "", surface))
    bare = Quantity(kind="count", value=number, written=number, digits=digits, start=start, end=end)
    return _measure(bare, surface, plain, lower)


def _plain(surface: str, kind: str, start: int, end: int, *, unit: str = "") -> Quantity:
    is_digits = bool(re.fullmatch(r"[\d.]+", surface))
    value = float(surface) if is_digits else read_chinese(surface) or 0.0
    return Quantity(
        kind=kind, value=value, written=value, unit=unit, system="metric", start=start, end=end,
        digits=count_digits(surface),
    )  # fmt: skip


def _is_chinese_number(surface: str, text: str, end: int) -> bool:
    """三百 and 十二 are numbers anywhere; one numeral only before a unit or a measure word."""
    if surface in {"十", "一"} or len(surface) == 1:
        after = _AFTER.match(text, end)
        if after is not None and after["han"]:
            return text[end] not in "度周节码"
        return surface not in "一十" and text[end : end + 1] in set(_MEASURE_WORDS)
    return True


def _is_one_unit(text: str, end: int) -> bool:
    """`one mile` is an amount; `one day` and `one of them` are not."""
    after = _AFTER.match(text, end)
    name = after["latin"] if after else None
    return name in UNITS and UNITS[name].kind not in {"duration", "months"}


def _measure(bare: Quantity, surface: str, plain: str, lower: str) -> Quantity | None:
    """A bare number with the scale, unit or currency around it; None for a name such as 3D."""
    before = lower[max(0, bare.start - 24) : bare.start]
    money = _CURRENCY_BEFORE.search(before)
    scale, end = _read_scale(plain, lower, bare.end, is_money=money is not None)
    unit = _AFTER.match(plain, end) or _AFTER.match(lower, end)
    name = (unit["latin"] or unit["han"]) if unit else ""
    if unit and not (money and name not in CURRENCIES):
        end = unit.end()
    elif end == bare.end and re.match("[a-z]", lower[end : end + 1]):
        return None
    is_negative = bool(money[2]) if money else bool(_MINUS.search(before))
    start = bare.start - len(money.group()) if money else bare.start
    found = replace(
        bare,
        value=bare.written * scale * (-1 if is_negative else 1),
        scale=scale,
        start=start,
        end=end,
        bound=_bound(lower, start, end),
    )
    if money or name in CURRENCIES or (name in {"pound", "pounds"} and scale >= 1e6):
        code = CURRENCIES[money[1]] if money else CURRENCIES.get(name, "GBP")
        return replace(found, kind="money", unit=code)
    if name:
        return _in_base_unit(found, UNITS[name])
    is_year = scale == 1 and _is_year(surface, lower, bare.start, end)
    return replace(found, kind="date" if is_year else "count", upper=found.value)


def _in_base_unit(found: Quantity, unit: Unit) -> Quantity:
    return replace(
        found,
        kind=unit.kind,
        value=found.value * unit.factor + unit.offset,
        unit=f"{unit.kind}/{unit.factor:g}",
        system=unit.system,
    )


def _read_scale(plain: str, lower: str, end: int, *, is_money: bool) -> tuple[float, int]:
    word = _SCALE.match(lower, end)
    if word:
        return SCALES[word["scale"]], word.end()
    letter = _SCALE_LETTER.match(plain, end)
    if letter and (is_money or letter["scale"].isupper() or letter.group() == "k"):
        is_glued = not letter.group().startswith(" ")
        if is_money or is_glued:
            return SCALE_LETTERS[letter["scale"].upper()], letter.end()
    return 1.0, end


def _bound(text: str, start: int, end: int) -> str:
    before = text[max(0, start - 24) : start]
    if _MOST.search(before):
        return "most"
    if _LEAST.search(before) or _LEAST_AFTER.match(text, end):
        return "least"
    return "about" if _ABOUT.search(before) or _ABOUT_AFTER.match(text, end) else ""


def _is_year(surface: str, text: str, start: int, end: int) -> bool:
    if not re.fullmatch(r"1[0-9]\d\d|20\d\d", surface):
        return False
    before = text[max(0, start - 12) : start]
    return bool(_YEAR_BEFORE.search(before)) or not _COUNTED.match(text, end)
