"""One worker process: its link to the hub, its budget, and what it reports.

The rule: a thread reports once a second, whatever the worker does, so that the run knows that it is
alive; nothing is sent per call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from annotator.calls.usage import Limits
from annotator.scale.ledger import Amount, Grant, Need
from annotator.scale.on_ray.hub import AttemptState, Orders, WorkerReport
from annotator.scale.on_ray.link import HubGoneError, HubLink
from annotator.scale.shared_budget import SharedBudget
from annotator.scale.work import Piece
from schemas.errors import BackendError
from schemas.events import Advanced, Event, Noted, Usage

REPORT_S = 1.0
SHORT_REPORT_S = 0.2  # while limits are nearly used up


class Tally(Protocol):
    """Counts the events of one attempt at a piece."""

    def __call__(self, event: Event) -> None:
        """One event."""

    def snapshot(self) -> Any:
        """The counts so far; plain data that can be pickled."""


MakeTally = Callable[[], Tally]
"""Picklable; called once per attempt."""


class Attempt:
    """The progress of one attempt at a piece, from the events of its worker."""

    def __init__(
        self, piece: Piece, *, number: int, name: str, stage: str, tally: Tally | None
    ) -> None:
        self._piece = piece
        self._number = number
        self._name = name
        self._stage = stage
        self._tally = tally
        self._num_done = 0
        self._usage: Usage | None = None
        self._is_over = False
        self.notes: list[str] = []

    def __call__(self, event: Event) -> None:
        """One event of the worker; called from its thread."""
        if self._tally is not None:
            self._tally(event)
        match event:
            case Advanced(stage=self._stage):
                self._num_done += event.count
                self._usage = event.usage or self._usage
            case Noted():
                self.notes.append(event.text)

    def end(self) -> None:
        """No more events follow."""
        self._is_over = True

    def state(self) -> AttemptState:
        """The counts so far."""
        return AttemptState(
            attempt=self._name,
            piece=self._number,
            num_done=min(self._num_done, self._piece.num_rows),
            usage=self._usage,
            tally=None if self._tally is None else self._tally.snapshot(),
            is_over=self._is_over,
        )


@dataclass(frozen=True, kw_only=True)
class LedgerLink:
    """The run's ledger, for the budget of one worker."""

    link: HubLink
    worker: int

    def ask(self, need: Need) -> Grant:
        """As `Ledger.ask`."""
        grant: Grant = self.link("ask", self.worker, need)
        return grant

    def give_back(self, most: Amount) -> None:
        """As `Ledger.give_back`; a hub that starts later gets it with the next report."""
        with suppress(HubGoneError):
            self.link.try_once("give_back", self.worker, most)

    def total_spent(self) -> Amount:
        """What all workers have spent."""
        spent: Amount = self.link("total_spent")
        return spent


class WorkerSide:
    """What a worker process has of the run: its number, its budget, its reports.

    is_ready  whether the worker has been made, which takes minutes for a local model
    """

    def __init__(self, link: HubLink, limits: Limits) -> None:
        self._link = link
        self.number: int = link("join")
        self.orders = Orders()
        self.budget = SharedBudget(
            limits=limits,
            ledger=LedgerLink(link=link, worker=self.number),
            is_halted=lambda: self.orders.is_halted,
        )
        self.is_ready = False
        self._attempt: Attempt | None = None
        self._sending = threading.Lock()  # one report at a time, in the order of their counts
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_reporting, name="reports", daemon=True)
        self._thread.start()

    def begin(self, attempt: Attempt) -> bool:
        """An attempt begins; False where the run is stopping."""
        self._attempt = attempt
        self.orders = self._report(self._link)
        return not self.orders.is_halted

    def end(self) -> None:
        """The present attempt has ended."""
        if self._attempt is not None:
            self._attempt.end()
            self.budget.fold()
            self._report(self._link)
            self._attempt = None

    def close(self) -> None:
        """Report no more."""
        self._ended.set()
        self._thread.join()

    def _keep_reporting(self) -> None:
        while not self._ended.wait(SHORT_REPORT_S if self.orders.must_return else REPORT_S):
            try:
                self.orders = self._report(self._link.try_once)
                if self.orders.must_return:
                    self.budget.give_back()
            except (HubGoneError, BackendError):
                continue  # the driver starts another one

    def _report(self, send: Callable[..., Any]) -> Orders:
        with self._sending:
            attempt = self._attempt
            notes = list(attempt.notes) if attempt else []
            report = WorkerReport(
                spent=self.budget.spent,
                granted=self.budget.granted,
                num_under_way=self.budget.num_under_way,
                attempt=attempt.state() if attempt else None,
                notes=notes,
                is_ready=self.is_ready,
            )
            orders: Orders = send("report", self.number, report)
            if attempt:
                del attempt.notes[: len(notes)]
            return orders
