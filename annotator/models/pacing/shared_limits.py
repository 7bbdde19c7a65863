"""A worker's side of shared limits: its share, and what it did since its last report.

The rule: a worker never sends more than its last share; a refusal makes it send less at once, until
the next share.
"""

from __future__ import annotations

from collections.abc import Callable

from annotator.models.pacing.reports import PaceReport, PaceShare

_LESS = 0.95  # of the share's rate, after a refusal


class SharedLimits:
    """The limits of one gate, from a coordinator. Guarded by the lock of the gate.

    `on_refusal` is called when a report should not wait: other workers must know of a refusal.
    """

    def __init__(self, url: str, model: str, most: int) -> None:
        self._url, self._model, self._most = url, model, most
        self._share: PaceShare | None = None
        self._rate = 0.0
        self._counts: dict[str, int] = {}
        self._latency_s = 0.0
        self._is_rate_short = self._is_room_short = False
        self.on_refusal: Callable[[], None] = lambda: None

    @property
    def has_share(self) -> bool:
        """Whether the coordinator has replied."""
        return self._share is not None

    @property
    def rate(self) -> float:
        """Calls per second that may be sent now."""
        return self._rate

    @property
    def known_rate(self) -> float | None:
        """`rate`, or None while the server has refused nothing."""
        return self._rate if self._share is not None and self._share.is_known else None

    @property
    def room(self) -> int:
        """Calls that may be under way; 0 before the first share."""
        return 0 if self._share is None else self._share.room

    @property
    def room_rises(self) -> bool:
        """False: a new share wakes the gate."""
        return False

    def sent(self, at: float, count: int = 1) -> None:
        """Calls were sent; a negative count takes some back."""
        self._add("num_sent", count)

    def accepted(self, count: int, latency: float | None = None) -> None:
        """Calls got a reply."""
        self._add("num_accepted", count)
        self._latency_s += count * (latency or 0.0)

    def advance(self, now: float, *, rate_short: bool, room_short: bool) -> None:
        """Note what calls wait for."""
        self._is_rate_short |= rate_short
        self._is_room_short |= room_short

    def refused(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that were sent within the present share."""
        self._add("num_refused", count)
        self._rate *= _LESS
        self.on_refusal()

    def refused_late(self, now: float, count: int = 1, *, sent_at: float | None = None) -> None:
        """Calls were refused that say nothing new."""
        self._add("num_late", count)

    def refused_for_room(self, num_others: int) -> None:
        """Other workers' calls count, too: a refusal like others; its caller counts it as late."""
        self._add("num_refused", 1)
        self._add("num_late", -1)

    def timed_out(self, num_in_flight: int, sent_at: float, now: float) -> None:
        """A call got no reply in time."""
        self._add("num_timeouts", 1)

    def take_report(self, num_in_flight: int) -> PaceReport:
        """What was done since the last report; it begins again."""
        counts, self._counts = self._counts, {}
        num_accepted = counts.get("num_accepted", 0)
        report = PaceReport(
            url=self._url,
            model=self._model,
            most=self._most,
            num_sent=counts.get("num_sent", 0),
            num_accepted=num_accepted,
            num_refused=counts.get("num_refused", 0),
            num_late=counts.get("num_late", 0),
            num_timeouts=counts.get("num_timeouts", 0),
            num_in_flight=num_in_flight,
            is_rate_short=self._is_rate_short,
            is_room_short=self._is_room_short,
            latency_s=self._latency_s / num_accepted if num_accepted else None,
        )
        self._latency_s = 0.0
        self._is_rate_short = self._is_room_short = False
        return report

    def take_back(self, report: PaceReport) -> None:
        """A report that did not arrive: the next one contains it."""
        for name in ("num_sent", "num_accepted", "num_refused", "num_late", "num_timeouts"):
            self._add(name, getattr(report, name))
        self._latency_s += report.num_accepted * (report.latency_s or 0.0)

    def take_share(self, share: PaceShare) -> None:
        """A new share."""
        self._share, self._rate = share, share.rate

    def _add(self, name: str, count: int) -> None:
        self._counts[name] = self._counts.get(name, 0) + count
