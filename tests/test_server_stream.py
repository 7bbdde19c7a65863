"""Streams of one backend: shared limits, no starving, waking, cancellation, loops, pickles."""

import asyncio
import pickle
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import aclosing
from multiprocessing import get_context

import pytest
from sample_server import ChatServer, completion, echo
from test_served_model import backend_of
from wire_server import Wire, WireServer

from annotator.models.backend import Decoding, Reply, Request
from schemas.errors import BackendError
from schemas.records import Message

WAIT_S = 60


def request(name):
    return Request(
        id=name,
        messages=(Message(role="user", content=name),),
        seed=1,
        decoding=Decoding(max_tokens=4),
    )


class Work:
    """Requests to hand out; `add` more at any time."""

    def __init__(self, *names):
        self.waiting = deque(map(request, names))
        self.limits = []

    def add(self, *names):
        self.waiting.extend(map(request, names))

    def take(self, limit):
        self.limits.append(limit)
        return [[self.waiting.popleft()] for _ in range(min(limit, len(self.waiting)))]


def named(start, count):
    return [f"{start}{number}" for number in range(count)]


def finish(coroutine):
    """Its result; a stream that hangs is a failed test."""
    return asyncio.run(asyncio.wait_for(coroutine, WAIT_S))


async def collect(stream):
    return [item for finished in [part async for part in stream] for item in finished]


def names_of(items):
    return sorted(request.id for request, outcome in items if isinstance(outcome, Reply))


def slowly(body):
    time.sleep(0.01)
    return echo(body)


class Gate:
    """A server's answer that waits, per message, until it is opened."""

    def __init__(self):
        self.opened = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, body):
        self.asked.release()
        if "slow" in body["messages"][-1]["content"]:
            self.opened.wait(WAIT_S)
        return echo(body)


async def until(semaphore):
    assert await asyncio.to_thread(semaphore.acquire, timeout=WAIT_S)


def test_streams_of_one_loop_share_the_limit_and_none_starves():
    with ChatServer(slowly) as server:
        backend = backend_of(server, concurrency=3)

        async def run():
            long, short = Work(*named("long", 90)), Work(*named("short", 10))
            first = asyncio.create_task(collect(backend.stream(long.take)))
            while len(long.waiting) > 80:
                await asyncio.sleep(0.005)
            done = await collect(backend.stream(short.take))
            left = len(long.waiting)
            return names_of(done), left, names_of(await first)

        short, left, long = finish(run())
        assert server.most_in_flight == 3
        assert server.num_lists == 1
    assert short == sorted(named("short", 10))
    assert long == sorted(named("long", 90))
    assert left >= 30  # with half of the slots it is through before half of the other's calls


def test_a_stream_gets_its_first_slot_from_one_that_has_them_all():
    gate = Gate()
    with ChatServer(gate) as server:
        backend = backend_of(server, concurrency=2)

        async def run():
            busy = Work("slow1", "a1", *named("a", 40))
            first = asyncio.create_task(collect(backend.stream(busy.take)))
            await until(gate.asked)
            done = await collect(backend.stream(Work("b").take))
            assert not first.done()
            gate.opened.set()
            await first
            return names_of(done)

        assert finish(run()) == ["b"]
        assert server.most_in_flight == 2


def test_streams_that_start_together_ask_once_what_is_served():
    with ChatServer() as server:
        backend = backend_of(server)

        async def run():
            streams = [collect(backend.stream(Work(name).take)) for name in "abc"]
            return [names_of(items) for items in await asyncio.gather(*streams)]

        assert finish(run()) == [["a"], ["b"], ["c"]]
        assert server.num_lists == 1


def test_event_loops_in_three_threads_share_the_limit():
    with ChatServer(slowly) as server:
        backend = backend_of(server, concurrency=4)
        found = {}

        def run(name):
            found[name] = asyncio.run(collect(backend.stream(Work(*named(name, 60)).take)))

        threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        assert {name: names_of(items) for name, items in found.items()} == {
            name: sorted(named(name, 60)) for name in "abc"
        }
        assert server.most_in_flight == 4
        assert backend._pool.endpoints[0].num_under_way == 0


def test_new_work_starts_without_waiting_for_a_reply():
    gate = Gate()
    with ChatServer(gate) as server:
        backend = backend_of(server, concurrency=4)

        async def run():
            work, ready = Work("slow"), asyncio.Event()
            stream = asyncio.create_task(collect(backend.stream(work.take, ready)))
            await until(gate.asked)
            work.add("new")
            ready.set()
            await until(gate.asked)  # the server has it while the first is still under way
            gate.opened.set()
            return names_of(await stream)

        assert finish(run()) == ["new", "slow"]
        assert len(server.asked) == 2


def test_work_that_take_announces_itself_is_not_missed():
    with ChatServer() as server:
        backend = backend_of(server)

        async def run():
            ready, answers = asyncio.Event(), deque([["a"], [], ["b"], []])

            def take(limit):
                names = answers.popleft() if answers else []
                if answers:
                    ready.set()
                return [[request(name)] for name in names]

            return names_of(await collect(backend.stream(take, ready)))

        assert finish(run()) == ["a", "b"]


def test_a_stream_that_ended_is_called_again_over_the_same_connection():
    with WireServer() as server:
        backend = backend_of(server, concurrency=1)

        async def run():
            async with backend.connected():
                for name in "abc":
                    assert names_of(await collect(backend.stream(Work(name).take))) == [name]
                assert [item.id for item in await backend.identify_async()] == ["policy"]

        finish(run())
        assert len(server.seen) == 3
        assert server.num_connections == 1
        asyncio.run(collect(backend.stream(Work("d").take)))
        assert server.num_connections == 2


@pytest.mark.parametrize("how", ["close", "cancel"])
def test_a_stream_that_is_closed_gives_its_slots_back_and_loses_only_what_was_under_way(how):
    gate = Gate()
    with ChatServer(gate) as server:
        backend = backend_of(server, concurrency=3)
        kept = []

        async def consume(take):
            async with aclosing(backend.stream(take)) as stream:
                async for finished in stream:
                    kept.extend(finished)
                    if how == "close" and len(kept) == 2:
                        return

        async def run():
            before = asyncio.all_tasks()
            task = asyncio.create_task(consume(Work("a", "b", *named("slow", 5)).take))
            if how == "cancel":
                for _ in range(5):  # a, b, and then three that hang
                    await until(gate.asked)
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() == (how == "cancel")
            assert asyncio.all_tasks() == before
            assert len(server.asked) <= 2 + 3
            gate.opened.set()
            assert backend._pace._num_used == 0
            again = Work(*named("again", 9))
            done = await collect(backend.stream(again.take))
            return names_of(done)

        assert finish(run()) == sorted(named("again", 9))
        assert names_of(kept) == ["a", "b"]
        assert not backend._connections
        assert backend._pool.endpoints[0].num_under_way == 0


def test_calls_under_way_and_replies_not_handed_out_are_bounded_together():
    kept, most = [], []

    def note(count):
        most.append(count - len(kept))

    with ChatServer(on_request=note) as server:
        backend = backend_of(server, concurrency=4)

        async def run():
            async for finished in backend.stream(Work(*named("r", 60)).take):
                await asyncio.sleep(0.01)  # replies arrive while these are stored
                kept.extend(finished)

        finish(run())
        assert len(server.asked) == len(kept) == 60
    assert max(most) == 4


def test_an_exception_of_take_ends_the_stream_and_gives_the_slots_back():
    with ChatServer() as server:
        backend = backend_of(server, concurrency=2)

        def broken(limit):
            raise ZeroDivisionError

        async def run():
            with pytest.raises(ZeroDivisionError):
                await collect(backend.stream(broken))
            return names_of(await collect(backend.stream(Work("a", "b").take)))

        assert finish(run()) == ["a", "b"]


def test_all_streams_end_when_the_server_is_gone():
    with WireServer(lambda n: Wire() if n <= 4 else None) as server:
        backend = backend_of(server, concurrency=4)

        async def run():
            streams = [collect(backend.stream(Work(*named(n, 40)).take)) for n in "ab"]
            return await asyncio.gather(*streams, return_exceptions=True)

        ends = finish(run())
        assert all(isinstance(end, BackendError) for end in ends), ends
        assert len(server.seen) < 40


def ask_in_a_process(pickled, names):
    backend = pickle.loads(pickled)
    return [(item.id, reply.text) for done in backend.generate(Work(*names).take)
            for item, reply in done]  # fmt: skip


def test_a_pickled_backend_works_in_another_process_and_holds_no_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123")
    with ChatServer(lambda body: completion(body["messages"][0]["content"].upper())) as server:
        backend = backend_of(server)
        before = pickle.dumps(backend)
        list(backend.generate(Work("x").take))
        assert pickle.dumps(backend) == before
        assert b"very-secret" not in before
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(ask_in_a_process, before, ["a", "b"]).result(60)
        assert sorted(found) == [("a", "A"), ("b", "B")]
        assert {call.authorization for call in server.asked} == {"Bearer sk-very-secret-0123"}
