"""Limits that nobody knows, in virtual time: what is used of them, and what is refused."""

import itertools
from functools import partial

import pytest
from limited_server import HiddenLimit
from pace_simulation import World

from annotator.models.pacing.climb import Climb
from annotator.models.pacing.control import FIRST_CALLS, PaceControl
from annotator.models.pacing.coordinator import SILENT_S, Coordinator, fill
from annotator.models.pacing.gate import PATIENCE_S, Gate
from annotator.models.pacing.reports import REPORT_S, PaceReport
from annotator.models.pacing.shared_limits import SharedLimits


def shared(world, count, seconds):
    """A run of several workers that share the pace."""
    now = [0.0]
    coordinator = Coordinator(lambda: now[0])
    gates = [Gate(SharedLimits("u", "m", world.concurrency), 0.0) for _ in range(count)]

    def report_of(number):
        gate = gates[number]

        def report(at):
            now[0] = at
            own = gate.limits.take_report(gate.in_flight)
            (share,) = coordinator.report(f"worker{number}", [own])
            gate.limits.take_share(share)
            if share.hold_s:
                gate.hold(at, share.hold_s)
            world.poke(number, at)

        return report

    reports = [report_of(number) for number in range(count)]
    for number, gate in enumerate(gates):
        gate.limits.on_refusal = partial(world.soon, reports[number])
    world.ticks = [(n * REPORT_S / count, reports[n], REPORT_S) for n in range(count)]
    return world.run(seconds, gates)


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
@pytest.mark.parametrize(("rate", "latency"), [(40, 0.005), (40, 0.2), (90, 0.05), (90, 2.0)])
@pytest.mark.parametrize("factor", [1, 0.5, 2])
def test_a_hidden_limit_is_used_and_seldom_passed(kind, rate, latency, factor):
    with_retry_after = (rate + factor) % 2 == 0
    world = World(
        limit=HiddenLimit(kind, rate),
        latency=latency,
        with_retry_after=with_retry_after,
        changes=((45.0, rate * factor),),
    ).run(90)
    assert world.use(30, 45, rate) >= 0.9
    assert world.use(75, 90, rate * factor) >= 0.9
    assert world.refused_share() <= 0.02


@pytest.mark.parametrize("kind", ["fixed", "bucket"])
@pytest.mark.parametrize("rate", [6, 300])
def test_slow_and_fast_servers_are_used_too(kind, rate):
    world = World(limit=HiddenLimit(kind, rate), latency=0.1).run(60)
    assert world.use(30, 60, rate) >= 0.9
    assert world.refused_share() <= 0.025  # of 360 calls in a minute at 6 calls/s


def test_a_limit_per_ten_seconds_is_found():
    world = World(limit=HiddenLimit("fixed", 20, window_s=10.0), latency=0.1).run(120)
    assert world.use(60, 120, 20) >= 0.8
    assert world.refused_share() <= 0.05


def test_a_limit_on_calls_under_way_is_found_too():
    world = World(limit=HiddenLimit("slots", 20), latency=0.5, changes=((60.0, 10),)).run(120)
    assert world.use(30, 60, 20 / 0.525) >= 0.9
    assert world.use(90, 120, 10 / 0.525) >= 0.9
    assert world.refused_share() <= 0.02


def test_a_server_without_a_limit_is_soon_asked_as_fast_as_its_room_allows():
    world = World(limit=HiddenLimit("slots", 10**9), latency=0.1, concurrency=100).run(4)
    assert world.accepted[3] >= 0.9 * 100 / 0.105
    assert not world.refused


def test_a_rate_that_is_not_used_up_does_not_rise():
    world = World(limit=HiddenLimit("fixed", 1000), latency=0.01, demand=20).run(60)
    assert not world.refused
    assert world.gates[0].limits.rate < 100


@pytest.mark.parametrize("kind", ["fixed", "bucket"])
def test_workers_share_a_limit(kind):
    world = World(limit=HiddenLimit(kind, 90), latency=0.05, changes=((45.0, 45),))
    shared(world, 2, 90)
    assert world.use(30, 45, 90) >= 0.9
    assert world.use(75, 90, 45) >= 0.9
    assert world.refused_share() <= 0.02


class Clock:
    """A coordinator's clock."""

    now = 0.0

    def __call__(self):
        return self.now


def report(**counts):
    return PaceReport(url="u", model="m", most=64, **counts)


def test_shares_are_never_more_than_the_limits():
    clock = Clock()
    coordinator = Coordinator(clock)
    shares = {}
    for turn in range(40):
        for name in "abc":
            clock.now += 0.1
            is_short = name != "c" or turn % 2 == 0
            (shares[name],) = coordinator.report(
                name,
                [report(num_sent=2, num_accepted=2, is_rate_short=is_short, is_room_short=True)],
            )
        if turn > 2:
            (server,) = coordinator._servers.values()
            assert sum(item.rate for item in shares.values()) <= 1.5 * server.control.rate
            assert sum(item.room for item in shares.values()) <= server.control.room + 2


def test_a_silent_worker_loses_its_share():
    clock = Clock()
    coordinator = Coordinator(clock)
    for name in "ab":
        coordinator.report(name, [report(is_rate_short=True)])
    (before,) = coordinator.report("a", [report(is_rate_short=True)])
    clock.now += SILENT_S + 0.1
    (after,) = coordinator.report("a", [report(is_rate_short=True)])
    (server,) = coordinator._servers.values()
    assert before.rate < server.control.rate
    assert after.rate == pytest.approx(server.control.rate)


def test_parts_follow_what_is_wanted():
    endless = float("inf")
    assert fill({"a": 1.0, "b": endless, "c": endless}, 9.0) == {"a": 1.0, "b": 4.0, "c": 4.0}
    assert fill({"a": 1.0, "b": 2.0}, 9.0) == {"a": 4.0, "b": 5.0}
    assert fill({"a": endless}, 3.0) == {"a": 3.0}
    assert fill({}, 3.0) == {}


def test_a_report_that_did_not_arrive_is_part_of_the_next():
    limits = SharedLimits("u", "m", 8)
    limits.sent(0.0, 3)
    limits.accepted(2, 0.5)
    first = limits.take_report(1)
    limits.take_back(first)
    limits.sent(0.0, 1)
    second = limits.take_report(2)
    assert (second.num_sent, second.num_accepted, second.latency_s) == (4, 2, 0.5)
    assert limits.take_report(0).num_sent == 0


def test_only_calls_sent_after_a_pause_lengthen_it():
    gate = Gate(PaceControl(64, 0.0), 0.0)
    tickets = [gate.take(0.0) for _ in range(4)]
    gate.refused(tickets[0], 0.01, None)
    first = gate.delay(0.01)
    for ticket in tickets[1:]:
        gate.refused(ticket, 0.02, 60.0)
    assert gate.delay(0.01) == first
    now, waits = 0.01 + first, [first]
    for _ in range(3):
        assert gate.delay(now) == 0.0
        ticket = gate.take(now)
        assert gate.delay(now) > 0.0  # one call tries alone
        gate.refused(ticket, now + 0.001, None)
        waits.append(gate.delay(now + 0.001))
        now += 0.001 + waits[-1]
    assert all(later == pytest.approx(2 * wait) for wait, later in itertools.pairwise(waits))


def test_a_server_that_keeps_refusing_is_left_alone_for_as_long_as_it_asked():
    gate = Gate(PaceControl(64, 0.0), 0.0)
    now = 0.0
    for _ in range(4):
        assert gate.delay(now) == 0.0
        assert not gate.refused_for(now)
        ticket = gate.take(now)
        gate.refused(ticket, now, 30.0)
        wait = gate.delay(now)
        now += wait
    assert wait == 30.0
    assert gate.refused_for(PATIENCE_S + 1.0) > PATIENCE_S
    gate.ended(gate.take(now), now, is_answer=True)
    assert not gate.refused_for(10 * PATIENCE_S)


def test_a_call_that_is_itself_the_cause_slows_nothing():
    gate = Gate(PaceControl(64, 0.0), 0.0)
    gate.refused(gate.take(0.0), 0.0, None, is_suspect=True)
    assert gate.limits.known_rate is None
    assert gate.delay(0.0) == 0.0


def test_a_permit_that_was_not_used_leaves_no_trace():
    gate = Gate(PaceControl(64, 0.0), 0.0)
    for _ in range(20):
        gate.put_back(gate.take(0.0))
    assert (gate.in_flight, gate.num_sent) == (0, 0)
    for _ in range(FIRST_CALLS):
        assert gate.delay(0.0) == 0.0
        gate.take(0.0)
    assert gate.delay(0.0) > 0.0


def test_time_outs_halve_the_room_once_per_round():
    control = PaceControl(64, 0.0)
    control.accepted(56)
    assert control.room == 64
    for _ in range(5):
        control.timed_out(40, 1.0, 2.0)
    assert control.room == 20
    control.timed_out(20, 3.0, 4.0)
    assert control.room == 10


def test_a_limit_rises_slowly_near_the_refused_value_and_fast_above():
    climb = Climb(ceiling=100.0, start=0.95, plateau=0.98, hold_s=8.0)
    values = []
    for second in range(18):
        climb.used_s = float(second)
        values.append(climb.value)
    assert values[0] == 95.0 and values[8] == 98.0
    assert values == sorted(values)
    assert values[11] < 105 and values[17] > 190
