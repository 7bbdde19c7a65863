"""Which failed calls are sent again, after which delay, and which were refused for lack of room.

The rule: the server's instructions take precedence (`Retry-After` in seconds or as a date,
`x-should-retry`); otherwise a call is repeated where another try may help, after a delay that
doubles.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
LONGEST_RETRY_AFTER_S = 120.0  # a call is not repeated where the server asks for more
_JITTER = 0.25  # a delay is shortened randomly by up to this share, so that calls are spread
# Statuses of a full server. 503 also means one that is starting or down, so it counts as a refusal
# only of a server that accepted calls a moment before, or that asks to wait.
_REFUSED = 429
_OVERLOADED = frozenset({503, 529})
ACCEPTED_LATELY_S = 60.0
_RETRIED = frozenset({408, 409, 429})  # time-out, conflict, too many requests; and all from 500


def is_retried(status: int, headers: Mapping[str, str]) -> bool:
    """Whether a call that got this HTTP status should be sent again.

    True for 408, 409, 429 and every status from 500. The server's headers (lower-case names) take
    precedence: `x-should-retry`, and a `Retry-After` above LONGEST_RETRY_AFTER_S seconds, which
    means no.
    """
    asked = retry_after(headers)
    if asked is not None and asked > LONGEST_RETRY_AFTER_S:
        return False
    match headers.get("x-should-retry"):
        case "true":
            return True
        case "false":
            return False
    return status in _RETRIED or status >= 500


def is_refusal(status: int, headers: Mapping[str, str], *, accepts: bool) -> bool:
    """Whether a full server refused a call that it should be sent again.

    `accepts`: the server accepted calls in the last ACCEPTED_LATELY_S seconds.
    """
    if not is_retried(status, headers):
        return False
    if status in _OVERLOADED:
        return accepts or retry_after(headers) is not None
    return status == _REFUSED


def retry_delay(num_retries: int, asked: float | None) -> float:
    """Seconds to wait before the next try, after `num_retries` retries; `asked` by the server."""
    if asked is not None and 0 < asked <= LONGEST_RETRY_AFTER_S:
        return asked
    delay = min(FIRST_DELAY_S * 2.0 ** min(num_retries, 10), LONGEST_DELAY_S)
    return delay * (1 - _JITTER * random.random())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait; None where the header is missing or not readable.

    >>> retry_after({"retry-after-ms": "1500"}), retry_after({"retry-after": "soon"})
    (1.5, None)
    """
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / divisor
        except ValueError:
            continue
        return None if math.isnan(seconds) else seconds
    try:
        parsed = parsedate_tz(headers.get("retry-after", ""))
        return None if parsed is None else mktime_tz(parsed) - time.time()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
