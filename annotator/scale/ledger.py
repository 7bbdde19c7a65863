"""The limits of a run whose calls are made by several workers: who may spend how much.

The rule: a worker spends only what it was granted, and all grants together are never more than the
limits. So a limit holds whatever a worker does, even if it dies with calls under way: what it was
granted counts as spent.

A grant is a total since the worker began, and grows in blocks, which get smaller as the limit comes
near. When nothing is left, workers return what they do not need for calls under way (`recall`); the
run is at its limit when a call does not fit although nothing can be returned any more. Parts of an
amount that have no limit are 0 in grants and needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from annotator.calls.usage import Limits

_BLOCK = 64  # at most this many calls of the present size at once


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """What calls take: their number, tokens, and money in the currency of the prices."""

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            calls=self.calls + other.calls,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
        )

    def beyond(self, other: Amount) -> Amount:
        """What is missing in `other` for this amount; never negative."""
        return Amount(
            calls=max(0, self.calls - other.calls),
            tokens=max(0, self.tokens - other.tokens),
            cost=max(0.0, self.cost - other.cost),
        )

    def or_more(self, other: Amount) -> Amount:
        """The larger of both, part by part."""
        return Amount(
            calls=max(self.calls, other.calls),
            tokens=max(self.tokens, other.tokens),
            cost=max(self.cost, other.cost),
        )

    def fits(self, room: Amount) -> bool:
        """Whether no part of it is more than that of `room`."""
        return (
            self.calls <= room.calls
            and self.tokens <= room.tokens
            and self.cost <= room.cost + 1e-12 * max(1.0, abs(room.cost))
        )


NOTHING = Amount()


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """What a worker asks for, in total since it began.

    total          with the calls that it would like to make
    most           without them: what it has spent and reserved
    held           its present grant
    spent          what it has spent, without calls under way
    num_under_way  calls without an outcome
    """

    total: Amount
    most: Amount = NOTHING
    held: Amount = NOTHING
    spent: Amount = NOTHING
    num_under_way: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a worker may have spent and reserved in total.

    is_final   a refused call will not fit later either: no worker can return anything
    exceeded   the limits that a refused call does not fit, as messages name them
    """

    total: Amount
    is_final: bool = False
    exceeded: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class Account:
    """One worker: what it was granted, and what it has spent, calls under way not included.

    num_under_way  its calls without an outcome
    """

    granted: Amount = NOTHING
    spent: Amount = NOTHING
    num_under_way: int = 0
    is_alive: bool = True

    @property
    def may_return(self) -> bool:
        """Whether it may still return some of its grant."""
        return self.is_alive and (self.num_under_way > 0 or not self.granted.fits(self.spent))


@dataclass(kw_only=True)
class Ledger:
    """The limits of one run, and the account of each worker."""

    limits: Limits
    num_workers: int
    accounts: dict[int, Account] = field(default_factory=dict)
    is_short: bool = False

    def account(self, worker: int) -> Account:
        """The account of a worker, opened if it has none."""
        return self.accounts.setdefault(worker, Account())

    def note(self, worker: int, *, spent: Amount, num_under_way: int) -> None:
        """What a worker has spent up to now; what was counted earlier may arrive later."""
        account = self.account(worker)
        account.is_alive = True
        account.spent, account.num_under_way = account.spent.or_more(spent), num_under_way

    def ask(self, worker: int, need: Need) -> Grant:
        """Grant what is needed, if it fits, and perhaps more; else the worker keeps no more than
        `need.most`."""
        self.note(worker, spent=need.spent, num_under_way=need.num_under_way)
        account = self.account(worker)
        free = self._free()
        extra = need.total.beyond(account.granted)
        if extra.fits(free):
            size = need.total.beyond(need.most)
            account.granted = need.total + self._block(free.beyond(extra), size)
            return Grant(total=account.granted)
        self.is_short = True
        account.granted = need.most
        others = (item for key, item in self.accounts.items() if key != worker)
        return Grant(
            total=account.granted,
            is_final=not any(item.may_return for item in others),
            exceeded=self._name_exceeded(need.total.beyond(account.granted), self._free()),
        )

    def give_back(self, worker: int, most: Amount) -> None:
        """The worker keeps no more than `most`, which it has spent and reserved."""
        self.account(worker).granted = most

    @property
    def spent(self) -> Amount:
        """What all workers have spent."""
        return sum((item.spent for item in self.accounts.values()), NOTHING)

    def _free(self) -> Amount:
        """What is not granted; a number that cannot be reached where there is no limit."""
        granted = [item.granted for item in self.accounts.values()]
        limits = self.limits
        return Amount(
            calls=_left(limits.max_calls, sum(item.calls for item in granted)),
            tokens=_left(limits.max_tokens, sum(item.tokens for item in granted)),
            cost=math.inf
            if limits.max_cost is None
            else limits.max_cost - math.fsum(item.cost for item in granted),
        )

    def _block(self, free: Amount, size: Amount) -> Amount:
        """More than was asked for: a part of what is free, the same for all workers."""
        parts = 4 * max(1, self.num_workers)
        return Amount(
            calls=min(free.calls // parts, _BLOCK * size.calls),
            tokens=min(free.tokens // parts, _BLOCK * size.tokens),
            cost=max(0.0, min(free.cost / parts, _BLOCK * size.cost)),
        )

    def _name_exceeded(self, extra: Amount, free: Amount) -> tuple[str, ...]:
        limits, found = self.limits, []
        if extra.calls > free.calls:
            found.append(f"max_calls={limits.max_calls}")
        if extra.tokens > free.tokens:
            found.append(f"max_tokens={limits.max_tokens}")
        if extra.cost > free.cost:
            found.append(f"max_cost={limits.max_cost:g}")
        return tuple(found)


_UNLIMITED = 1 << 62


def _left(limit: int | None, granted: int) -> int:
    return _UNLIMITED if limit is None else limit - granted
