"""Limits of a run with several workers: never exceeded, used up, exact after a new hub."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray_work import request_of

from annotator.calls.usage import Limits, Meter, reserve
from annotator.models.backend import Reply
from annotator.models.prices import Prices
from annotator.scale.ledger import NOTHING, Amount, Grant, Ledger, Need
from annotator.scale.on_ray.hub import SILENT_S, AttemptState, Hub, HubStart, WorkerReport
from annotator.scale.shared_budget import SharedBudget
from schemas.errors import ConfigError


@dataclass
class Workers:
    """Workers in threads that share a ledger, each with calls of at most `size` tokens."""

    limits: Limits
    count: int = 3
    size: int = 10
    used: int = 4
    prices: Prices | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    most_granted: int = 0

    def __post_init__(self) -> None:
        self.ledger = Ledger(limits=self.limits, num_workers=self.count)
        self.ended = threading.Event()
        self.meters: list[Meter] = []
        self.stops: list[str] = []

    def run(self) -> None:
        """Each worker makes calls until none fits any more."""
        budgets = [
            SharedBudget(limits=self.limits, ledger=_Link(self, number), sleep=self._sleep)
            for number in range(self.count)
        ]
        self.meters = [Meter(limits=budget, prices=self.prices) for budget in budgets]
        threads = [threading.Thread(target=self._work, args=(meter,)) for meter in self.meters]
        back = threading.Thread(target=self._keep_returning, args=(budgets,))
        for thread in [*threads, back]:
            thread.start()
        for thread in threads:
            thread.join()
        self.ended.set()
        back.join()

    def _sleep(self, seconds: float) -> None:
        self.ended.wait(0.002)

    def _keep_returning(self, budgets: list[SharedBudget]) -> None:
        while not self.ended.wait(0.002):
            for budget in budgets if self.ledger.is_short else ():
                budget.give_back()

    def _work(self, meter: Meter) -> None:
        under_way = []
        for number in range(10_000):
            request = request_of(f"{id(meter)}-{number}", max_tokens=self.size)
            if meter.start([request]):
                under_way.append(request)
            elif not under_way:
                self.stops.append(meter.refusing.describe_stop())
                return
            if len(under_way) > 3 or meter.num_under_way > 3 or number % 3 == 0:
                for item in under_way:
                    meter.finish(item, reply(self.used))
                under_way = []


@dataclass
class _Link:
    workers: Workers
    number: int

    def ask(self, need: Need) -> Grant:
        with self.workers.lock:
            return self.workers.ledger.ask(self.number, need)

    def give_back(self, most: Amount) -> None:
        with self.workers.lock:
            self.workers.ledger.give_back(self.number, most)

    def total_spent(self) -> Amount:
        with self.workers.lock:
            return self.workers.ledger.spent


def reply(tokens: int) -> Reply:
    return Reply(
        text="x", finish_reason="stop", prompt_tokens=tokens // 2, completion_tokens=tokens // 2
    )


@pytest.mark.parametrize("limit", [1, 2, 7, 100, 1000])
def test_all_workers_together_make_exactly_max_calls(limit: int) -> None:
    workers = Workers(limits=Limits(max_calls=limit))
    workers.run()
    assert sum(meter.num_asked for meter in workers.meters) == limit
    assert len(workers.stops) == 3
    assert f"does not fit max_calls={limit}: {limit:,} calls were made" in workers.stops[-1]


@pytest.mark.parametrize("limit", [100, 1003])
def test_all_workers_together_stay_within_max_tokens_and_use_it(limit: int) -> None:
    workers = Workers(limits=Limits(max_tokens=limit))
    workers.run()
    spent = sum(meter.tokens.total for meter in workers.meters)
    assert limit - reserve(request_of("x", max_tokens=10)).total < spent <= limit


def test_all_workers_together_stay_within_max_cost_and_use_it() -> None:
    prices = Prices(prompt=1.0, completion=1.0)  # per million tokens
    workers = Workers(limits=Limits(max_cost=0.001), prices=prices)
    workers.run()
    spent = sum(meter.cost or 0.0 for meter in workers.meters)
    assert 0.00097 < spent <= 0.001
    assert all("max_cost=0.001" in text for text in workers.stops)


def test_a_limit_on_cost_needs_prices() -> None:
    budget = SharedBudget(limits=Limits(max_cost=1.0), ledger=_Link(Workers(Limits()), 0))
    with pytest.raises(ConfigError, match="the cost is not known"):
        Meter(limits=budget)


def test_a_halted_run_makes_no_call() -> None:
    halted = threading.Event()
    budget = SharedBudget(
        limits=Limits(), ledger=_Link(Workers(Limits()), 0), is_halted=halted.is_set
    )
    meter = Meter(limits=budget)
    assert meter.start([request_of("one")])
    halted.set()
    assert not meter.start([request_of("two")])
    assert "the run is stopping" in meter.refusing.describe_stop()
    assert meter.num_asked == 1


def test_meters_whose_work_has_ended_are_summed_up() -> None:
    budget = SharedBudget(limits=Limits(max_calls=10), ledger=_Link(Workers(Limits()), 0))
    for number in range(3):
        meter = Meter(limits=budget)
        assert meter.start([request_of(str(number))])
        meter.finish(request_of(str(number)), reply(4))
        budget.fold()
    assert budget.meters == []
    assert budget.spent == Amount(calls=3, tokens=12)
    waiting = Meter(limits=budget)
    assert waiting.start([request_of("4")])
    budget.fold()
    assert budget.meters == [waiting]
    assert budget.spent == Amount(calls=4, tokens=12)


# ---------------------------------------------------------------- the ledger alone


@given(
    st.integers(0, 50),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 9), st.booleans(), st.booleans()), max_size=60
    ),
)
def test_grants_together_are_never_more_than_the_limit(
    limit: int, steps: list[tuple[int, int, bool, bool]]
) -> None:
    ledger = Ledger(limits=Limits(max_tokens=limit), num_workers=3)
    spent, granted = [0, 0, 0], [0, 0, 0]
    for worker, tokens, is_made, is_returned in steps:
        need = Need(
            total=Amount(tokens=spent[worker] + tokens),
            most=Amount(tokens=spent[worker]),
            held=Amount(tokens=granted[worker]),
            spent=Amount(tokens=spent[worker]),
        )
        grant = ledger.ask(worker, need)
        granted[worker] = grant.total.tokens
        if need.total.fits(grant.total):
            spent[worker] += tokens * is_made
        if is_returned:
            ledger.give_back(worker, Amount(tokens=spent[worker]))
            granted[worker] = spent[worker]
        assert sum(granted) == sum(item.granted.tokens for item in ledger.accounts.values())
        assert sum(spent) <= sum(granted) <= limit


def test_a_refusal_is_final_only_when_nobody_can_return_anything() -> None:
    ledger = Ledger(limits=Limits(max_calls=10), num_workers=2)
    assert ledger.ask(0, Need(total=Amount(calls=8))).total.calls == 8
    ledger.note(0, spent=Amount(calls=5), num_under_way=0)
    asked = Need(total=Amount(calls=3))
    refused = ledger.ask(1, asked)
    assert not refused.is_final and refused.exceeded == ("max_calls=10",)
    ledger.give_back(0, Amount(calls=5))
    assert ledger.ask(1, asked).total.calls == 3
    ledger.note(0, spent=Amount(calls=5), num_under_way=1)
    assert not ledger.ask(1, Need(total=Amount(calls=9), most=Amount(calls=3))).is_final
    ledger.note(0, spent=Amount(calls=5), num_under_way=0)
    assert ledger.ask(1, Need(total=Amount(calls=9), most=Amount(calls=3))).is_final


def test_a_report_that_arrives_late_takes_nothing_back() -> None:
    ledger = Ledger(limits=Limits(max_calls=10), num_workers=2)
    ledger.note(0, spent=Amount(calls=5, tokens=7, cost=0.5), num_under_way=0)
    ledger.note(0, spent=Amount(calls=3, tokens=9, cost=0.2), num_under_way=1)
    assert ledger.spent == Amount(calls=5, tokens=9, cost=0.5)


def test_a_refused_worker_keeps_only_what_it_needs() -> None:
    ledger = Ledger(limits=Limits(max_calls=100), num_workers=1)
    assert ledger.ask(0, Need(total=Amount(calls=1))).total.calls > 2
    refused = ledger.ask(0, Need(total=Amount(calls=101), most=Amount(calls=2)))
    assert refused.total == ledger.account(0).granted == Amount(calls=2)


@dataclass
class Replies:
    """A ledger that gives these replies, one after the other."""

    grants: list[Grant]

    def ask(self, need: Need) -> Grant:
        return self.grants.pop(0)

    def give_back(self, most: Amount) -> None:
        raise AssertionError

    def total_spent(self) -> Amount:
        return NOTHING


def test_a_worker_without_calls_waits_for_what_others_return() -> None:
    waits: list[float] = []
    grants = [Grant(total=NOTHING), Grant(total=NOTHING), Grant(total=Amount(calls=1))]
    budget = SharedBudget(limits=Limits(max_calls=9), ledger=Replies(grants), sleep=waits.append)
    meter = Meter(limits=budget)
    assert meter.start([request_of("one")]) and len(waits) == 2
    # With a call under way it does not wait: the reply may make room.
    grants += [Grant(total=Amount(calls=1)), Grant(total=Amount(calls=2))]
    assert not meter.start([request_of("two")]) and len(grants) == 1 and len(waits) == 2


def test_what_a_dead_worker_was_granted_counts_as_spent() -> None:
    clock = Clock()
    hub = Hub(HubStart(limits=Limits(max_calls=10), num_workers=2), clock)
    dead, alive = hub.join(), hub.join()
    assert hub.ask(dead, Need(total=Amount(calls=4))).total.calls >= 4
    asked = Need(total=Amount(calls=10))
    assert not hub.ask(alive, asked).is_final
    clock.now += SILENT_S + 1
    refused = hub.ask(alive, asked)
    assert refused.is_final and not asked.total.fits(refused.total)
    assert hub.ask(alive, Need(total=Amount(calls=6))).total.calls == 6


# ---------------------------------------------------------------- the hub


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def start_again(hub: Hub, limits: Limits, clock: Callable[[], float]) -> Hub:
    """The hub after the one that ended, as the driver starts it."""
    changes = hub.take_changes()
    start = HubStart(
        limits=limits, num_workers=2, accounts=changes.accounts, next_worker=changes.next_worker
    )
    return Hub(start, clock)


def test_a_new_hub_grants_nothing_until_it_has_heard_from_every_worker() -> None:
    clock, limits = Clock(), Limits(max_calls=10)
    hub = Hub(HubStart(limits=limits, num_workers=2), clock)
    one, two = hub.join(), hub.join()
    hub.ask(one, Need(total=Amount(calls=2)))
    new = start_again(hub, limits, clock)
    assert hub.ask(two, Need(total=Amount(calls=5))).total.calls >= 5  # the driver never saw this
    assert new.ask(one, Need(total=Amount(calls=9), held=Amount(calls=2))).total.calls == 2
    new.report(two, WorkerReport(granted=Amount(calls=5), spent=Amount(calls=5)))
    assert not Amount(calls=9).fits(new.ask(one, Need(total=Amount(calls=9))).total)
    assert new.ask(one, Need(total=Amount(calls=5))).total.calls == 5
    assert new.join() == 2


def test_a_new_hub_does_not_wait_for_a_dead_worker_for_long() -> None:
    clock, limits = Clock(), Limits(max_calls=10)
    hub = Hub(HubStart(limits=limits, num_workers=2), clock)
    one, dead = hub.join(), hub.join()
    hub.ask(dead, Need(total=Amount(calls=3)))
    new = start_again(hub, limits, clock)
    asked = Need(total=Amount(calls=7))
    assert new.ask(one, asked).total == NOTHING
    clock.now += SILENT_S + 1
    assert new.ask(one, asked).total.calls >= 7
    granted = sum(item.granted.calls for item in new.take_changes().accounts.values())
    assert granted <= 10


def test_the_driver_gets_what_changed_once() -> None:
    hub = Hub(HubStart(limits=Limits(), num_workers=1), Clock())
    worker = hub.join()
    for num_done in (1, 2):
        state = AttemptState(attempt="0-1", piece=3, num_done=num_done)
        orders = hub.report(worker, WorkerReport(attempt=state, notes=["note"]))
    assert not orders.is_halted
    changes = hub.take_changes()
    assert [item.num_done for item in changes.attempts] == [2]
    assert list(changes.notes) == ["note"]
    assert (changes.num_alive, changes.num_working) == (1, 1)
    assert list(hub.take_changes().attempts) == []
    hub.halt()
    assert hub.report(worker, WorkerReport()).is_halted
