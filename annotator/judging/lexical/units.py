"""Units and currencies: what a written unit measures, and its factor to the base unit.

The rule: two amounts are compared only within one kind, in its base unit. Currencies are never
converted; a bare `$` or `¥` agrees with every currency that is written with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Unit(NamedTuple):
    """`value * factor + offset` is the amount in the base unit of `kind`.

    system  units of one system convert by exact factors; between two systems, writers round
    """

    kind: str
    factor: float
    system: str = "metric"
    offset: float = 0.0


def _table(kind: str, system: str, rows: Mapping[str, float]) -> dict[str, Unit]:
    return {
        name: Unit(kind, factor, system)
        for names, factor in rows.items()
        for name in names.split("|")
    }


_DAY = 86_400.0
_MONTH = 1.0

# Words are lower case; symbols are compared with their case first.
UNITS: dict[str, Unit] = {
    **_table(
        "length",
        "metric",
        {
            "km|kilometre|kilometres|kilometer|kilometers|kilomètres|kilómetros|公里|千米": 1e3,
            "m|metre|metres|meter|meters|metern|mètre|mètres|metro|metros|米|公尺": 1.0,
            "cm|centimetre|centimetres|centimeter|centimeters|厘米|公分": 1e-2,
            "mm|millimetre|millimetres|millimeter|millimeters|毫米": 1e-3,
            "µm|μm|um|micrometre|micrometres|micrometer|micrometers|micron|microns|微米": 1e-6,
            "nm|nanometre|nanometres|nanometer|nanometers|纳米": 1e-9,
        },
    ),
    **_table(
        "length",
        "imperial",
        {
            "mi|mile|miles|英里": 1609.344,
            "yd|yard|yards|码": 0.9144,
            "ft|foot|feet|英尺": 0.3048,
            "inch|inches|英寸": 0.0254,
        },
    ),
    **_table("length", "sea", {"nmi|海里": 1852.0}),
    **_table("length", "sky", {"light-year|light-years|光年": 9.4607e15}),
    **_table(
        "mass",
        "metric",
        {
            "t|ton|tons|tonne|tonnes|tonnen|吨": 1e3,
            "kg|kgs|kilo|kilos|kilogram|kilograms|kilogramme|kilogrammes|kilogramm|公斤|千克": 1.0,
            "g|gram|grams|gramme|grammes|gramm|克": 1e-3,
            "mg|milligram|milligrams|毫克": 1e-6,
            "µg|μg|ug|mcg|microgram|micrograms|微克": 1e-9,
        },
    ),
    **_table("mass", "imperial", {"lb|lbs|pound|pounds|磅": 0.45359237}),
    **_table("mass", "imperial", {"oz|ounce|ounces|盎司": 0.0283495}),
    **_table("mass", "chinese", {"斤": 0.5}),
    **_table(
        "duration",
        "clock",
        {
            "ms|millisecond|milliseconds|毫秒": 1e-3,
            "s|sec|secs|second|seconds|sekunden|秒": 1.0,
            "min|mins|minute|minutes|minuten|minutos|分钟": 60.0,
            "h|hr|hrs|hour|hours|stunde|stunden|heures|horas|小时": 3600.0,
            "day|days|tag|tage|jours|días|天": _DAY,
            "week|weeks|woche|wochen|semaines|semanas|周|星期": 7 * _DAY,
        },
    ),
    **_table(
        "months",
        "calendar",
        {
            "month|months|monat|monate|mois|meses|个月": _MONTH,
            "year|years|yr|yrs|jahr|jahre|jahren|ans|années|años|岁|周年": 12 * _MONTH,
            "decade|decades": 120 * _MONTH,
            "century|centuries": 1200 * _MONTH,
        },
    ),
    **_table(
        "area",
        "metric",
        {
            "km²|km2|sq km|square kilometre|square kilometres|square kilometer|square kilometers"
            "|平方公里|平方千米": 1e6,
            "m²|m2|sq m|square metre|square metres|square meter|square meters|平方米": 1.0,
            "ha|hectare|hectares|公顷": 1e4,
        },
    ),
    **_table(
        "area",
        "imperial",
        {
            "acre|acres|英亩": 4046.8564,
            "sq mi|square mile|square miles|平方英里": 2.589988e6,
            "sq ft|square foot|square feet|平方英尺": 0.09290304,
        },
    ),
    **_table("area", "chinese", {"亩": 2000 / 3}),
    **_table(
        "volume",
        "metric",
        {
            "m³|m3|cubic metre|cubic metres|cubic meter|cubic meters|立方米": 1e3,
            "l|L|litre|litres|liter|liters|升": 1.0,
            "ml|mL|millilitre|millilitres|milliliter|milliliters|毫升": 1e-3,
            "cl|centilitre|centilitres": 1e-2,
        },
    ),
    **_table("volume", "imperial", {"gallon|gallons|gal|加仑": 3.785412, "pint|pints": 0.473176}),
    **_table("temperature", "celsius", {"°c|°C|℃|degrees celsius|degree celsius|摄氏度": 1.0}),
    "degrees fahrenheit": Unit("temperature", 5 / 9, "fahrenheit", -32 * 5 / 9),
    "kelvin": Unit("temperature", 1.0, "kelvin", -273.15),
    **_table("speed", "metric", {"km/h|kph|kmh|kilometres per hour|kilometers per hour": 1 / 3.6}),
    **_table("speed", "metric", {"m/s|metres per second|meters per second|米每秒": 1.0}),
    **_table("speed", "imperial", {"mph|miles per hour": 0.44704}),
    **_table("speed", "sea", {"knot|knots|节": 0.514444}),
    **_table("power", "metric", {"w|W|watt|watts|瓦": 1.0, "kW|kilowatt|kilowatts|千瓦": 1e3}),
    **_table("power", "metric", {"MW|megawatt|megawatts|兆瓦": 1e6, "GW|gigawatt|gigawatts": 1e9}),
    **_table("power", "imperial", {"hp|horsepower|马力": 745.7}),
    **_table("energy", "metric", {"Wh": 1.0, "kWh|kilowatt-hours|千瓦时|度电": 1e3, "MWh": 1e6}),
    **_table("energy", "heat", {"kcal|calories": 1.163, "kJ": 1 / 3.6}),
    **_table("frequency", "metric", {"Hz|hertz|赫兹": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}),
    **_table("data", "metric", {"KB|kB|kilobytes": 1e3, "MB|megabytes": 1e6}),
    **_table("data", "metric", {"GB|gigabytes": 1e9, "TB|terabytes": 1e12}),
    **_table("angle", "metric", {"°|degree|degrees|度": 1.0}),
    **_table("percent", "metric", {"%|percent|per cent|prozent|pct|pour cent|por ciento": 1.0}),
    **_table("percent", "metric", {"‰|per mille|per mill|promille": 0.1}),
    **_table(
        "points",
        "metric",
        {
            "percentage point|percentage points|个百分点|百分点": 1.0,
            "basis points|个基点|基点": 0.01,
        },
    ),
}
for _name in ("°f", "°F", "℉", "degree fahrenheit", "华氏度"):
    UNITS[_name] = UNITS["degrees fahrenheit"]

# A currency's code; `$` and `¥` are used for several.
_CURRENCY_NAMES = {
    "$": "$|dollar|dollars",
    "USD": "us$|usd|us dollar|us dollars|u.s. dollars|american dollars|美元|美金",
    "AUD": "a$|aud|australian dollars|澳元",
    "CAD": "c$|cad|canadian dollars|加元",
    "HKD": "hk$|hkd|hong kong dollars|港元|港币",
    "EUR": "€|eur|euro|euros|欧元",
    "GBP": "£|gbp|pounds sterling|british pounds|英镑",
    "¥": "¥",
    "JPY": "jpy|yen|日元|日圆",
    "CNY": "cny|rmb|yuan|renminbi|元|人民币|块钱",
    "CHF": "chf|swiss francs|瑞士法郎",
    "INR": "₹|inr|rupees|卢比",
    "RUB": "₽|rub|rubles|roubles|卢布",
    "KRW": "₩|krw|won|韩元",
    "crowns": "crown|crowns|kronor|kroner|克朗",
    "cents": "cent|cents|¢",
}
CURRENCIES = {name: code for code, names in _CURRENCY_NAMES.items() for name in names.split("|")}
_ALIKE = {"$": {"USD", "AUD", "CAD", "HKD"}, "¥": {"JPY", "CNY"}}


def same_currency(one: str, other: str) -> bool:
    """Whether two codes may mean the same currency."""
    return one == other or other in _ALIKE.get(one, ()) or one in _ALIKE.get(other, ())


SCALES = {
    "hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12,
    "millions": 1e6, "billions": 1e9, "mn": 1e6, "mln": 1e6, "bn": 1e9, "tn": 1e12,
    "millionen": 1e6, "milliarden": 1e9, "milliards": 1e9, "millones": 1e6, "dozen": 12.0,
}  # fmt: skip
# Letters directly after a number; small ones only next to a currency (3.2m is also metres).
SCALE_LETTERS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
CHINESE_SCALES = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000, "兆": 10**12}
