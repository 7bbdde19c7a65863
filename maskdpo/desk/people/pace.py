"""How quickly a person decides, and how long the rest will take.

The rule: time is what passes between two decisions of one person; a gap of more than five minutes
is a break, and is not counted. Reviews have whole times but no duration, so the first decision of a
sitting counts as one decision without time. Decisions with the same time (an imported sheet) say
nothing about pace and are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

BREAK = timedelta(minutes=5)
HOUR = timedelta(hours=1)
# Of the last sentences: people get quicker, and the remaining time should follow.
MAX_GAPS = 200
MIN_GAPS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The pace of one person.

    median_s       seconds per decision, over the last 200 without breaks; None: too few to say
    last_hour      decisions in the hour before now
    seconds        time spent, without breaks
    """

    median_s: float | None = None
    last_hour: int = 0
    seconds: float = 0.0

    def seconds_left(self, num_open: int) -> float | None:
        """The estimated time for `num_open` sentences; None where the pace is not known."""
        return None if self.median_s is None else self.mean_like(num_open)

    def mean_like(self, num_open: int) -> float:
        """`num_open` times the median."""
        return num_open * (self.median_s or 0.0)


def measure_pace(times: Iterable[datetime], now: datetime) -> Pace:
    """The pace of a person who decided at `times`, in any order; all with a time zone."""
    ordered = sorted(times)
    gaps = _gaps(ordered)
    recent = gaps[-MAX_GAPS:]
    return Pace(
        median_s=median(recent) if len(recent) >= MIN_GAPS else None,
        last_hour=sum(now - HOUR < time <= now for time in ordered),
        seconds=sum(gaps),
    )


def _gaps(ordered: Sequence[datetime]) -> list[float]:
    """Seconds between neighbouring decisions, without breaks and without imported ones."""
    at_once = {time for time, count in Counter(ordered).items() if count > 2}
    kept = [time for time in ordered if time not in at_once]
    gaps = (later - earlier for earlier, later in pairwise(kept))
    return [gap.total_seconds() for gap in gaps if gap <= BREAK]


def now_utc() -> datetime:
    """The present time."""
    return datetime.now(UTC)
