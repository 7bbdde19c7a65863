"""Several servers of one model, and servers that refuse a field: who gets a call, what is sent."""

import itertools
import json
import threading
import time

import pytest
from sample_server import ChatServer, as_json, completion, echo
from sample_support import WORDS, write_questions
from test_server_pace import pool_of
from wire_server import Wire, WireServer

from annotator.calls.usage import NO_LIMITS, Limits
from annotator.models.config import SampleConfig
from annotator.models.openai.endpoints import FIRST_REST_S
from annotator.models.openai.resends import MOST_REFUSALS
from annotator.models.pacing import gate
from annotator.sampling.sample import run_sample
from schemas.errors import BackendError, ConfigError, LimitReachedError


@pytest.fixture
def sample(tmp_path):
    def run(*servers, num_questions=20, limits=NO_LIMITS, **settings):
        values = {"backend": "openai", "model": "policy", "max_retries": 0, "num_responses": 1}
        values["base_urls"] = [server.base_url for server in servers]
        write_questions(tmp_path / "questions.jsonl", num_questions)
        return run_sample(
            SampleConfig.parse(values | settings, where="sample"),
            questions=tmp_path / "questions.jsonl",
            output=tmp_path / "responses.jsonl",
            store=tmp_path / "calls.db",
            limits=limits,
        )

    return run


def test_calls_go_to_the_server_with_the_fewest_under_way(sample):
    together = threading.Barrier(8, timeout=60)

    def wait(body):
        together.wait()
        return echo(body)

    # All eight must be under way at once, so neither server can have had all the work.
    with ChatServer(wait) as first, ChatServer(wait) as second:
        result = sample(first, second, num_questions=16, concurrency=8)
        assert (first.most_in_flight, second.most_in_flight) == (4, 4)
        assert len(first.asked) + len(second.asked) == 16
    assert result.counts["failed"] == 0


def test_a_server_that_is_not_there_at_first_is_set_aside(sample):
    with ChatServer() as gone:
        pass
    with ChatServer() as there:
        result = sample(gone, there)
        assert len(there.asked) == 20
    assert result.counts["failed"] == 0
    assert any(gone.base_url in note and "set aside" in note for note in result.notes)


def test_what_a_dying_server_loses_goes_to_another_once(sample):
    def die_after_three(body):
        return echo(body) if len(dying.asked) <= 3 else None

    with ChatServer(die_after_three) as dying, ChatServer() as there:
        result = sample(dying, there, num_questions=60, concurrency=6)
        asked = [call.seed for call in there.asked]
        assert len(asked) == len(set(asked))
    assert result.counts["failed"] == 0
    assert any(dying.base_url in note for note in result.notes)


def test_no_server_at_all_names_each(sample):
    with ChatServer() as first, ChatServer() as second:
        pass
    with pytest.raises(BackendError) as caught:
        sample(first, second)
    assert first.base_url in str(caught.value) and second.base_url in str(caught.value)


def test_one_server_named_twice_is_refused():
    url = "http://127.0.0.1:8000/v1"
    with pytest.raises(ConfigError, match="names one server twice"):
        SampleConfig.parse({"model": "m", "base_urls": [url, url]}, where="sample")


def test_a_server_rests_longer_each_time_and_is_forgiven_when_it_answers():
    pool = pool_of("a", "b")
    (a, b) = pool.endpoints
    for _ in range(8):
        pool.lost(a, 0.0, "gone")
    assert pool.choose(0.0) is b
    assert pool.choose(0.0, but=b) is None
    assert pool.choose(FIRST_REST_S) is a
    for _ in range(2):
        pool.lost(a, FIRST_REST_S, "gone again")
    assert pool.choose(2 * FIRST_REST_S, but=b) is None
    assert pool.choose(3 * FIRST_REST_S, but=b) is a
    pool.answered(a)
    pool.lost(a, 3 * FIRST_REST_S, "once")
    assert pool.choose(3 * FIRST_REST_S, but=b) is a


def refuse(*names):
    """A server that takes none of these fields, and reports one at a time."""

    def answer(body):
        for name in names:
            if name in body:
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                return as_json(400, {"error": {"message": message, "param": name}})
        return completion(json.dumps(sorted(body)))

    return answer


def test_refused_fields_are_tried_once_and_remembered(sample):
    with ChatServer(refuse("max_tokens", "temperature")) as server:
        result = sample(server, num_questions=10, concurrency=1, temperature=0.5)
        assert len(server.asked) == 10 + 2
        for call in server.asked[2:]:
            assert call.body["max_completion_tokens"] == 512
            assert not {"max_tokens", "temperature"} & call.body.keys()
    assert result.counts["failed"] == 0
    assert any("max_completion_tokens was sent instead" in note for note in result.notes)
    assert any("refuses temperature" in note for note in result.notes)


def test_a_complaint_that_leaving_the_field_out_does_not_mend_is_a_row_and_forgotten(sample):
    def too_long(body):
        if len(body["messages"][-1]["content"].split()) > 6:
            return as_json(400, {"error": {"message": "prompt and max_tokens exceed the context"}})
        return echo(body)

    with ChatServer(too_long) as server:
        result = sample(server, num_questions=7, concurrency=1)
        assert server.asked[0].body["max_tokens"] == 512
        assert {failure.reason for failure in result.failures} == {"http_400"}
        last_good = [call.body for call in server.asked if "max_tokens" in call.body]
        assert len(last_good) == 7
    assert not any("refuses" in note for note in result.notes)


def test_params_and_extra_body_are_sent_and_null_leaves_out(sample):
    with ChatServer(lambda body: completion("yes")) as server:
        sample(
            server,
            num_questions=1,
            params={"reasoning_effort": "low", "temperature": None},
            extra_body={"top_k": 20},
        )
        body = server.asked[0].body
    assert (body["reasoning_effort"], body["top_k"]) == ("low", 20)
    assert "temperature" not in body


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(max_calls=3), 3),
        (Limits(max_tokens=700), 20),
        (Limits(max_cost=0.0006), 20),
        (Limits(max_calls=0), 0),
    ],
)
def test_a_limit_is_never_passed(sample, limits, most):
    prices = {"prompt": 1.0, "completion": 1.0}
    with ChatServer() as server:
        with pytest.raises(LimitReachedError, match="higher limit continues"):
            sample(server, limits=limits, prices=prices, num_questions=200)
        # The server counts 8 tokens per call.
        assert len(server.asked) <= most or 8 * len(server.asked) <= 700
        first = len(server.asked)
        sample(server, num_questions=200)
        assert len(server.asked) == 200
    assert first < 200


def test_a_full_server_is_sent_fewer_at_once_and_loses_nothing(sample):
    slots = threading.Semaphore(4)

    def answer(body):
        if not slots.acquire(blocking=False):
            return as_json(429, {"error": {"message": "too many requests"}})
        try:
            time.sleep(0.03)
            return echo(body)
        finally:
            slots.release()

    with ChatServer(answer) as server:
        result = sample(server, num_questions=80, concurrency=16)
    # At first sixteen go out at once; what is refused is sent again, when fewer are under way.
    assert result.counts["failed"] == 0
    with ChatServer() as server:
        sample(server, num_questions=80)
        assert len(server.asked) == 0


def refusing(is_refused, refused):
    """A server that refuses some requests for lack of room whenever it gets them."""

    def answer(body):
        if not is_refused(body):
            time.sleep(0.01)
            return echo(body)
        refused.append(body)
        return as_json(429, {"error": {"message": "request too large for your quota"}})

    return answer


def is_longest(body):
    return " ".join(WORDS[:8]) in json.dumps(body)


def test_a_request_that_is_always_refused_while_others_are_accepted_fails_alone(sample):
    refused = []
    is_first = lambda body: body["seed"] == server.asked[0].seed  # noqa: E731
    with ChatServer(refusing(is_first, refused)) as server:
        result = sample(server, num_questions=100, concurrency=4)
    assert result.counts["failed"] == 1
    assert len(refused) == MOST_REFUSALS


def test_a_request_that_is_refused_at_the_end_of_a_run_fails_after_a_while(sample, monkeypatch):
    monkeypatch.setattr(gate, "PATIENCE_S", 0.5)
    refused = []
    with ChatServer(refusing(is_longest, refused)) as server:
        result = sample(server, num_questions=7)
    assert [failure.reason for failure in result.failures] == ["http_429"]
    assert 4 <= len(refused) <= 8


def test_a_server_that_refuses_everything_ends_the_run_with_its_message(sample, monkeypatch):
    monkeypatch.setattr(gate, "PATIENCE_S", 0.5)
    refused = []
    with ChatServer(refusing(lambda body: True, refused)) as server:
        with pytest.raises(BackendError, match=r"refused every call for \d+ s .*for your quota"):
            sample(server, num_questions=100)
        assert len(refused) <= 16
    with ChatServer() as server:  # nothing was stored as failed
        assert sample(server, num_questions=100).counts["failed"] == 0
        assert len(server.asked) == 100


def test_what_a_full_server_refuses_goes_to_another_at_once(sample):
    full = Wire(status=429, headers={"Retry-After": "60"}, body=b"{}")
    with WireServer(lambda n: full) as closed, ChatServer() as there:
        result = sample(closed, there, num_questions=40, concurrency=8)
        assert len(there.asked) == 40
    assert result.counts["failed"] == 0
    assert len(closed.seen) <= 8


@pytest.mark.parametrize(
    "broken",
    [
        as_json(500, {"error": "broken"}),
        (200, "text/html", b"<html>Welcome to the proxy</html>"),
        as_json(404, {"error": {"message": "no such model"}}),
        as_json(401, {"error": {"message": "bad key"}}),
    ],
)
def test_a_broken_server_among_good_ones_costs_nothing(sample, broken):
    def slow(body):
        time.sleep(0.02)
        return echo(body)

    with ChatServer(slow) as good, ChatServer(lambda body: broken) as bad:
        result = sample(good, bad, num_questions=60, concurrency=8)
        assert len(good.asked) == 60
    assert result.counts["failed"] == 0
    assert any(bad.base_url in note and "set aside" in note for note in result.notes)


@pytest.mark.parametrize(
    "answer",
    [
        as_json(400, {"error": {"message": "model policy does not exist"}}),
        as_json(402, {"error": {"message": "insufficient balance"}}),
        as_json(500, {"error": "broken"}),
        (200, "text/html", b"<html>Welcome to the proxy</html>"),
    ],
)
def test_a_server_that_fails_everything_alike_ends_the_run_and_nothing_is_kept(sample, answer):
    with ChatServer(lambda body: answer) as server:
        with pytest.raises(BackendError, match=r"first \d+ requests all failed for the same"):
            sample(server, num_questions=100, concurrency=8)
        assert len(server.asked) <= 24
    with ChatServer() as server:
        assert sample(server, num_questions=100).counts["failed"] == 0
        assert len(server.asked) == 100


def test_what_is_under_way_when_a_server_refuses_comes_in_and_is_kept(sample):
    refused = threading.Event()
    calls = itertools.count(1)

    def answer(body):
        if next(calls) == 8:
            refused.set()
            return as_json(404, {"error": {"message": "gone"}})
        refused.wait(60)
        time.sleep(0.05)
        return echo(body)

    with ChatServer(answer) as server, pytest.raises(BackendError, match="7 of 20 missing replies"):
        sample(server, concurrency=8)
    with ChatServer() as server:
        sample(server, concurrency=8)
        assert len(server.asked) == 13
