"""Dates, years, decades, centuries and times of day, in common written forms.

The rule: a word or number is read as a date only next to what makes it one: `May` next to a day or
a year, `1999` where it is not a count of something.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from annotator.judging.lexical.numerals import CHINESE_DIGITS, ORDINALS, read_chinese
from annotator.judging.lexical.quantity import Quantity

_MONTH_NAMES = """
    january|jan|januar|janvier|enero|gennaio|janeiro
    february|feb|februar|février|febrero|febbraio|fevereiro
    march|mar|märz|mars|marzo|março
    april|apr|avril|abril|aprile
    may|mai|mayo|maggio|maio
    june|jun|juni|juin|junio|giugno|junho
    july|jul|juli|juillet|julio|luglio|julho
    august|aug|août|agosto
    september|sep|sept|septembre|septiembre|settembre|setembro
    october|oct|oktober|okt|octobre|octubre|ottobre|outubro
    november|nov|novembre|noviembre
    december|dec|dezember|dez|décembre|diciembre|dicembre|dezembro
"""
MONTHS = {
    name: number
    for number, line in enumerate(_MONTH_NAMES.split(), start=1)
    for name in line.split("|")
}
_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:1\d|20)\d\d"
_OF = r"(?:\ of\ |\ de\ |\ del\ |\.?\ )"
_CN = rf"[\d{CHINESE_DIGITS}]"

# Order matters: the longest form first. Text is lower case with plain digits.
DATES = re.compile(
    rf"""
    (?<![\w.])(?P<iso>(?P<iy>{_YEAR})[-/.](?P<im>1[0-2]|0?[1-9])[-/.](?P<id>{_DAY})(?!\w))
    |(?<![\w.])(?P<num>(?P<n1>{_DAY})(?P<sep>[./-])(?P<n2>{_DAY})(?P=sep)(?P<ny>{_YEAR})(?!\w))
    |(?P<cn>(?:(?P<cy>\d{{2,4}}|{_CN}{{4}})\ ?年)?\ ?
        (?P<cm>1[0-2]|[1-9]|十[一二]?|[一二三四五六七八九])\ ?月
        (?:份|\ ?(?P<cd>{_DAY}|[一二三]?十?[一二三四五六七八九]|[二三]?十)\ ?[日号])?)
    |(?P<cny>(?:(?P<bc>公元前)\ ?)?(?P<cyy>\d{{4}}|{_CN}{{4}}|(?<=公元前)\d{{1,4}})\ ?年(?!代))
    |(?P<dmy>(?<![\w.])(?P<d1>{_DAY})(?:st|nd|rd|th)?{_OF}(?P<m1>{_MONTH})
        (?:(?:,|\ de|\ del|\ of)?\ (?P<y1>{_YEAR})\b)?)
    |(?P<mdy>\b(?P<m2>{_MONTH})\ (?P<d2>{_DAY})(?:st|nd|rd|th)?(?![\w%]|[.,]\d)
        (?:,?\ (?P<y2>{_YEAR})\b)?)
    |(?P<my>\b(?P<m3>{_MONTH})(?:,|\ of|\ de)?\ (?P<y3>{_YEAR})\b)
    |(?P<dec>(?<![\w.])(?P<dy>{_YEAR[:-2]}0)'?s\b)
    |(?P<cdec>(?:(?P<ccent>\d\d|[一二]?十[一二三四五六七八九]?)世纪)?
        (?P<cdy>[1-9]0|[二三四五六七八九]十)年代)
    |(?P<cent>\b(?P<ce>\d{{1,2}})(?:st|nd|rd|th)(?:-|\ )century(?:\ (?P<cbc>bc|bce)\b)?)
    |(?P<centw>\b(?P<cw>(?:twenty-)?(?:{"|".join(ORDINALS)}))(?:-|\ )century\b
        (?:\ (?P<wbc>bc|bce)\b)?)
    |(?P<ccn>(?P<cc>\d{{1,2}}|[一二]?十[一二三四五六七八九]?|[一二三四五六七八九])\ ?世纪)
    |(?P<ybc>(?<![\w.])(?P<yb>\d{{1,4}})\ (?:bc|bce|b\.c\.)(?!\w))
    |(?P<time>(?<![\w.:])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?::[0-5]\d)?
        (?:\ ?(?P<ap>[ap])\.?m\b\.?)?(?![\w:]))
    |(?P<clock>(?<![\w.:])(?P<hh>1[0-2]|[1-9])\ ?(?P<ap2>[ap])\.?m\b\.?)
    """,
    re.VERBOSE,
)


# Which groups of a form hold its year, month and day.
_FULL_DATES: dict[str, tuple[str, str, str]] = {
    "iso": ("iy", "im", "id"),
    "cn": ("cy", "cm", "cd"),
    "dmy": ("y1", "m1", "d1"),
    "mdy": ("y2", "m2", "d2"),
    "my": ("y3", "m3", ""),
}


def read_dates(text: str) -> Iterator[Quantity]:
    """The dates of a text that was made plain and lower case (numerals)."""
    for match in DATES.finditer(text):
        found = _read(match)
        if found is not None:
            yield found


def _read(match: re.Match[str]) -> Quantity | None:
    form = match.lastgroup or ""
    if form in _FULL_DATES:
        year, month, day = (match[name] if name else None for name in _FULL_DATES[form])
        return _date(match, year, month or "", day)
    match form:
        case "num":
            return _numeric_date(match)
        case "cny" | "ybc":
            year = _number(match["cyy"] or match["yb"])
            return _years(match, -year if match["bc"] or match["yb"] else year)
        case "dec" | "cdec":
            return _years(match, _decade(match), length=10)
        case "time" | "clock":
            return _time(match)
    return _century(match)


def _decade(match: re.Match[str]) -> float:
    if match["dy"]:
        return float(match["dy"])
    century = _number(match["ccent"]) - 1 if match["ccent"] else 19
    return century * 100 + _number(match["cdy"])


def _numeric_date(match: re.Match[str]) -> Quantity | None:
    """12.05.1999: the day first, unless that is impossible.

    Both readings where both are possible.
    """
    first, second = int(match["n1"]), int(match["n2"])
    if first > 12 and second > 12:
        return None
    day, month = (second, first) if second > 12 else (first, second)
    is_open = first <= 12 and second <= 12
    return _date(match, match["ny"], str(month), str(day), swapped=is_open)


def _number(text: str) -> float:
    if text.isdigit():
        return float(text)
    return read_chinese(text) or 0.0


def _date(
    match: re.Match[str], year: str | None, month: str, day: str | None, *, swapped: bool = False
) -> Quantity:
    name = month.rstrip(".")
    value = _number(year) if year else math.nan
    return Quantity(
        kind="date",
        value=value,
        upper=value,
        written=value,
        month=MONTHS.get(name) or int(_number(name)),
        day=int(_number(day)) if day else 0,
        swapped=swapped,
        start=match.start(),
        end=match.end(),
    )


def _years(match: re.Match[str], first: float, *, length: int = 1) -> Quantity:
    return Quantity(
        kind="date",
        value=first,
        upper=first + length - 1,
        written=first,
        start=match.start(),
        end=match.end(),
    )


def _century(match: re.Match[str]) -> Quantity:
    word = match["cw"]
    if word:
        tens, _, last = word.rpartition("-")
        number = float((20 if tens else 0) + ORDINALS[last])
    else:
        number = _number(match["ce"] or match["cc"])
    if match["cbc"] or match["wbc"]:
        return _years(match, -100 * number, length=100)
    return _years(match, 100 * (number - 1), length=101)


def _time(match: re.Match[str]) -> Quantity:
    hours = int(match["h"] or match["hh"])
    half = match["ap"] or match["ap2"]
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    minutes = float(60 * hours + int(match["min"] or 0))
    return Quantity(
        kind="time",
        value=minutes,
        upper=minutes,
        written=minutes,
        start=match.start(),
        end=match.end(),
    )
