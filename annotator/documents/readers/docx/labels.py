"""Numbers of lists as they are written: 3, iii, C, 三.

The rule: a number that a style cannot write is written in digits, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"),
    (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip
_MAX_ROMAN = 4999
_MAX_LETTERS = 780  # 30 times z, Word's limit
_MAX_HAN = 99_999
_HAN = "〇一二三四五六七八九"
_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_LEGAL_TRADITIONAL = "零壹貳參肆伍陸柒捌玖"
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
_IRREGULAR = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
# Signs used in this order, the first for 1.
_SERIES = {
    "decimalEnclosedCircle": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedCircleChinese": "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳",
    "decimalEnclosedFullstop": "⒈⒉⒊⒋⒌⒍⒎⒏⒐⒑⒒⒓⒔⒕⒖⒗⒘⒙⒚⒛",
    "decimalEnclosedParen": "⑴⑵⑶⑷⑸⑹⑺⑻⑼⑽⑾⑿⒀⒁⒂⒃⒄⒅⒆⒇",
    "ideographEnclosedCircle": "㊀㊁㊂㊃㊄㊅㊆㊇㊈㊉",
    "ideographTraditional": "甲乙丙丁戊己庚辛壬癸",
    "ideographZodiac": "子丑寅卯辰巳午未申酉戌亥",
    "aiueoFullWidth": "アイウエオカキクケコサシスセソタチツテトナニヌネノ",
    "irohaFullWidth": "イロハニホヘトチリヌルヲワカヨタレソツネナラムウ"
    "ヰノオクヤマケフコエテアサキユメミシヱヒモセス",
    "ganada": "가나다라마바사아자차카타파하",
    "chosung": "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ",
    "russianLower": "абвгдежзиклмнопрстуфхцчшщыэюя",
    "russianUpper": "АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ",
}


def write_number(number: int, style: str) -> str:
    """`number` in a number format of the standard (ST_NumberFormat, or "001, 002, ...")."""
    if style in ("none", "bullet"):
        return ""
    series = _SERIES.get(style, "")
    if 0 < number <= len(series):
        return series[number - 1]
    writer = _WRITERS.get(style)
    if writer is not None:
        return writer(number) or str(number)
    padded = re.match(r"0+1(?=,)", style)
    return f"{number:0{len(padded.group())}}" if padded else str(number)


def _roman(number: int) -> str:
    if not 0 < number <= _MAX_ROMAN:
        return ""
    pieces: list[str] = []
    for value, letters in _ROMAN:
        pieces.append(letters * (number // value))
        number %= value
    return "".join(pieces)


def _letters(number: int) -> str:
    """A to z, then aa, bb: as Word does."""
    if not 0 < number <= _MAX_LETTERS:
        return ""
    times, index = divmod(number - 1, 26)
    return chr(ord("a") + index) * (times + 1)


def _ordinal(number: int) -> str:
    teens = 10 < number % 100 < 14
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _words(number: int) -> str:
    if not 0 <= number < 1000:
        return ""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    small = _ONES[rest] if rest < 20 else _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    if not hundreds:
        return small
    return f"{_ONES[hundreds]} hundred" + (f" {small}" if rest else "")


def _ordinal_words(number: int) -> str:
    words = _words(number)
    split = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[split:]
    if not last:
        return ""
    return words[:split] + (_IRREGULAR.get(last) or re.sub("y$", "ie", last) + "th")


def _han(number: int, digits: str, units: Sequence[str], *, short_ten: bool) -> str:
    """The number in words, 105 as 一百零五; `short_ten` writes 十二 for 一十二."""
    if not 0 < number <= _MAX_HAN:
        return ""
    pieces: list[str] = []
    skipped = False
    for place in range(len(str(number)) - 1, -1, -1):
        digit = number // 10**place % 10
        if digit == 0:
            skipped = bool(pieces)
            continue
        pieces.append(("零" if skipped else "") + digits[digit] + units[place])
        skipped = False
    text = "".join(pieces)
    return text[1:] if short_ten and 10 <= number < 20 else text


def _counting(number: int) -> str:
    return _han(number, _HAN, ["", "十", "百", "千", "万"], short_ten=True)


def _digits(number: int) -> str:
    return "".join(_HAN[int(digit)] for digit in str(number)) if number >= 0 else ""


def _full_width(number: int) -> str:
    return "".join(chr(ord(digit) + 0xFEE0) for digit in str(number)) if number >= 0 else ""


_WRITERS: dict[str, Callable[[int], str]] = {
    "decimalZero": lambda number: f"{number:02}",
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "ordinal": _ordinal,
    "cardinalText": lambda number: _words(number).capitalize(),
    "ordinalText": lambda number: _ordinal_words(number).capitalize(),
    "hex": lambda number: f"{number:X}" if number >= 0 else "",
    "numberInDash": lambda number: f"- {number} -",
    "decimalFullWidth": _full_width,
    "decimalFullWidth2": _full_width,
    "ideographDigital": _digits,
    "japaneseDigitalTenThousand": _digits,
    "taiwaneseDigital": _digits,
    "chineseCounting": _counting,
    "chineseCountingThousand": _counting,
    "japaneseCounting": _counting,
    "taiwaneseCounting": _counting,
    "taiwaneseCountingThousand": _counting,
    "chineseLegalSimplified": lambda number: _legal(number, _LEGAL, "万"),
    "ideographLegalTraditional": lambda number: _legal(number, _LEGAL_TRADITIONAL, "萬"),
}


def _legal(number: int, digits: str, ten_thousand: str) -> str:
    return _han(number, digits, ["", "拾", "佰", "仟", ten_thousand], short_ten=False)
