"""JSON objects in the reply of a model: fenced, within prose, or cut off in the middle.

The rule: only text that parses as JSON is used, nothing is repaired. An object with a duplicate key
counts as broken: which value was meant is unknown. The caller decides what an object means, and
whether a broken one makes the reply invalid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

_MAX_OBJECTS = 256
_MAX_SCANNED_CHARS = 200_000  # no requested reply is longer


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundObject:
    """`text[start:end]` is a JSON object with this `value`; None where a broken one begins."""

    start: int
    end: int
    value: dict[str, Any] | None


def scan_json_objects(text: str) -> Iterator[FoundObject]:
    """The outermost JSON objects of `text`, in order, broken ones included.

    The scan continues after a whole object, and after the brace of a broken one.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_unique_keys)
    start = text.find("{")
    while start != -1:
        try:
            raw, end = decoder.raw_decode(text, start)
            value = clean_value(raw)
        except (ValueError, RecursionError):  # RecursionError: nested deeper than any useful reply
            value, end = None, start + 1
        yield FoundObject(start=start, end=end, value=value)
        start = text.find("{", end)


def find_json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in `text`, in order; those of an array count one by one.

    Of an object that is cut off, the whole objects inside are found.

    >>> find_json_objects('Sure! {"a": 1} and [{"b": 2}, 3] {"c": [{"d": 4}, {"e"')
    [{'a': 1}, {'b': 2}, {'d': 4}]
    """
    scanned = scan_json_objects(text[:_MAX_SCANNED_CHARS])
    whole = (found.value for found in scanned if found.value is not None)
    return list(islice(whole, _MAX_OBJECTS))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A decoder's hook: an object's keys and values, or a ValueError for a key given twice."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return values


def clean_value(value: Any) -> Any:
    """A JSON value whose strings can be written: half of a surrogate pair becomes `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    if isinstance(value, dict):
        return {clean_value(key): clean_value(item) for key, item in value.items()}
    return value
