"""How quickly a person decides, and how long the rest will take.

The rule: time is what passes between two decisions of one person; a gap of more than five minutes
is a break, and is not counted. Three or more decisions with one time are an imported sheet; they
say nothing about pace and are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

BREAK = timedelta(minutes=5)
HOUR = timedelta(hours=1)
# Of the last sentences: people get quicker, and the remaining time should follow.
MAX_GAPS = 200
MIN_GAPS = 3
# Nobody decides more than two sentences at the same second, whatever the clock's resolution is.
MAX_AT_ONCE = 2
_MAX_TIMES = 4 * MAX_GAPS


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The pace of one person.

    median_s       seconds per decision, over the last 200 without breaks; None: too few to say
    last_hour      decisions in the hour before now
    """

    median_s: float | None = None
    last_hour: int = 0

    def seconds_left(self, num_open: int) -> float | None:
        """The estimated time for `num_open` sentences; None where the pace is not known."""
        return None if self.median_s is None else num_open * self.median_s


def measure_pace(ordered: Sequence[datetime], now: datetime) -> Pace:
    """The pace of a person who decided at the times `ordered`, which are sorted and have zones."""
    recent = gaps_of(ordered[-_MAX_TIMES:])[-MAX_GAPS:]
    return Pace(
        median_s=median(recent) if len(recent) >= MIN_GAPS else None,
        last_hour=bisect_right(ordered, now) - bisect_right(ordered, now - HOUR),
    )


def gaps_of(ordered: Sequence[datetime]) -> list[float]:
    """Seconds between neighbouring decisions, without breaks and without imported ones."""
    at_once = {time for time, count in Counter(ordered).items() if count > MAX_AT_ONCE}
    kept = [time for time in ordered if time not in at_once]
    gaps = (later - earlier for earlier, later in pairwise(kept))
    return [gap.total_seconds() for gap in gaps if gap <= BREAK]
