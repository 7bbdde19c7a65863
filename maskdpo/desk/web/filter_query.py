"""A filter as the query string of a page's address, and back.

The rule: `read_filter(write_filter(any filter))` is that filter, and a query that is not a filter
is refused with a sentence that names the parameter, its value and what is allowed. Only what
differs from the default is written, in a fixed order, so that one list has one address.

    label=contradictory&label=hallucinated&topic=law&confidence=0.6&status=open&q=Mira&order=random

Of `label`, `reason`, `topic` and `language`, several values may be given. Sentences without a
reason, topic or language are asked for as `without=reason`. An empty value is not a condition:
forms send one for each field that is left alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar
from urllib.parse import parse_qsl, quote_plus

from maskdpo.desk.model import Filter, Order, Status
from schemas.errors import MaskDpoError, nearest
from schemas.labels import Label
from schemas.records import MAX_WHOLE
from schemas.validation import show_value

MAX_QUERY_CHARS = 8_000
MAX_VALUES = 200
MAX_TEXT_CHARS = 500

_SETS = {"reason": "reasons", "topic": "topics", "language": "languages"}
_FLAGS = ("judge_differs", "people_differ", "flagged", "unreviewed", "second", "everyone")
_SINGLE = ("confidence", "status", *_FLAGS, "q", "order", "seed")
PARAMETERS = ("label", *_SETS, "without", *_SINGLE)

EnumT = TypeVar("EnumT", bound=StrEnum)


class QueryError(MaskDpoError):
    """A query string is not a filter; the message is one sentence for the person (status 400)."""

    exit_code = 2


def read_filter(query: str, *, also: Collection[str] = ()) -> Filter:
    """The filter of a query string, without its `?`.

    also    parameters of the page itself, which are not part of the filter

    Raises QueryError.
    """
    values = _read_values(query, also)
    without = _members("without", values["without"], tuple(_SETS))
    sets = {
        field: frozenset(values[name]) | ({""} if name in without else frozenset())
        for name, field in _SETS.items()
    }
    single = {name: _only(name, values[name]) for name in _SINGLE}
    flags = {name: _read_flag(name, single[name]) for name in _FLAGS}
    text = single["q"]
    if len(text) > MAX_TEXT_CHARS:
        raise QueryError(f"q has {len(text):,} characters; at most {MAX_TEXT_CHARS} are allowed")
    return Filter(
        labels=frozenset(_read_enum("label", item, Label) for item in values["label"]),
        reasons=sets["reasons"],
        topics=sets["topics"],
        languages=sets["languages"],
        confidence=_read_confidence(single["confidence"]),
        status=_read_enum("status", single["status"] or Status.ALL, Status),
        judge_differs=flags["judge_differs"],
        people_differ=flags["people_differ"],
        flagged=flags["flagged"],
        unreviewed=flags["unreviewed"],
        second=flags["second"],
        everyone=flags["everyone"],
        text=text,
        order=_read_enum("order", single["order"] or Order.READING, Order),
        seed=_read_seed(single["seed"]),
    )


def write_filter(filter: Filter, own: Mapping[str, str | int] | None = None) -> str:
    """The query string of a filter, without `?`; empty for the default.

    own    parameters of the page itself, added at the end
    """
    pairs: list[tuple[str, str]] = [("label", label) for label in sorted(filter.labels)]
    sets = {"reason": filter.reasons, "topic": filter.topics, "language": filter.languages}
    pairs += [(name, item) for name, items in sets.items() for item in sorted(items) if item]
    pairs += [("without", name) for name, items in sets.items() if "" in items]
    if filter.confidence is not None:
        pairs.append(("confidence", repr(filter.confidence)))
    if filter.status is not Status.ALL:
        pairs.append(("status", filter.status))
    flags = {
        "judge_differs": filter.judge_differs,
        "people_differ": filter.people_differ,
        "flagged": filter.flagged,
        "unreviewed": filter.unreviewed,
        "second": filter.second,
        "everyone": filter.everyone,
    }
    pairs += [(name, "1") for name, is_set in flags.items() if is_set]
    if filter.text:
        pairs.append(("q", filter.text))
    if filter.order is not Order.READING:
        pairs.append(("order", filter.order))
    if filter.seed:
        pairs.append(("seed", str(filter.seed)))
    pairs += [(name, str(value)) for name, value in (own or {}).items()]
    return "&".join(f"{name}={_quote(value)}" for name, value in pairs)


def _read_values(query: str, also: Collection[str]) -> Mapping[str, Sequence[str]]:
    """The values of each parameter of the filter, without empty ones."""
    if len(query) > MAX_QUERY_CHARS:
        message = f"the query has {len(query):,} characters; at most {MAX_QUERY_CHARS:,} are read"
        raise QueryError(message)
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="surrogatepass", max_num_fields=MAX_VALUES
        )
    except UnicodeDecodeError:
        message = f"the query {show_value(query)} is not UTF-8; open the list again from its page"
        raise QueryError(message) from None
    except ValueError:
        raise QueryError(f"the query has more than {MAX_VALUES} parameters") from None
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        if name in also:
            continue
        if name not in PARAMETERS:
            raise QueryError(
                f"unknown parameter {show_value(name)}; {nearest(name, PARAMETERS)} "
                f"(allowed are {', '.join(PARAMETERS)})"
            )
        if value:
            found[name].append(value)
    return found


def _only(name: str, values: Sequence[str]) -> str:
    different = sorted(set(values))
    if len(different) > 1:
        shown = " and ".join(show_value(item) for item in different)
        raise QueryError(f"{name} is given as {shown}; one value is allowed")
    return different[0] if different else ""


def _members(name: str, values: Sequence[str], allowed: Sequence[str]) -> frozenset[str]:
    for value in values:
        if value not in allowed:
            raise QueryError(_refusal(name, value, ", ".join(allowed)))
    return frozenset(values)


def _read_enum(name: str, value: str, kind: type[EnumT]) -> EnumT:
    if value not in kind.__members__.values():
        raise QueryError(_refusal(name, value, ", ".join(kind)))
    return kind(value)


def _read_flag(name: str, value: str) -> bool:
    if value not in ("", "0", "1"):
        raise QueryError(_refusal(name, value, "0 and 1"))
    return value == "1"


def _read_confidence(value: str) -> float | None:
    if not value:
        return None
    number = _number(value)
    if not 0.0 <= number <= 1.0:  # also false for nan
        raise QueryError(_refusal("confidence", value, "numbers from 0 to 1"))
    return number


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan


def _read_seed(value: str) -> int:
    is_number = value.isascii() and value.isdigit() and len(value) <= len(str(MAX_WHOLE))
    if value and not (is_number and int(value) <= MAX_WHOLE):
        raise QueryError(_refusal("seed", value, f"whole numbers from 0 to {MAX_WHOLE}"))
    return int(value or 0)


def _refusal(name: str, value: str, allowed: str) -> str:
    return f"{name} is {show_value(value)}; allowed are {allowed}"


def _quote(value: str) -> str:
    return quote_plus(value, safe="", errors="surrogatepass")
