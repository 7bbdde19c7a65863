"""Backends and real servers with hidden limits: nothing is lost, little is refused, rates are
shared."""

import asyncio
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from limited_server import LimitedServer
from sample_server import ChatServer, as_json, echo
from test_served_model import backend_of
from test_server_stream import Work, collect, finish, named, names_of
from wire_server import Wire, WireServer

from annotator.models.backend import RequestFailure
from annotator.models.config import ModelConfig
from annotator.models.openai import pace_reports
from annotator.models.openai.held_failures import FailureWindow
from annotator.models.openai.openai_backend import OpenAIBackend
from annotator.models.pacing.coordinator import Coordinator
from schemas.errors import BackendError


class Locked:
    """A coordinator for the threads of several backends."""

    def __init__(self):
        self.coordinator = Coordinator()
        self.lock = threading.Lock()
        self.workers = set()

    def report(self, worker, reports):
        with self.lock:
            self.workers.add(worker)
            return self.coordinator.report(worker, reports)


def shared_backend(server, coordinator, **settings):
    values = {"backend": "openai", "model": "policy", "base_url": server.base_url}
    return OpenAIBackend(ModelConfig.parse(values | settings, where="sample"), coordinator)


@pytest.mark.parametrize("retry_after", [True, False])
def test_a_limit_is_found_and_no_call_is_lost(retry_after):
    with LimitedServer(100, retry_after=retry_after, latency_s=0.02) as server:
        backend = backend_of(server, concurrency=64)
        done = asyncio.run(collect(backend.stream(Work(*named("r", 400)).take)))
        accepted, refused = server.counts()
        (state,) = backend.paces()
    assert names_of(done) == sorted(named("r", 400))
    assert accepted.total() == 400
    assert 1 <= refused.total() <= 80  # in the first second, more on a busy machine
    assert (state.num_sent, state.num_refused) == (400 + refused.total(), refused.total())
    assert (state.in_flight, state.num_waiting) == (0, 0)
    assert 10 <= state.rate <= 200


def test_two_servers_get_what_each_can_take():
    with LimitedServer(20) as slow, LimitedServer(120) as fast:
        backend = backend_of(slow, fast, concurrency=64)
        done = asyncio.run(collect(backend.stream(Work(*named("r", 400)).take)))
        taken = [server.counts()[0].total() for server in (slow, fast)]
    assert names_of(done) == sorted(named("r", 400))
    assert sum(taken) == 400
    assert taken[1] >= 3 * taken[0]


def test_backends_that_share_a_coordinator_share_a_limit():
    coordinator = Locked()
    with LimitedServer(80, latency_s=0.02) as server:
        backends = [shared_backend(server, coordinator, concurrency=64) for _ in range(2)]

        def run(number):
            work = Work(*named(f"w{number}-", 150))
            return asyncio.run(collect(backends[number].stream(work.take)))

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(run, range(2)))
        accepted, refused = server.counts()
    assert [len(names_of(items)) for items in found] == [150, 150]
    assert accepted.total() == 300
    assert refused.total() <= 80
    assert len(coordinator.workers) == 2


class Deaf:
    """A coordinator that does not answer."""

    def report(self, worker, reports):
        raise ConnectionError("gone")


def test_a_coordinator_that_never_answers_ends_the_run(monkeypatch):
    monkeypatch.setattr(pace_reports, "FIRST_SHARE_S", 0.3)
    with ChatServer() as server:
        backend = shared_backend(server, Deaf())
        with pytest.raises(BackendError, match=r"coordinator .* does not answer .*gone"):
            finish(collect(backend.stream(Work("a").take)))
        assert not server.asked


class Leaving(Locked):
    """A coordinator that stops answering."""

    is_gone = False

    def report(self, worker, reports):
        if self.is_gone:
            raise ConnectionError("gone")
        return super().report(worker, reports)


def test_a_worker_goes_on_within_its_share_without_the_coordinator():
    coordinator = Leaving()
    with ChatServer() as server:
        backend = shared_backend(server, coordinator)

        async def run():
            await collect(backend.stream(Work("a").take))
            coordinator.is_gone = True
            return await collect(backend.stream(Work(*named("b", 20)).take))

        assert names_of(finish(run())) == sorted(named("b", 20))


def test_a_pickled_backend_keeps_its_coordinator():
    with ChatServer() as server:
        backend = pickle.loads(pickle.dumps(shared_backend(server, Deaf())))
    assert isinstance(backend._coordinator, Deaf)


def failing(is_failing, status=500):
    """A server that fails some of its calls for good, by their number."""

    def answer(body):
        number = len(server_of_test[0].asked)
        return (
            as_json(status, {"error": {"message": "broken"}}) if is_failing(number) else echo(body)
        )

    return answer


server_of_test = [None]


@pytest.mark.parametrize(("share", "stops"), [(3, True), (1, False)])
def test_a_run_stops_when_more_than_half_of_a_window_failed(share, stops):
    with ChatServer(failing(lambda n: n % 4 < share, status=422)) as server:
        server_of_test[0] = server
        backend = backend_of(server, concurrency=4, failure_window=40)
        work = Work(*named("r", 200))
        if stops:
            message = r"3\d of the last 40 calls failed \(http_422 3\d; last: .*--retry-failed"
            with pytest.raises(BackendError, match=message):
                finish(collect(backend.stream(work.take)))
            assert len(server.asked) <= 60
        else:
            assert len(finish(collect(backend.stream(work.take)))) == 200


def test_the_window_counts_only_what_is_given_up():
    """Each call fails once and is then answered."""
    seen = set()

    def answer(body):
        name = body["messages"][-1]["content"]
        if name in seen:
            return echo(body)
        seen.add(name)
        return as_json(500, {"error": {"message": "broken"}})

    with ChatServer(answer) as server:
        backend = backend_of(server, concurrency=8, max_retries=1, failure_window=10)
        done = finish(collect(backend.stream(Work(*named("r", 30)).take)))
    assert names_of(done) == sorted(named("r", 30))


def test_a_window_is_emptied_when_it_has_stopped_a_run():
    window = FailureWindow(4)
    for reason in ("timeout", "timeout", "http_500"):
        window.add(RequestFailure(reason=reason, detail="x"))
        assert window.too_many() is None
    window.add(None)
    assert window.too_many().startswith("3 of the last 4 calls failed (timeout 2, http_500 1; last")
    assert window.too_many() is None
    for failure in (None, None, RequestFailure(reason="a", detail=""), None):
        window.add(failure)
    window.add(RequestFailure(reason="a", detail=""))
    assert window.too_many() is None  # two of four are not more than half
    assert FailureWindow(0).too_many() is None


def test_503_of_a_server_that_accepts_others_is_a_refusal_and_of_another_a_failure():
    busy = Wire(status=503, body=b"{}")
    with WireServer(lambda n: busy if n == 3 else Wire()) as server:
        backend = backend_of(server, concurrency=1)
        done = finish(collect(backend.stream(Work("a", "b", "c").take)))
        assert names_of(done) == ["a", "b", "c"]
        assert backend.paces()[0].num_refused == 1
    with WireServer(lambda n: busy if n == 1 else Wire()) as server:
        backend = backend_of(server, concurrency=1)
        done = finish(collect(backend.stream(Work("a", "b", "c").take)))
        assert names_of(done) == ["b", "c"]
        assert backend.paces()[0].num_refused == 0


def test_every_send_is_counted_by_the_pace():
    refused = as_json(400, {"error": {"message": "Unsupported parameter: 'seed'", "param": "seed"}})
    with ChatServer(lambda body: refused if "seed" in body else echo(body | {"seed": 0})) as server:
        backend = backend_of(server, concurrency=1)
        finish(collect(backend.stream(Work("a", "b").take)))
        assert backend.paces()[0].num_sent == len(server.asked) == 3
