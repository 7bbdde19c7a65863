"""Failures held until their cause is known: the request, or a server. And when they stop a run.

The rule: a failure caused by a server that is down, or refuses everything, says nothing about the
request. Until a run's first answer every failure is held; later those that a failing server may
cause, until a request that was sent after them is answered. Unresolved failures are never stored.
A run stops when all of its first calls fail for one reason, or more than half of a window of calls.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from annotator.models.backend import Finished, RequestFailure

if TYPE_CHECKING:
    from annotator.models.openai.endpoints import Endpoint

# Failures from a server that is stopping, down or overloaded.
SERVER_FAILURES = frozenset(
    {"connection", "timeout", "http_429", "http_502", "http_503", "http_504", "http_529"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A finished request, and when it was sent and ended (monotonic clock, seconds).

    endpoint     the server that it was sent to
    is_refusal   that server was full
    is_retried   another try may help
    retry_after  seconds that the server asked to wait
    """

    finished: Finished
    sent: float
    ended: float
    endpoint: Endpoint | None = None
    is_refusal: bool = False
    is_retried: bool = False
    retry_after: float | None = None

    @property
    def failure(self) -> RequestFailure | None:
        """Why it failed; None for a reply."""
        outcome = self.finished[1]
        return outcome if isinstance(outcome, RequestFailure) else None


class FailureWindow:
    """The outcomes of the last `size` calls of a backend, over all of its streams; 0: none.

    A call counts when nothing is tried any more: refused and repeated sends do not.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._last: deque[RequestFailure | None] = deque(maxlen=max(1, size))
        self._num_failed = 0
        self._lock = threading.Lock()

    def add(self, failure: RequestFailure | None) -> None:
        """One more final outcome; None for a reply."""
        with self._lock:
            if len(self._last) == self._last.maxlen and self._last[0] is not None:
                self._num_failed -= 1
            self._last.append(failure)
            self._num_failed += failure is not None

    def too_many(self) -> str | None:
        """Which failures make up more than half of a full window; None otherwise.

        The window is then emptied: the next run on this backend starts again.
        """
        with self._lock:
            if not self._size or len(self._last) < self._size:
                return None
            if 2 * self._num_failed <= self._size:
                return None
            failures = [item for item in self._last if item is not None]
            self._last.clear()
            self._num_failed = 0
        counts = Counter(item.reason for item in failures).most_common()
        named = ", ".join(f"{reason} {count}" for reason, count in counts)
        last = failures[-1]
        return (
            f"{len(failures)} of the last {self._size} calls failed ({named}; last: {last.reason}: "
            f"{last.detail})"
        )


class HeldFailures:
    """The failures of one stream that are still held."""

    def __init__(self, *, patience: int, window: FailureWindow) -> None:
        self._patience = patience
        self._window = window
        self._held: list[Answered] = []
        self._has_answer = False

    @property
    def has_answer(self) -> bool:
        """Whether any call got a reply."""
        return self._has_answer

    def sort(self, answers: Sequence[Answered]) -> list[Finished]:
        """Those of `answers`, and of the held failures, that can be returned now."""
        ready: list[Answered] = []
        for item in answers:
            failure = item.failure
            self._window.add(failure)
            if failure is None:
                self._has_answer = True
            is_held = failure is not None and (
                not self._has_answer or failure.reason in SERVER_FAILURES
            )
            (self._held if is_held else ready).append(item)
        alive_at = max((item.sent for item in ready if item.failure is None), default=None)
        if alive_at is not None:
            ready += [item for item in self._held if item.ended < alive_at or not _is_servers(item)]
            self._held = [
                item for item in self._held if item.ended >= alive_at and _is_servers(item)
            ]
        return [item.finished for item in ready]

    def too_many(self) -> str | None:
        """Which failures make up more than half of the window; reported once."""
        return self._window.too_many()

    def all_alike(self) -> str | None:
        """The common cause of all requests so far, when many failed; None otherwise."""
        failures = [failure for item in self._held if (failure := item.failure) is not None]
        reasons = {failure.reason for failure in failures}
        if self._has_answer or len(failures) < self._patience or len(reasons) != 1:
            return None
        return (
            f"the first {len(failures)} requests all failed for the same reason "
            f"({failures[-1].reason}: {failures[-1].detail})"
        )

    def release(self) -> list[Finished]:
        """All held failures: at the end of the run they count as caused by the requests."""
        released, self._held = self._held, []
        return [item.finished for item in released]


def _is_servers(item: Answered) -> bool:
    return item.failure is not None and item.failure.reason in SERVER_FAILURES
