"""What the workers of one run share: limits, paces of servers, progress, and whether to stop.

The rule: everything that a worker reports is a total since it began, so a report that is lost or
repeated changes nothing, and a new hub knows everything after one report of each worker. Until then
it grants nothing.

It handles one call at a time, each within microseconds, and waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from annotator.calls.usage import Limits
from annotator.scale.ledger import NOTHING, Account, Amount, Grant, Ledger, Need
from schemas.events import Usage

if TYPE_CHECKING:
    from annotator.models.pacing.coordinator import Coordinator
    from annotator.models.pacing.reports import PaceReport, PaceShare

SILENT_S = 15.0
"""A worker that has not reported for this long is treated as dead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptState:
    """One attempt at a piece: all counts since it began.

    attempt   unique in the run
    piece     the number of the piece
    num_done  rows that are done
    tally     what the listener of the run counted (its `snapshot()`)
    """

    attempt: str
    piece: int
    num_done: int = 0
    usage: Usage | None = None
    tally: Any = None
    is_over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerReport:
    """What a worker reports about once a second; `is_ready` when it has been made."""

    spent: Amount = NOTHING
    granted: Amount = NOTHING
    num_under_way: int = 0
    attempt: AttemptState | None = None
    notes: Sequence[str] = ()
    is_ready: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """The reply to a report.

    is_halted   make no further calls and begin no piece
    must_return return what is granted and not needed
    """

    is_halted: bool = False
    must_return: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What the driver has not seen yet, and what it needs to start another hub.

    attempts      those that changed
    num_alive     workers that report
    num_working   of these, those that do a piece
    num_starting  of these, those that are still being made
    """

    attempts: Sequence[AttemptState]
    notes: Sequence[str]
    accounts: Mapping[int, Account]
    next_worker: int
    num_alive: int
    num_working: int
    num_starting: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HubStart:
    """What a hub begins with; `accounts` and `next_worker` are those of the hub before it."""

    limits: Limits
    num_workers: int
    accounts: Mapping[int, Account] = field(default_factory=dict)
    next_worker: int = 0
    is_halted: bool = False


class Hub:
    """The shared state of a run."""

    def __init__(self, start: HubStart, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: Coordinator | None = None
        accounts = {key: replace(item) for key, item in start.accounts.items()}
        self._ledger = Ledger(limits=start.limits, num_workers=start.num_workers, accounts=accounts)
        self._next_worker = start.next_worker
        self._is_halted = start.is_halted
        self._last_seen = {worker: clock() for worker, item in accounts.items() if item.is_alive}
        self._unheard = set(self._last_seen)  # workers of the hub before that may have more now
        self._starting: set[int] = set()
        self._working: set[int] = set()
        self._changed: dict[str, AttemptState] = {}
        self._notes: list[str] = []

    def join(self) -> int:
        """The number of a new worker."""
        number = self._next_worker
        self._next_worker += 1
        self._see(number)
        self._ledger.account(number)
        return number

    def report(self, worker: int, report: WorkerReport) -> Orders:
        """Take over the totals of a worker."""
        self._see(worker)
        self._next_worker = max(self._next_worker, worker + 1)
        self._ledger.note(worker, spent=report.spent, num_under_way=report.num_under_way)
        self._hear(worker, report.granted)
        self._working.discard(worker)
        (self._starting.discard if report.is_ready else self._starting.add)(worker)
        if report.attempt is not None:
            self._changed[report.attempt.attempt] = report.attempt
            if not report.attempt.is_over:
                self._working.add(worker)
        self._notes += [note for note in report.notes if note not in self._notes]
        return Orders(is_halted=self._is_halted, must_return=self._ledger.is_short)

    def ask(self, worker: int, need: Need) -> Grant:
        """A worker's call does not fit its grant."""
        self._see(worker)
        self._hear(worker, need.held)
        self._forget_silent()
        if self._unheard:
            return Grant(total=self._ledger.account(worker).granted)
        return self._ledger.ask(worker, need)

    def give_back(self, worker: int, most: Amount) -> None:
        """A worker keeps no more than `most`."""
        if worker not in self._unheard:
            self._ledger.give_back(worker, most)

    def total_spent(self) -> Amount:
        """What all workers have spent, as they last reported."""
        return self._ledger.spent

    def pace(self, worker: str, reports: Sequence[PaceReport]) -> list[PaceShare]:
        """As `Coordinator.report`."""
        if self._paces is None:
            from annotator.models.pacing.coordinator import Coordinator

            self._paces = Coordinator()
        return list(self._paces.report(worker, reports))

    def halt(self) -> None:
        """No further calls, no further pieces."""
        self._is_halted = True

    def take_changes(self) -> Changes:
        """What changed since the last time."""
        self._forget_silent()
        attempts, self._changed = list(self._changed.values()), {}
        notes, self._notes = self._notes, []
        return Changes(
            attempts=attempts,
            notes=notes,
            accounts={key: replace(item) for key, item in self._ledger.accounts.items()},
            next_worker=self._next_worker,
            num_alive=len(self._last_seen),
            num_working=len(self._working),
            num_starting=len(self._starting),
        )

    def _see(self, worker: int) -> None:
        self._last_seen[worker] = self._clock()

    def _hear(self, worker: int, granted: Amount) -> None:
        """What the hub before this one had granted a worker by its end."""
        if worker in self._unheard:
            self._unheard.discard(worker)
            self._ledger.account(worker).granted = granted

    def _forget_silent(self) -> None:
        """Workers that are silent for too long are dead: they return nothing any more."""
        now = self._clock()
        silent = [worker for worker, seen in self._last_seen.items() if now - seen > SILENT_S]
        for worker in silent:
            del self._last_seen[worker]
            self._unheard.discard(worker)
            self._working.discard(worker)
            self._starting.discard(worker)
            self._ledger.account(worker).is_alive = False
