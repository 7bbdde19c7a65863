"""What JSON parsers accept and change, refused before a body is read.

The rule: what a route gets is what the client wrote. A key given twice (the last one would win
silently), NaN, a number that becomes infinite and half a surrogate pair are refused with one
sentence (400), as are deep nesting and bytes that are not UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from annotator.service.errors import ApiError

_HALF_PAIR = re.compile(r"\\u[dD][89abcdefABCDEF]")


def check_json(body: bytes) -> None:
    """Raises ApiError 400 `bad_json` for a body that is not JSON, or not unambiguously so."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_json(f"byte {error.start + 1} of the body is not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        reason = error.msg[:1].lower() + error.msg[1:]
        raise bad_json(f"the body is not JSON: {reason} at {place}") from None
    except RecursionError:
        raise bad_json("the body is nested too deeply") from None
    except ValueError:  # int() of thousands of digits
        raise bad_json("the body has a number with too many digits") from None
    if _HALF_PAIR.search(text):
        _refuse_half_pairs(value)


def bad_json(message: str) -> ApiError:
    """400 with one sentence."""
    return ApiError(status=400, code="bad_json", message=message)


def _refuse_half_pairs(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise bad_json("a text has half of a surrogate pair, which is not a character") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise bad_json("an object of the body has the same key twice")
    return found


def _refuse_constant(name: str) -> float:
    raise bad_json(f"the body has {name}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise bad_json("the body has a number that is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
)
