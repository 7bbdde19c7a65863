"""Numbers as digits and as words, English and Chinese, and the value each one writes.

The rule: a numeral that may also be another word (`one`, 一 in 一些, 千万 without a digit) is read
as a number only where a unit or more numerals follow.
"""

from __future__ import annotations

import math
import re

from annotator.judging.lexical.units import CHINESE_SCALES

# Length is kept, so that offsets hold: full-width and Arabic forms, minus signs, no-break spaces.
_PLAIN = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_PLAIN |= {char: str(index % 10) for index, char in enumerate("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹")}
_PLAIN |= dict(zip("٫٬٪−‑＄￥￡’", ".,%--$¥£'", strict=True))
_PLAIN |= dict.fromkeys("\u00a0\u2009\u202f\u3000\t\n\r", " ")
_PLAIN_TABLE = str.maketrans(
    {char: plain for char, plain in _PLAIN.items() if char not in "，；！？（）"}
)
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def plain_digits(text: str) -> str:
    """`text` with digits, signs and spaces in plain form, of the same length."""
    return text.translate(_PLAIN_TABLE)


def lower_ascii(text: str) -> str:
    """`text` with small ASCII letters, of the same length."""
    return text.translate(_LOWER)


_SMALL = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split()
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        "twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2
    )
}
_MULTIPLES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 10**9,
    "trillion": 10**12,
}
_CARDINALS = _SMALL | _TENS | _MULTIPLES | {"dozen": 12}
ORDINALS = {
    word: value
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
        "twentieth".split(),
        start=1,
    )
}
_ANY_WORD = "|".join(sorted(_CARDINALS, key=len, reverse=True))
NUMBER_WORDS = (
    rf"\b(?:a (?=hundred|thousand|million|billion|dozen))?(?:{_ANY_WORD})"
    rf"(?:(?:-| and | )(?:{_ANY_WORD})\b){{0,9}}\b"
)
ORDINAL_WORDS = (
    r"\b(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)-)?(?:"
    + "|".join(sorted(ORDINALS, key=len, reverse=True))
    + r")\b"
)

# The first letters of all number words, and Chinese numerals: a fast test before the slow one.
NUMBER_HINT = (
    rf"[{{digits}}十]|\b(?:{_ANY_WORD}|{'|'.join(ORDINALS)}|(?:twenty|thirty|forty|fifty|sixty"
    r"|seventy|eighty|ninety)-)"
).replace("{digits}", "〇零一二三四五六七八九两")

_CHINESE = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
CHINESE_DIGITS = "〇零一二三四五六七八九两"
CHINESE_NUMBER = rf"[{CHINESE_DIGITS}十][{CHINESE_DIGITS}十百千万亿]{{0,24}}+"
# Digits with Chinese scales: 3.2亿, 120万, 3亿2000万.
MIXED_NUMBER = r"\d{1,12}(?:,\d{3}){0,4}(?:\.\d{1,9})?[十百千万亿]{1,4}(?:\d{1,8}[十百千万]){0,4}"


def read_number_words(words: str) -> float | None:
    """`two hundred and fifty` -> 250; None for anything else (`one`, `five six`)."""
    total, section = 0, 0
    last = math.inf
    parts = [part for part in re.split(r"[- ]+", words) if part != "and"]
    for part in parts:
        if part == "a":
            section, last = 1, 1
            continue
        value = _CARDINALS[part]
        if part in _MULTIPLES or part == "dozen":
            section = max(section, 1) * value
            if value >= 1_000:
                total, section = total + section, 0
            last = value
        elif value < last and (last in {math.inf} or last >= 100 or (last >= 20 and value < 10)):
            section += value
            last = value
        else:
            return None
    return float(total + section)


def read_ordinal_words(words: str) -> float:
    """`twenty-first` -> 21."""
    tens, _, last = words.rpartition("-")
    return float(_TENS.get(tens, 0) + ORDINALS[last])


def read_chinese(text: str) -> float | None:
    """两千万 -> 20000000, 二〇一九 or 二0一九 -> 2019, 3亿2000万 -> 320000000; None for 三三."""
    if not any(char in CHINESE_SCALES for char in text):
        if len(text) == 1:
            return float(_CHINESE[text])
        # 二00八 is a typed form of 二〇〇八.
        if not any(char in "〇零" or char.isdecimal() for char in text):
            return None
        return float("".join(str(_CHINESE.get(char, char)) for char in text))
    total, section, number = 0.0, 0.0, ""
    for char in text.replace(",", ""):
        if char not in CHINESE_SCALES:
            if number and char in _CHINESE and char not in "〇零" and number not in "00":
                return None
            number += str(_CHINESE.get(char, char))
            continue
        scale = CHINESE_SCALES[char]
        value = float(number) if number.strip("0") else 0.0
        number = ""
        if scale >= 10_000:
            total = (
                (total + section + value) * scale
                if scale > 10_000
                else total + ((section + value) or 1.0) * scale
            )
            section = 0.0
        else:
            section += (value or 1.0) * scale
    return total + section + (float(number) if number else 0.0)


# 1,204  1 204  1'204  12,34,567  1.204.000 ; then a decimal part.
# Bounded and possessive repeats keep every pattern linear on malicious text.
DIGITS = (
    r"\d{1,3}(?:,\d{3}){1,8}(?![\d])(?:\.\d++)?|\d{1,2}(?:,\d{2}){1,8},\d{3}(?!\d)(?:\.\d++)?"
    r"|\d{1,3}(?:[ ']\d{3}){1,4}(?!\d)(?:[.,]\d++)?"
    r"|\d{1,3}(?:\.\d{3}){2,8}(?!\d)(?:,\d++)?|\d++(?:[.,]\d++)?"
)


def read_digits(text: str) -> float:
    """`1,204.5` -> 1204.5, `1 204` -> 1204, `3,5` -> 3.5, `1.204.000` -> 1204000."""
    joined = text.replace(" ", "").replace("'", "")
    if re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?", joined):
        joined = joined.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?|\d{1,3}(?:,\d{3})+(?:\.\d+)?", joined):
        joined = joined.replace(",", "")
    return float(joined.replace(",", "."))


def count_digits(text: str) -> int:
    """Significant digits as written; zeros at the end of a whole number do not count."""
    digits = re.sub(r"\D", "", text).lstrip("0")
    is_decimal = bool(re.search(r"[.,]\d{1,2}$", text))
    return max(1, len(digits if is_decimal else digits.rstrip("0")))
