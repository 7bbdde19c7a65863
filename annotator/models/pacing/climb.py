"""How a limit that was found by a refusal rises again: slowly near it, and quickly once past it.

The rule: a limit rises only while it is used up. Until `hold_s` seconds have passed it stays just
below the refused value; then it rises by 2% per second, so that a server that still refuses there
refuses one call or two, and past 1.05 times the refused value ever faster, up to doubling in
3 s, since the server's limit has then been raised. The shape is that of CUBIC (RFC 9438): steep
far from the last refusal, flat around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_FIRST_SLOPE = 0.02  # relative rise per second
_LAST_SLOPE = math.log(2) / 3
_SLOW_S = 3.5  # after the hold: from 0.98 to 1.05 of the refused value
_GAIN = 0.05  # added to the slope each second afterwards
_FAST_S = (_LAST_SLOPE - _FIRST_SLOPE) / _GAIN


@dataclass(kw_only=True, slots=True)
class Climb:
    """A limit after a refusal.

    ceiling  the value that was refused
    start    share of `ceiling` just after the refusal
    plateau  share of `ceiling` at the end of the hold
    hold_s   seconds of use before it rises above the plateau
    used_s   seconds in which the limit was used up since the refusal
    """

    ceiling: float
    start: float
    plateau: float
    hold_s: float
    used_s: float = 0.0

    @property
    def value(self) -> float:
        """The limit now."""
        if self.used_s < self.hold_s:
            share = self.start + (self.plateau - self.start) * self.used_s / self.hold_s
            return self.ceiling * share
        return self.ceiling * self.plateau * math.exp(_log_gain(self.used_s - self.hold_s))

    @property
    def is_fast(self) -> bool:
        """Whether it rises quickly, so that a refusal may come far above the server's limit."""
        return self.used_s > self.hold_s + _SLOW_S + 1


def _log_gain(seconds: float) -> float:
    """The natural log of the rise, `seconds` after the hold."""
    slow = min(seconds, _SLOW_S)
    faster = min(max(seconds - _SLOW_S, 0.0), _FAST_S)
    fast = max(seconds - _SLOW_S - _FAST_S, 0.0)
    gain = _FIRST_SLOPE * (slow + faster) + _GAIN * faster**2 / 2 + _LAST_SLOPE * fast
    return min(gain, 20.0)
