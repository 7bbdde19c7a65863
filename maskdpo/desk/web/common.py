"""What pages have in common: the source, keys of labels, times, numbers, bars, durations.

The rule: widths of bars are one of 101 classes in a style sheet, since pages have no style
attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.requests import Request

from annotator.service.errors import ApiError
from maskdpo.desk.model import Filter
from maskdpo.desk.web.filter_query import QueryError, read_filter
from schemas.labels import Label

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource


# The keys of labels, in the order of their buttons.
LABEL_KEYS: Mapping[str, Label] = {
    "1": Label.NO_HALLUCINATION,
    "2": Label.CONTRADICTORY,
    "3": Label.UNVERIFIABLE,
    "4": Label.NO_FACT,
    "5": Label.HALLUCINATED,
    "0": Label.UNDETERMINED,
}


def now() -> str:
    """The time of a review: ISO 8601 in UTC, to the microsecond, so that two reviews differ."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def path_of(source: OpenSource) -> str:
    """The path of a source's pages; keys need no quotes."""
    return f"/review/s/{source.files.key}"


def open_source(desk: Desk, key: str) -> OpenSource:
    """The annotations of a key, with what others appended. Raises ApiError 404."""
    found = desk.sources.get(key)
    if found is None or found.files.kind != "annotations":
        raise ApiError(status=404, code="not_found", message="there is no such source")
    found.refresh()
    return found


def filter_of(request: Request, *, also: tuple[str, ...] = ()) -> Filter:
    """The filter of a page's address. Raises ApiError 400."""
    try:
        return read_filter(request.url.query, also=also)
    except QueryError as error:
        raise ApiError(status=400, code="filter", message=str(error)) from None


def whole_number(request: Request, name: str) -> int | None:
    """A parameter of a page as a number from 0. Raises ApiError 400."""
    value = request.query_params.get(name, "")
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        message = f"{name} is {value[:40]!r}, but it must be a whole number from 0"
        raise ApiError(status=400, code="filter", message=message)
    return int(value)


def percent(part: float, whole: float) -> int:
    """A share as a whole number from 0 to 100, for a class of a bar; a small share is not 0."""
    if not whole or part <= 0:
        return 0
    return min(100, max(1, round(100 * part / whole)))


def duration(seconds: float | None) -> tuple[int, int] | None:
    """(hours, minutes), rounded up to a minute; None where it is not known."""
    if seconds is None:
        return None
    minutes = -int(-seconds // 60)
    return minutes // 60, minutes % 60
