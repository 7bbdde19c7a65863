"""What one attempt at a piece counts for the metrics of the run."""

from __future__ import annotations

from dataclasses import dataclass

from annotator.calls.metrics.counting import Role, RunMetrics
from annotator.calls.metrics.snapshot import MetricsSnapshot
from schemas.events import Event


class StageTally:
    """Counts the events of an attempt whose model has this role."""

    def __init__(self, role: Role) -> None:
        self._metrics = RunMetrics()
        self._listen = self._metrics.listener(role)

    def __call__(self, event: Event) -> None:
        """One event."""
        self._listen(event)

    def snapshot(self) -> MetricsSnapshot:
        """The counts so far."""
        return self._metrics.snapshot()


@dataclass(frozen=True, kw_only=True)
class MakeStageTally:
    """Makes tallies in worker processes."""

    role: Role

    def __call__(self) -> StageTally:
        """A tally for a new attempt."""
        return StageTally(self.role)
