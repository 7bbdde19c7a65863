"""Whether a part of a document cuts something that belongs together: then it is not the quote.

The rule: the text next to a quote must not change its meaning. A quote without the minus before its
number, the `%` after it, the `not` before its first word or the second half of a compound has
another meaning than the document, although the document contains all its characters.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from annotator.text.quote_text import QuoteText
from schemas.text.scripts import UNSPACED

_NEAR_CHARS = 40
_MAX_ELIDED_CHARS = 300


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBER_WORDS = _words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    零 〇 一 二 两 三 四 五 六 七 八 九 十 百 千 万 亿 萬 億 兆
""")
_MAGNITUDES = _words("""
    hundred thousand million billion trillion lakh crore dozen percent mn bn tn
    十 百 千 万 亿 萬 億 兆
""")
_UNITS = _words("""
    m mm cm km nm g kg mg μg ng lb oz l ml dl μl s ms min h hz khz mhz ghz w kw mw gw kwh v kv mv
    mmhg iu meq cal kcal db bar psi nmol pmol μmol μm pg fl dl hl
    k kb mb gb tb pa kpa hpa mpa j kj ev mol mmol ppm ppb pp bp dpi rpm mph kmh ha sq am pm bc bce
""")
_UNIT_WORDS = _words("""
    metre metres meter meters kilometre kilometres kilometer kilometers centimetre centimetres
    centimeter centimeters millimetre millimetres millimeter millimeters mile miles foot feet inch
    inches yard yards acre acres hectare hectares gram grams kilogram kilograms kilo kilos milligram
    milligrams microgram micrograms ton tons tonne tonnes pound pounds ounce ounces litre litres
    liter liters millilitre millilitres milliliter milliliters gallon gallons degree degrees kelvin
    volt volts watt watts kilowatt kilowatts megawatt megawatts joule joules calorie calories hertz
    second seconds minute minutes hour hours day days week weeks month months year years decade
    decades euro euros dollar dollars cent cents yen yuan rupee rupees franc francs krone kroner
    crown crowns peso pesos rouble roubles ruble rubles won
""")
# 1990年 and 5月 are left out: a date without its last character is the same date.
_WIDE_UNIT = re.compile(
    r"(?:[美欧日港]?元|英镑|卢布|公里|千米|厘米|毫米|米|英里|公斤|千克|毫克|微克|克|吨|毫升|升|公顷|亩"
    r"|摄氏度|华氏度|度|小时|分钟|秒|个月|岁|倍|成)"
)
_CURRENCY_CODES = _words("usd eur gbp jpy cny rmb chf inr hkd")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_GROUP_OF_THREE = re.compile(r"\d{3}(?:[.,]\d+)?")
_GROUPS_BEFORE = re.compile(r"\d{1,3}")
_DESIGNATOR = re.compile(r"[A-HJ-Z]|[IVX]{2,}")  # hepatitis A, World War II
_INSIDE_WORDS = frozenset("/\\&@_^=<>~#*+")

# Text directly before or after a quote that negates it.
_DENIED_BEFORE = re.compile(
    r"""(?:
      (?<![^\W_]) (?:
          (?:not|n't|n’t|never|cannot|no|nor|neither|without|hardly|barely|scarcely)
            (?:\ (?:yet|been|be|being|a|an|the|any|longer|always|to))?
        | (?:un|in)able\ to | (?:fail(?:s|ed)?|refuse[sd]?|declined?)\ to
        | (?:false|untrue|not\ true|incorrect|wrong|myth|den(?:y|ies|ied)|(?<!no\ )doubt(?:s|ed)?)
          \ that
        | (?:nobody|no[ -]one|none|nothing)(?:\ of\ (?:the|them|these|those|its|his|her|their))?
        | niemand | nadie | nessuno | ninguém | никто
        | minus | negative
        | nicht | kein(?:e[nmrs]?)? | nie | ne | pas | non | não | niet | geen | ikke | inte
        | не | ни | нет )
      | n['’]t
    )[ \t\u00a0]*$
    | (?:[不未没沒無无勿莫]|(?<![南北西东中是])非|(?<![分特级区差性类识告离])别
        |没有|沒有|[无無没沒]人|零下|(?<![胜抱])负)
      (?:[是有能会會可要应應得须需宜再曾被]|可以|应该|能够|需要|必须)?$
    """,
    re.IGNORECASE | re.VERBOSE,
)
# `No passenger` before `survived`; not `no doubt`.
_DENIED_SUBJECT = re.compile(
    r"(?<![^\W_])(?:no|neither)\ (?!doubt\b|wonder\b|less\b|fewer\b|later\b)[^\W_]+[ ]$",
    re.IGNORECASE,
)
_DENIED_BEHIND = re.compile(
    r"""[ \t\u00a0]*(?:
        (?:not|n't|n’t|never|nicht|niet|ikke|inte|pas|below\ zero)(?![^\W_])
      | ない | なか | なく | ませ | 않 )""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Edge:
    """The border between two adjacent tokens; `at` is the first one after it."""

    text: QuoteText
    at: int

    def form(self, offset: int) -> str:
        return self.text.token(self.at + offset)

    def raw(self, offset: int) -> str:
        number = self.at + offset
        if not 0 <= number < len(self.text):
            return ""
        return self.text.raw[self.text.starts[number] : self.text.ends[number]]

    def gap(self, offset: int = 0) -> str | None:
        """The text between the tokens `offset - 1` and `offset`; None outside the text."""
        number = self.at + offset
        if not 0 < number < len(self.text):
            return None
        return self.text.raw[self.text.ends[number - 1] : self.text.starts[number]]

    def touches(self, offset: int = 0) -> bool:
        return self.gap(offset) == ""


def is_cut(text: QuoteText, first: int, last: int) -> bool:
    """Whether a neighbour of the tokens `first` to `last` of a text belongs to them."""
    before, behind = _Edge(text=text, at=first), _Edge(text=text, at=last + 1)
    if _joins(before) or _joins(behind) or _is_designated(behind) or _drops_unit(behind):
        return True
    start, end = text.starts[first], text.ends[last]
    if text.raw[start].islower() and _DENIED_SUBJECT.search(
        text.raw[max(0, start - _NEAR_CHARS) : start]
    ):
        return True
    return bool(
        _DENIED_BEFORE.search(text.raw[max(0, start - _NEAR_CHARS) : start])
        or _DENIED_BEHIND.match(text.raw[end : end + _NEAR_CHARS])
    )


def splits_word(text: QuoteText, first: int, last: int) -> bool:
    """Whether the tokens `first` to `last` of a text begin or end inside a word or a number."""
    edges = (_Edge(text=text, at=first), _Edge(text=text, at=last + 1))
    return any(
        edge.gap() is not None and (_is_inside_word(edge) or _is_inside_number(edge))
        for edge in edges
    )


def hides_negation(between: str) -> bool:
    """Whether the text that an elision leaves out, within one sentence, may reverse the meaning of
    the rest."""
    if re.search(r"[.!?。！？\n]", between):
        return False
    between = between[:_MAX_ELIDED_CHARS]
    ends = [match.end() for match in re.finditer(r"\w\b|$", between)]
    return any(_DENIED_BEFORE.search(between[:end]) for end in ends)


def _joins(edge: _Edge) -> bool:
    """Whether the two tokens at an edge belong to one word, number, amount or name."""
    if edge.gap() is None:
        return False
    return (
        _is_inside_word(edge)
        or _is_inside_number(edge)
        or _is_amount(edge)
        or _is_compound(edge, sign=-1)
        or _is_compound(edge, sign=0)
    )


def _is_inside_word(edge: _Edge) -> bool:
    left, right = edge.form(-1), edge.form(0)
    if not (left[-1].isalnum() and right[0].isalnum()):
        return False
    if edge.touches():
        return not (_IS_UNSPACED.match(left) or _IS_UNSPACED.match(right))
    return left == "o" and edge.gap() in {"'", "’"}  # O'Brien


def _is_inside_number(edge: _Edge) -> bool:
    left, right, gap = edge.form(-1), edge.form(0), edge.gap() or ""
    if right[0].isdecimal() and edge.raw(-1) == "." and edge.touches():
        return not (edge.touches(-1) and edge.form(-2)[-1:].isalnum())  # .5
    if _GROUP_OF_THREE.fullmatch(right) and _GROUPS_BEFORE.fullmatch(left):
        return len(gap) == 1 and (gap.isspace() or gap in "'’")  # 1 900
    if "\n" in gap:
        return False
    if left == "a" and right in {"few", "little"}:
        return True
    is_numeral = left in NUMBER_WORDS or left in _MAGNITUDES
    if right in _MAGNITUDES:
        return is_numeral or left[0].isdecimal()
    return right in NUMBER_WORDS and is_numeral


def _is_amount(edge: _Edge) -> bool:
    """Whether a number and its sign, currency or unit are at the two sides of an edge."""
    left, right, gap = edge.form(-1), edge.form(0), edge.gap() or ""
    if "\n" in gap:
        return False
    if unicodedata.category(right[0]) == "Sc" and left.isalpha() and edge.touches():
        return True  # C$40
    if right[0].isdecimal():
        if left == "-":
            return edge.touches()
        return _is_sign(left) or left in _CURRENCY_CODES
    if not left[0].isdecimal():
        return False
    return right in _UNITS or right.lower() in _UNITS or right in "%‰‱°′″^" or _is_sign(right)


def _is_sign(token: str) -> bool:
    return token != "|" and unicodedata.category(token[0]) in {"Sc", "Sm"}


def _is_compound(edge: _Edge, *, sign: int) -> bool:
    """Whether the sign at place `sign` (-1 before the edge, 0 after it) connects its neighbours."""
    mark = edge.form(sign)
    ties_left = edge.touches(sign) and edge.form(sign - 1)[-1:].isalnum()
    ties_right = edge.touches(sign + 1) and edge.form(sign + 1)[:1].isalnum()
    if mark == "-":
        if edge.raw(sign) in "—―":
            around = edge.form(sign - 1)[-1:] + edge.form(sign + 1)[:1]
            return ties_left and ties_right and around.isdecimal()
        return ties_left and (ties_right or sign == 0)  # ninety-five, 5-10, Cl-
    if mark in {"+", "#"} and sign == 0 and ties_left:
        return True  # Na+, C#
    if edge.raw(sign) == ".":
        return ties_left and ties_right and _is_dotted(edge.raw(sign - 1), edge.raw(sign + 1))
    if mark == "*":
        around = edge.form(sign - 1)[-1:] + edge.form(sign + 1)[:1]
        return ties_left and ties_right and around.isdecimal()
    return mark in _INSIDE_WORDS and ties_left and ties_right


def _is_dotted(left: str, right: str) -> bool:
    """Whether a full stop directly between two words is inside a name: node.js, U.S."""
    return right[:1].islower() or (len(left) == len(right) == 1 and (left + right).isupper())


def _is_designated(edge: _Edge) -> bool:
    """Whether the next word names the kind: `hepatitis` where the document says `hepatitis A`."""
    is_word = edge.form(-1)[-1:].isalpha()
    return is_word and edge.gap() == " " and bool(_DESIGNATOR.fullmatch(edge.raw(0)))


def _drops_unit(edge: _Edge) -> bool:
    """Whether a quote ends with a number whose unit is the next word: `5 million` in `5 million
    euros`."""
    gap = edge.gap()
    if gap is None or "\n" in gap:
        return False
    left = edge.form(-1)
    if not (left[0].isdecimal() or left in _MAGNITUDES or left in NUMBER_WORDS):
        return False
    start = edge.text.starts[edge.at]
    return edge.form(0) in _UNIT_WORDS or _WIDE_UNIT.match(edge.text.raw, start) is not None
