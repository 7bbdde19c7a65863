"""A quantity as written, in base units, and how two of them relate.

Worked example, a sentence's quantity against a document's:

    $3.2 million     $3,200,000      SAME        one amount in two forms
    about 1,200 m    1,204 m         SAME        the sentence states that it is rounded
    1,300 m          1,204 m         OTHER       one kind, another amount: a contradiction
    12 May 1999      May 1999        NEAR        not stated, and not denied
    1,204 m          three bridges   UNRELATED   nothing to compare

The rule: OTHER is only returned where both measure the same kind of thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from annotator.judging.lexical.units import same_currency

_EXACT = 1e-6
_ABOUT = 0.05
_CONVERTED = 0.01
# Kinds that writers mix: "20 degrees" for 20 °C, "5 pounds" for £5, "aged 42" for 42 years.
_MIXED = frozenset(frozenset(pair) for pair in (("angle", "temperature"), ("mass", "money")))


class Relation(IntEnum):
    """How a document's quantity relates to a sentence's; the largest of several counts."""

    UNRELATED = 0
    OTHER = 1
    NEAR = 2
    SAME = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number, amount, date or code at `[start, end)` of its text.

    text         as written
    kind         count, ordinal, money, length ... (units), date, time or code
    value        amount in base units; of a date: its first year (nan without one)
    upper        the upper end where a span of values is meant (the 1920s), else `value`
    written      the number before scale and unit
    unit, system what follows it; `system` also says how it was scaled
    digits       significant digits as written
    bound        "", "about", "least" or "most", by the words around it
    month, day   of a date, 0 if not given; `swapped`: the two may be exchanged
    code         of a code: its letters and digits
    low, high    of a range (10 to 20 km): both ends, else nan
    """

    kind: str
    value: float
    start: int
    end: int
    text: str = ""
    upper: float = math.nan
    written: float = math.nan
    unit: str = ""
    system: str = ""
    scale: float = 1.0
    digits: int = 0
    bound: str = ""
    month: int = 0
    day: int = 0
    swapped: bool = False
    code: str = ""
    low: float = math.nan
    high: float = math.nan

    @property
    def key(self) -> str:
        """One key for all written forms; a word index treats it like a word."""
        if self.kind == "code":
            return f"#{self.code}"
        if self.kind == "date":
            months = f"-{self.month}" if self.month else ""
            days = f"-{self.day}" if self.day else ""
            return ("" if math.isnan(self.value) else f"{self.value:g}") + months + days
        unit = {"money": self.unit, "count": "", "ordinal": ""}.get(self.kind, self.kind)
        return f"{self.value:.6g}{unit}"


def relate(said: Quantity, stated: Quantity) -> Relation:
    """How `stated` in a document relates to `said` in a sentence."""
    if said.kind != stated.kind:
        return _relate_kinds(said, stated)
    if said.kind == "date":
        return _relate_dates(said, stated)
    if said.kind == "code":
        if said.code == stated.code:
            return Relation.SAME
        return Relation.OTHER if said.unit == stated.unit else Relation.UNRELATED
    return _relate_amounts(said, stated)


def _relate_amounts(said: Quantity, stated: Quantity) -> Relation:
    if said.kind == "money" and not same_currency(said.unit, stated.unit):
        return Relation.OTHER
    if _is_same(said, stated):
        return Relation.SAME
    return Relation.NEAR if _is_near(said, stated) else Relation.OTHER


def _relate_kinds(said: Quantity, stated: Quantity) -> Relation:
    """One number of two kinds: SAME without a unit (`aged 42`), OTHER with two units."""
    same_number = _close(said.written, stated.written, _EXACT)
    if not (same_number or _close(said.value, stated.value, _EXACT)):
        return Relation.UNRELATED
    if "count" in {said.kind, stated.kind} or frozenset((said.kind, stated.kind)) in _MIXED:
        return Relation.SAME
    return Relation.OTHER if said.unit and stated.unit else Relation.UNRELATED


def _is_same(said: Quantity, stated: Quantity) -> bool:
    match said.bound:
        case "least":
            return stated.value >= said.value * (1 - _EXACT)
        case "most":
            return stated.value <= said.value * (1 + _EXACT)
        case "about" if _close(said.value, stated.value, _ABOUT):
            return True
    is_exact = _close(said.value, stated.value, _EXACT)
    return is_exact or _rounds_to(stated, said) or _rounds_to(said, stated)


def _is_near(said: Quantity, stated: Quantity) -> bool:
    """Whether the document allows the sentence's amount without stating it."""
    if stated.low <= said.value <= stated.high or said.low <= stated.value <= said.high:
        return True
    match stated.bound:
        case "about":
            return _close(said.value, stated.value, _ABOUT)
        case "least":
            return said.value >= stated.value
        case "most":
            return said.value <= stated.value
    return False


def _rounds_to(exact: Quantity, rounded: Quantity) -> bool:
    """Whether one is the other in a larger unit or scale, rounded: 1.2 km for 1,204 m."""
    if exact.unit == rounded.unit and exact.scale == rounded.scale:
        return False
    if exact.system != rounded.system:
        tolerance = _ABOUT if rounded.digits <= 1 else _CONVERTED
        return _close(exact.value, rounded.value, tolerance) or _near_degrees(exact, rounded)
    if rounded.digits < 2 or rounded.digits >= exact.digits:
        return False
    digits = rounded.digits
    return _close(_round(exact.value, digits), _round(rounded.value, digits), _EXACT)


def _near_degrees(one: Quantity, other: Quantity) -> bool:
    return one.kind == "temperature" and abs(one.value - other.value) <= 0.5


def _relate_dates(said: Quantity, stated: Quantity) -> Relation:
    if not _may_agree(said, stated):
        return Relation.OTHER
    says_year, states_year = not math.isnan(said.value), not math.isnan(stated.value)
    if says_year and not states_year:
        return Relation.NEAR if said.month else Relation.UNRELATED
    if not says_year and not stated.month:
        return Relation.UNRELATED
    is_finer = (said.month and not stated.month) or (said.day and not stated.day)
    is_narrower = says_year and said.upper - said.value < stated.upper - stated.value
    return Relation.NEAR if is_finer or is_narrower else Relation.SAME


def _may_agree(said: Quantity, stated: Quantity) -> bool:
    if said.upper < stated.value or said.value > stated.upper:
        inside = stated.low <= said.value <= stated.high
        if not inside:
            return False
    one, other = (said.month, said.day), (stated.month, stated.day)
    ways = [one, one[::-1]] if said.swapped else [one]
    others = [other, other[::-1]] if stated.swapped else [other]
    return any(
        all(not left or not right or left == right for left, right in zip(way, way2, strict=True))
        for way in ways
        for way2 in others
    )


def _close(one: float, other: float, tolerance: float) -> bool:
    return math.isclose(one, other, rel_tol=tolerance)


def _round(value: float, digits: int) -> float:
    """`value` to that many significant digits, halves up."""
    if value == 0 or not math.isfinite(value):
        return value
    power = 10.0 ** (digits - 1 - math.floor(math.log10(abs(value))))
    return math.copysign(math.floor(abs(value) * power + 0.5 + 1e-9), value) / power
