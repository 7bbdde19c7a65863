"""JSON objects out of whatever a model says: fenced, with prose around, cut off in the middle.

The rule: only what parses as JSON is taken, nothing is mended. An object that names a key twice
is none: there is no telling which value was meant. What an object means, and whether it is
believed, is for the caller.
"""

from __future__ import annotations

import json
from typing import Any

_MAX_OBJECTS = 256
_MAX_SCANNED_CHARS = 200_000  # no reply that we ask for is longer


def find_json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in `text`, in order; those of an array count one by one.

    Of an object that is cut off, the whole objects inside are found.

    >>> find_json_objects('Sure! {"a": 1} and [{"b": 2}, 3] {"c": [{"d": 4}, {"e"')
    [{'a': 1}, {'b': 2}, {'d': 4}]
    """
    text = text[:_MAX_SCANNED_CHARS]
    decoder = json.JSONDecoder(object_pairs_hook=unique_keys)
    found: list[dict[str, Any]] = []
    place = text.find("{")
    while place != -1 and len(found) < _MAX_OBJECTS:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):  # RecursionError: nested deeper than any reply of use
            end = place + 1
        else:
            found.append(clean_value(value))
        place = text.find("{", end)
    return found


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A decoder's hook: an object's keys and values, or a ValueError where a key stands twice."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands twice in one object")
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
