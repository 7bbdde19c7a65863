"""The cell `when`: a time in the forms of people and spreadsheet programs, as ISO 8601.

The rule: an ambiguous date is refused. `31.1.2026` has the day first; `1/2/2026` may have either
first and is refused, `31/1/2026` has only one meaning.
"""

from __future__ import annotations

import re
from datetime import date, datetime

from formats.sheets.table import as_text

_CLOCK = r"(?:[ T]+(\d{1,2}):(\d\d)(?::(\d\d))?)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})[/.年-](\d{{1,2}})[/.月-](\d{{1,2}})日?{_CLOCK}")
_DAY_FIRST = re.compile(rf"(\d{{1,2}})\.\s?(\d{{1,2}})\.\s?(\d{{4}}){_CLOCK}")
_EITHER_FIRST = re.compile(rf"(\d{{1,2}})[/-](\d{{1,2}})[/-](\d{{4}}){_CLOCK}")


def read_when(value: object) -> str | None:
    """The time as ISO 8601, unchanged where it already is; None for anything that is not a single
    time.

    >>> read_when("31.1.2026"), read_when("2026/1/31 9:05"), read_when("1/2/2026")
    ('2026-01-31', '2026-01-31T09:05:00', None)
    """
    if isinstance(value, date):
        return as_text(value)
    if not isinstance(value, str):
        return None
    text = value.strip().removeprefix("'")
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return _read_other(text)
    return text


def _read_other(text: str) -> str | None:
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day, *clock = match.groups()
        return _join(year, month, day, clock)
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year, *clock = match.groups()
        return _join(year, month, day, clock)
    if match := _EITHER_FIRST.fullmatch(text):
        one, other, year, *clock = match.groups()
        readings = {_join(year, one, other, clock), _join(year, other, one, clock)} - {None}
        return readings.pop() if len(readings) == 1 else None
    return None


def _join(year: str, month: str, day: str, clock: list[str | None]) -> str | None:
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        when = datetime(int(year), int(month), int(day), hour, minute, second)
    except ValueError:
        return None
    return when.isoformat() if clock[0] is not None else when.date().isoformat()
