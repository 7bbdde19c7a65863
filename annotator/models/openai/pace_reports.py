"""The thread in which a backend reports to the coordinator of its pace, and takes its shares.

The rule: nothing per call leaves the process: one report for all servers every REPORT_S seconds,
and at once after a refusal, which concerns the other workers, too.
While the coordinator does not answer, the backend stays within its last share.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping

from annotator.models.openai.endpoints import Endpoint
from annotator.models.openai.pace import Pace
from annotator.models.pacing.reports import REPORT_S, PaceReport, SharesPace
from annotator.models.pacing.shared_limits import SharedLimits
from schemas.errors import BackendError

_SHORTEST_S = 0.02  # between two reports
FIRST_SHARE_S = 60.0  # the longest wait for the first share


class PaceReporter:
    """Reports while at least one caller uses the backend."""

    def __init__(
        self, coordinator: SharesPace, pace: Pace, limits: Mapping[Endpoint, SharedLimits]
    ) -> None:
        self._coordinator = coordinator
        self._pace = pace
        self._limits = limits
        self._name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._num_users = 0
        self._end = threading.Event()
        self._news = threading.Event()
        for item in limits.values():
            item.on_refusal = self._news.set
        self._lock = threading.Lock()
        self._began = 0.0
        self._fault = "it has not replied yet"

    def begin(self) -> None:
        """One more caller."""
        with self._lock:
            self._num_users += 1
            if self._num_users == 1:
                self._began = time.monotonic()
                self._end = threading.Event()
                arguments = (self._end,)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def end(self) -> None:
        """One caller less; after the last one, a last report gives the share back."""
        with self._lock:
            self._num_users -= 1
            if not self._num_users:
                self._end.set()
                self._news.set()

    def check(self) -> None:
        """BackendError when the coordinator has given no share for FIRST_SHARE_S seconds."""
        has_share = all(item.has_share for item in self._limits.values())
        if not has_share and time.monotonic() - self._began > FIRST_SHARE_S:
            raise BackendError(
                f"the coordinator of the run's rates does not answer ({self._fault}); run the same "
                "command again: it continues"
            )

    def _run(self, end: threading.Event) -> None:
        is_over = False
        while not is_over:
            is_over = end.is_set()
            self._news.clear()
            self._report()
            end.wait(_SHORTEST_S)
            self._news.wait(REPORT_S - _SHORTEST_S)

    def _report(self) -> None:
        with self._pace.guard():
            reports: dict[Endpoint, PaceReport] = {
                endpoint: limits.take_report(endpoint.num_under_way)
                for endpoint, limits in self._limits.items()
            }
        try:
            shares = self._coordinator.report(self._name, list(reports.values()))
        except Exception as error:  # of any transport: the last share holds until it answers
            self._fault = f"{type(error).__name__}: {error}"
            with self._pace.guard():
                for endpoint, report in reports.items():
                    self._limits[endpoint].take_back(report)
            if time.monotonic() - self._began > FIRST_SHARE_S:
                self._pace.wake_all()
            return
        with self._pace.guard():
            now = time.monotonic()
            for endpoint, share in zip(reports, shares, strict=True):
                self._limits[endpoint].take_share(share)
                if share.hold_s:
                    endpoint.gate.hold(now, share.hold_s)
            self._pace.look()
