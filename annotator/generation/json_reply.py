"""JSON objects out of whatever a model says: fenced, with prose around, cut off in the middle.

The rule: only what parses as JSON is taken, nothing is mended. What an object means, and
whether it is believed, is for the caller.
"""

from __future__ import annotations

import json
from typing import Any

_DECODER = json.JSONDecoder()
_MAX_SCANNED_CHARS = 200_000  # no reply that we ask for is longer


def find_json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in `text`, in order; those of an array count one by one.

    Of an object that is cut off, the whole objects inside are found.

    >>> find_json_objects('Sure! {"a": 1} and [{"b": 2}, 3] {"c": [{"d": 4}, {"e"')
    [{'a': 1}, {'b': 2}, {'d': 4}]
    """
    text = text[:_MAX_SCANNED_CHARS]
    found: list[dict[str, Any]] = []
    place = text.find("{")
    while place != -1:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):  # RecursionError: nested deeper than any reply of use
            end = place + 1
        else:
            found.append(value)
        place = text.find("{", end)
    return found
