"""The limits of a run in one of its workers: `Budget` over calls of all workers.

The rule: a call is admitted only within what the run's ledger granted this worker
(annotator/scale/ledger.py). Every message that changes the grant is sent while the budget's lock is
held, so worker and ledger see them in the same order; where one gets lost, the ledger has granted
more than the worker uses, never less.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from annotator.calls.usage import NO_LIMITS, Budget, Meter, Tokens, reserve
from annotator.models.backend import Request
from annotator.models.prices import show_money
from annotator.scale.ledger import NOTHING, Amount, Grant, Need

_ASK_AGAIN_S = 0.2


class KeepsLedger(Protocol):
    """The ledger as one worker sees it; both may raise BackendError where it cannot be reached."""

    def ask(self, need: Need) -> Grant:
        """As `Ledger.ask`."""

    def give_back(self, most: Amount) -> None:
        """As `Ledger.give_back`."""

    def total_spent(self) -> Amount:
        """What all workers have spent."""


@dataclass(kw_only=True)
class SharedBudget(Budget):
    """The limits of the whole run, for the calls of one worker.

    ledger     grants what may be spent
    is_halted  whether the run is stopping, so that no call may be made
    granted    what this worker may have spent and reserved in total
    """

    ledger: KeepsLedger
    is_halted: Callable[[], bool] = lambda: False
    sleep: Callable[[float], None] = time.sleep
    granted: Amount = NOTHING
    _before: Amount = NOTHING  # spent by meters that are no longer in `meters`
    _is_stopped: bool = False
    _currency: str = field(default="", init=False)

    def join(self, meter: Meter) -> None:
        """Count `meter` too. Raises ConfigError as `check_prices` does."""
        super().join(meter)
        if meter.is_priced and meter.prices is not None:
            self._currency = meter.prices.currency

    def admits(self, meter: Meter, requests: Sequence[Request]) -> bool:
        """Whether `requests` fit the limits together with all calls of all workers.

        Asks the ledger where this worker's grant is used up. Without calls under way here, it
        blocks until other workers have returned what they do not need, or have used it up.
        """
        self._is_stopped = self.is_halted()
        if self._is_stopped:
            return False
        if self.limits == NO_LIMITS:
            return True
        most = self._bounded(self.most)
        more, shown = self._of(meter, requests)
        need = most + self._bounded(more)
        while not need.fits(self.granted):
            grant = self.ledger.ask(
                Need(
                    total=need,
                    most=most,
                    held=self.granted,
                    spent=self.spent,
                    num_under_way=self.num_under_way,
                )
            )
            self.granted = grant.total
            if need.fits(self.granted):
                break
            self._exceeded = list(grant.exceeded)
            if self.limits.bound_tokens:
                self._needed = f", and the next may take {meter.show(shown)}"
            if grant.is_final or self.num_under_way:
                return False
            self.sleep(_ASK_AGAIN_S)
            if self.is_halted():
                self._is_stopped = True
                return False
        return True

    def give_back(self) -> None:
        """Return what is not needed for calls under way."""
        with self.lock:
            most = self._bounded(self.most)
            if not self.granted.fits(most):
                self.granted = most
                self.ledger.give_back(most)

    def fold(self) -> None:
        """Keep only the sums of meters without calls under way: their work has ended."""
        with self.lock:
            for meter in [item for item in self.meters if not item.num_under_way]:
                self._before += _spent_by(meter)
                self.meters.remove(meter)

    @property
    def spent(self) -> Amount:
        """What this worker has spent, calls under way at 0 tokens."""
        return sum(map(_spent_by, list(self.meters)), self._before)

    @property
    def most(self) -> Amount:
        """What this worker has spent, and the maximum of its calls under way."""
        return sum((_amount(item, item.most) for item in list(self.meters)), self._before)

    def describe_stop(self) -> str:
        """A sentence: which limit the next call does not fit, and what all workers spent."""
        if self._is_stopped:
            return "the run is stopping, because another worker could not continue"
        spent = self.ledger.total_spent()
        cost = show_money(spent.cost, self._currency) if self._currency else ""
        return self._describe_stop(spent.calls, spent.tokens, cost)

    def _of(self, meter: Meter, requests: Sequence[Request]) -> tuple[Amount, Tokens]:
        """The maximum of `requests`, also as tokens."""
        tokens = Tokens()
        if self.limits.bound_tokens:
            tokens = sum(map(reserve, requests), tokens)
        cost = meter.cost_of(tokens) or 0.0
        return Amount(calls=len(requests), tokens=tokens.total, cost=cost), tokens

    def _bounded(self, amount: Amount) -> Amount:
        """`amount` without the parts that have no limit."""
        limits = self.limits
        return Amount(
            calls=amount.calls if limits.max_calls is not None else 0,
            tokens=amount.tokens if limits.max_tokens is not None else 0,
            cost=amount.cost if limits.max_cost is not None else 0.0,
        )


def _spent_by(meter: Meter) -> Amount:
    return _amount(meter, meter.tokens)


def _amount(meter: Meter, tokens: Tokens) -> Amount:
    return Amount(calls=meter.num_asked, tokens=tokens.total, cost=meter.cost_of(tokens) or 0.0)
