"""Failures held until their cause is known: the request, or a server.

The rule: a failure caused by a server that is down, or refuses everything, says nothing about the
request. Until a run's first answer every failure is held; later those that a failing server may
cause, until a request that was sent after them is answered. Unresolved failures are never stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from annotator.models.backend import Finished, RequestFailure

# Failures from a server that is stopping, down or overloaded.
SERVER_FAILURES = frozenset(
    {"connection", "timeout", "http_429", "http_502", "http_503", "http_504"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A finished request, and when it was sent and ended (monotonic clock, seconds)."""

    finished: Finished
    sent: float
    ended: float

    @property
    def failure(self) -> RequestFailure | None:
        """Why it failed; None for a reply."""
        outcome = self.finished[1]
        return outcome if isinstance(outcome, RequestFailure) else None


class HeldFailures:
    """The failures of one run that are still held."""

    def __init__(self, *, patience: int) -> None:
        self._patience = patience
        self._held: list[Answered] = []
        self._has_answer = False

    def sort(self, answers: Sequence[Answered]) -> list[Finished]:
        """Those of `answers`, and of the held failures, that can be returned now."""
        ready: list[Answered] = []
        for item in answers:
            failure = item.failure
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
