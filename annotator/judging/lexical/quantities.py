"""Finds the quantities of a text: amounts, counts, dates, codes, in digits or in words.

The rule: every place of the text belongs to one quantity at most, and the forms are tried from the
most particular (a date, a phone number) to the least (a bare number).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from annotator.judging.lexical.dates import read_dates
from annotator.judging.lexical.numerals import (
    CHINESE_NUMBER,
    DIGITS,
    MIXED_NUMBER,
    NUMBER_WORDS,
    ORDINAL_WORDS,
    count_digits,
    lower_ascii,
    plain_digits,
    read_chinese,
    read_digits,
    read_number_words,
    read_ordinal_words,
)
from annotator.judging.lexical.quantity import Quantity
from annotator.judging.lexical.units import CURRENCIES, SCALE_LETTERS, SCALES, UNITS

_CODE = re.compile(
    r"(?<![\w.])(?P<version>v\.?\ ?\d{1,6}(?:\.\d{1,6}){1,5}|\d{1,6}(?:\.\d{1,6}){2,5})(?!\w|\.\d)"
    r"|(?<!\w)(?P<phone>\+?\(?\d{2,4}\)?(?:[ -]\d{2,5}){2,5}|\+\d{6,15}|\d{3}-\d{4})(?![\w-])"
    r"|(?<![\w-])(?P<model>[a-z]{1,8}-\d{1,5}[a-z]?)(?![\w-]|\.\d)"
)
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


def _names(names: Iterator[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


_LATIN = [name for name in (*UNITS, *CURRENCIES) if name[0] < "\u2e80"]
_HAN = [name for name in (*UNITS, *CURRENCIES) if name[0] >= "\u2e80"]
_AFTER = re.compile(rf"[ -]?(?:(?P<latin>{_names(iter(_LATIN))})(?![^\W\d]|\d)|(?P<han>{_names(iter(_HAN))}))")
_SCALE = re.compile(rf"[ -]?(?P<scale>{_names(iter(SCALES))})\b")
_SCALE_LETTER = re.compile(r" ?(?P<scale>[KkMmBbTt])(?![^\W\d])")
_CURRENCY_BEFORE = re.compile(
    r"((?:us|a|c|hk)?[$€£¥₹₽₩]|(?<![a-z])(?:usd|aud|cad|hkd|eur|gbp|jpy|cny|rmb|chf|inr)|人民币) ?(-?)$"
)
_MEASURE_WORD = re.compile(r"[人名个座条次家位只层种年天台辆本件级岁册场届项所间头匹张艘架户倍颗段篇期集]")
_ARTICLE = frozenset("一")
_ABOUT = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|some|circa|ca\.?|c\.|~|≈|"
    r"close to|an estimated|estimated|约|大约|约为|近|将近|接近|大概|etwa|rund|environ|unos|unas)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_LEAST = re.compile(
    r"(?:more than|over|at least|upwards of|exceeding|exceeded|above|超过|逾|至少|不少于|mehr als|über)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_MOST = re.compile(
    r"(?:less than|fewer than|under|at most|up to|below|no more than|不到|不足|少于|至多|最多|不超过)"
    r" ?(?:[a-z]{1,3})?[$€£¥₹]?$"
)
_ABOUT_AFTER = re.compile(r" ?(?:左右|上下|or so\b)")
_LEAST_AFTER = re.compile(r"(?: ?(?:多|余|以上)|\+| or more\b)")
_LIST_NUMBER = re.compile(r"\s*(?:[-*•]\s*)?(?:\(?\d{1,2}[.)]|[（(]?[一二三四五六七八九十]{1,3}[）)、])(?=\s|[^\d.])")
_YEAR_BEFORE = re.compile(
    r"(?:\bin|\bsince|\bof|\bby|\bfrom|\buntil|\bduring|\bafter|\bbefore|\baround|\bcirca|\byear|\bto"
    r"|\bin early|\bin late|\bund|\bim jahr|\ben|\bearly|\blate|[(,–—/-]) ?$"
)
_COUNTED = re.compile(r" [a-z-]+s\b")
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
    found = list(read_dates(lower))
    listed = _LIST_NUMBER.match(lower)
    begin = listed.end() if listed else 0
    if found and found[0].start < begin:
        begin = 0  # 12. Mai 1999 is no item of a list
    taken = bytearray(len(text))
    for item in found:
        _take(item, taken)
    for item in (*_codes(lower), *_numbers(plain, lower)):
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
        surface = match.group()
        kind = match.lastgroup or ""
        digits = re.sub(r"[^a-z\d]", "", surface.removeprefix("v") if kind == "version" else surface)
        if kind == "version":
            if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", surface):
                continue  # 1.204.000 is a number with German separators
            digits = re.sub(r"[^\d.]", "", surface).strip(".")
        if kind == "phone" and (len(digits) < 7 or _is_grouped(surface)):
            continue
        unit = re.sub(r"-.*", "", surface) if kind == "model" else kind
        yield Quantity(
            kind="code", value=math.nan, unit=unit, code=digits, start=match.start(), end=match.end()
        )


def _is_grouped(surface: str) -> bool:
    """Whether spaces only group thousands, or a dash joins two years."""
    return bool(
        re.fullmatch(r"\d{1,3}(?: \d{3})+", surface) or re.fullmatch(r"(?:1\d|20)\d\d-(?:1\d|20)\d\d", surface)
    )


def _numbers(plain: str, lower: str) -> Iterator[Quantity]:
    position = 0
    while match := _NUMBER.search(lower, position):
        position = max(match.end(), position + 1)
        found = _read_number(match, plain, lower)
        if found is not None:
            position = max(found.end, position)
            yield found


def _read_number(match: re.Match[str], plain: str, lower: str) -> Quantity | None:
    kind, surface = match.lastgroup, match.group()
    if kind == "share":
        kind = "cnpercent"
    start, end = match.span()
    match kind:
        case "ordinal":
            return _plain(surface[:-2], "ordinal", start, end)
        case "cnordinal":
            return _plain(surface[1:].strip(), "ordinal", start, end)
        case "ordwords":
            value = read_ordinal_words(surface)
            return Quantity(kind="ordinal", value=value, written=value, start=start, end=end)
        case "cnpercent":
            return _plain(match["share"], "percent", start, end, unit="%")
        case "words":
            number, digits = read_number_words(surface), 0
            if number is None or (surface == "one" and not _is_one_unit(lower, end)):
                return None
        case "chinese":
            number, digits = read_chinese(surface), 0
            if number is None or not _is_chinese_number(surface, lower, end):
                return None
        case "mixed":
            number, digits = read_chinese(surface), count_digits(re.sub(r"[^\d.]", "", surface))
        case _:
            number, digits = read_digits(surface), count_digits(surface)
    assert number is not None
    return _amount(number, digits, surface, start, end, plain, lower)


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
        return surface not in _ARTICLE and surface != "十" and bool(_MEASURE_WORD.match(text, end))
    return True


def _is_one_unit(text: str, end: int) -> bool:
    """`one mile` is an amount; `one day` and `one of them` are not."""
    after = _AFTER.match(text, end)
    name = after["latin"] if after else None
    return name in UNITS and UNITS[name].kind not in {"duration", "months"}


def _amount(
    number: float, digits: int, surface: str, start: int, end: int, plain: str, lower: str
) -> Quantity | None:
    """A number with the scale, unit or currency around it."""
    before = lower[max(0, start - 24) : start]
    money = _CURRENCY_BEFORE.search(before)
    begin = start - len(money.group()) if money else start
    is_negative = bool(money[2]) if money else bool(re.search(r"(?:(?<![\w\d])-|\bminus )$", before))
    scale, end = _read_scale(plain, lower, end, is_money=money is not None)
    unit = _AFTER.match(plain, end) or _AFTER.match(lower, end)
    name = (unit["latin"] or unit["han"]) if unit else ""
    if not name and not money and scale == 1 and lower[end : end + 1].isascii() and lower[end : end + 1].isalpha():
        return None  # 5a, 3D: a name with a digit
    value = number * scale * (-1 if is_negative else 1)
    common = {"written": number, "scale": scale, "digits": digits, "start": begin}
    if unit and not (money and name not in CURRENCIES):
        end = unit.end()
    bound = _bound(lower, begin, end)
    if money or name in CURRENCIES or (name in {"pound", "pounds"} and scale >= 1e6):
        code = CURRENCIES[money[1]] if money else CURRENCIES.get(name, "GBP")
        return Quantity(kind="money", value=value, unit=code, end=end, bound=bound, **common)
    if name:
        measure = UNITS[name] if name in UNITS else UNITS[name.lower()]
        return Quantity(
            kind=measure.kind,
            value=value * measure.factor + measure.offset,
            unit=f"{measure.kind}/{measure.factor:g}",
            system=measure.system,
            end=end,
            bound=bound,
            **common,
        )
    kind = "date" if scale == 1 and _is_year(surface, lower, start, end) else "count"
    return Quantity(kind=kind, value=value, upper=value, end=end, bound=bound, **common)


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


def _join_ranges(found: list[Quantity], text: str) -> list[Quantity]:
    """`10 to 20 km`: the first number takes the unit of the second, and both know the range."""
    joined = list(found)
    for index in range(len(found) - 1):
        one, other = joined[index], joined[index + 1]
        between = text[one.end : other.start]
        loosely = _JOINED_LOOSELY.match(between) and "between" in text[max(0, one.start - 12) : one.start]
        if not (_JOINED.match(between) or loosely):
            continue
        if one.kind == "count" and other.kind not in {"count", "date", "code", "time"}:
            factor = (other.value / (other.written * other.scale)) if other.written else 1.0
            scale = other.scale if one.scale == 1 and one.written <= other.written else one.scale
            one = replace(
                one, kind=other.kind, unit=other.unit, system=other.system, scale=scale,
                value=one.written * scale * factor,
            )  # fmt: skip
        elif one.kind == other.kind == "count" and one.scale == 1 < other.scale and one.written <= other.written:
            one = replace(one, scale=other.scale, value=one.written * other.scale)
        if one.kind == other.kind and one.value <= other.value:
            ends = {"low": one.value, "high": other.value}
            joined[index], joined[index + 1] = replace(one, **ends), replace(other, **ends)
    return joined
