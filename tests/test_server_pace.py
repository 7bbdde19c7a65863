"""The slots that streams share: never more than the room, none idle, none kept for nothing."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_server_stream import Work, collect, finish

from annotator.models.backend import Reply
from annotator.models.openai.endpoints import EndpointPool
from annotator.models.openai.held_failures import Answered
from annotator.models.openai.pace import Pace, Seat
from annotator.models.openai.request_stream import RequestStream
from annotator.models.pacing.control import PaceControl
from annotator.models.pacing.coordinator import Coordinator
from annotator.models.pacing.gate import Gate
from annotator.models.pacing.reports import PaceReport


class NoLimits:
    """A server that takes every call at once."""

    rate, known_rate, room = 1e9, None, 10**6

    def __getattr__(self, name):
        return lambda *arguments, **named: None


def pool_of(*urls):
    return EndpointPool(urls, patience=1, make_gate=lambda url: Gate(NoLimits(), 0.0))


def pace_of(most):
    return Pace(most, pool_of("http://a"))


def seats(count):
    loop = asyncio.new_event_loop()
    loop.close()
    return [FakeSeat(loop=loop, news=asyncio.Event()) for _ in range(count)]


class FakeSeat(Seat):
    """A seat that is woken without an event loop."""

    def wake(self):
        self.news.set()
        return True


STEPS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("acquire wait release".split())))


@given(STEPS, st.integers(1, 4))
def test_slots_are_never_more_than_the_room_nor_idle_while_a_seat_waits(steps, room):
    pace, all_seats, held = pace_of(room), seats(3), [[], [], []]
    for number, step in steps:
        seat = all_seats[number]
        if step == "acquire":
            held[number] += pace.acquire(seat, 2)
        elif step == "wait" and not pace.is_waiting(seat):
            pace.wait(seat)
        elif step == "release" and seat.num_held:
            pace.release(seat, held[number].pop())
        used = sum(item.num_held + item.num_granted for item in all_seats)
        assert used <= room
        waiting = [item for item in all_seats if pace.is_waiting(item)]
        assert not waiting or used == room
        assert all(item.news.is_set() for item in waiting if item.num_granted)
    for seat in all_seats:
        pace.leave(seat)
    assert len(pace.acquire(all_seats[0], 9)) == room


def test_a_free_slot_goes_to_the_waiting_stream_that_holds_the_fewest():
    pace, (busy, idle) = pace_of(4), seats(2)
    permits = pace.acquire(busy, 9)
    assert len(permits) == 4
    pace.wait(busy)
    pace.wait(idle)
    for _ in range(3):
        pace.release(busy, permits.pop())
    assert (busy.num_granted, idle.num_granted) == (1, 2)
    assert len(pace.acquire(idle, 9)) == 2


def test_a_stream_whose_caller_is_busy_keeps_no_slot_it_was_granted():
    async def run():
        pace, (other,) = pace_of(2), seats(1)
        (permit,) = pace.acquire(other, 1)
        reply = asyncio.get_running_loop().create_future()

        async def ask(asked, permit):
            await reply
            outcome = Reply(text="Yes.", finish_reason="stop")
            return Answered(finished=(asked, outcome), sent=0.0, ended=0.0)

        stream = RequestStream(
            Work("a", "b", "c").take,
            ask=ask,
            pace=pace,
            pool=pool_of("http://a"),
            concurrency=2,
            ready=None,
        ).run()
        first = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)  # one call is under way, and the stream waits for a second slot
        await asyncio.sleep(0)
        reply.set_result(None)
        await asyncio.sleep(0)
        pace.release(other, permit)  # and gets it in the step in which the reply arrives
        assert [asked.id for asked, _ in await first] == ["a"]
        assert len(pace.acquire(other, 2)) == 2
        pace.leave(other)
        assert [asked.id for asked, _ in await collect(stream)] == ["b", "c"]

    finish(run())


def test_a_seat_whose_loop_is_closed_keeps_no_slot():
    pace = pace_of(1)
    loop = asyncio.new_event_loop()
    gone = Seat(loop=loop, news=asyncio.Event())
    (other,) = seats(1)
    (permit,) = pace.acquire(other, 1)
    pace.wait(gone)
    loop.close()
    pace.release(other, permit)
    assert len(pace.acquire(other, 1)) == 1


def test_a_stream_is_woken_although_the_timer_of_an_ended_loop_is_still_set():
    """A worker's pieces have an event loop each, and share one backend."""
    pool = EndpointPool(
        ["http://a"],
        patience=1,
        make_gate=lambda url: Gate(PaceControl(4, time.monotonic()), time.monotonic()),
    )
    pace = Pace(4, pool)
    pool.endpoints[0].gate.hold(time.monotonic(), 0.3)

    async def wait_once(seconds):
        seat = Seat(loop=asyncio.get_running_loop(), news=asyncio.Event())
        assert pace.acquire(seat, 1) == []
        pace.wait(seat)
        try:
            await asyncio.wait_for(seat.news.wait(), seconds)
            return len(pace.acquire(seat, 1))
        finally:
            pace.leave(seat)

    with pytest.raises(TimeoutError):
        asyncio.run(wait_once(0.01))
    assert asyncio.run(wait_once(10)) == 1


def test_a_server_that_refuses_is_tried_although_the_first_worker_has_nothing_to_send():
    now = [0.0]
    coordinator = Coordinator(clock=lambda: now[0])

    def report(worker, **counts):
        now[0] += 0.25
        (share,) = coordinator.report(
            worker, [PaceReport(url="http://a", model="m", most=9, **counts)]
        )
        return share.hold_s == 0

    for _ in range(20):
        report("a", num_sent=5, num_accepted=5)
        report("b", num_sent=5, num_accepted=5)
    report("b", num_sent=5, num_refused=3, num_accepted=2)
    for _ in range(20):
        report("a", num_in_flight=1)
        report("b")
    report("b", num_sent=5, num_refused=5)
    tries = [(report("a", num_in_flight=1), report("b")) for _ in range(20)]
    assert tries[0] == (True, False)
    assert any(by_b for _, by_b in tries)
