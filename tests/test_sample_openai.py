"""Sampling from a server: what is sent, what odd answers become, what a rerun or a kill costs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from sample_server import ChatServer, as_json, completion, echo
from sample_support import write_questions

from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from schemas.errors import BackendError, ConfigError
from schemas.files.jsonl import read_records
from schemas.records import Failure, Response

KEY = "sk-very-secret-0123"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def sample(tmp_path):
    """Sample `num_questions` questions from a server; answers (StageResult, responses)."""

    def run(server, *, num_questions=3, retry_failed=False, **settings):
        base_url = server if isinstance(server, str) else server.base_url
        values = {"backend": "openai", "model": "policy", "base_url": base_url, "max_retries": 0}
        config = SampleConfig.parse(values | {"num_responses": 2} | settings, where="sample")
        write_questions(tmp_path / "questions.jsonl", num_questions)
        result = run_sample(
            config,
            questions=tmp_path / "questions.jsonl",
            output=tmp_path / "responses.jsonl",
            store=tmp_path / "calls.db",
            retry_failed=retry_failed,
        )
        text = result.output.read_text()
        return result, [Response.model_validate_json(line) for line in text.splitlines()]

    return run


def test_responses_come_in_input_order_with_what_was_sent(sample):
    with ChatServer() as server:
        result, responses = sample(
            server,
            temperature=0.7,
            top_p=0.9,
            max_tokens=33,
            system_prompt="Be brief.",
            chat_template_kwargs={"enable_thinking": False},
        )
    ids = ["q0-0", "q0-1", "q1-0", "q1-1", "q2-0", "q2-1"]
    assert [response.id for response in responses] == ids
    assert result.counts == {"asked": 6, "from_store": 0, "failed": 0, "empty": 0, "cut_off": 0}
    by_seed = {asked.seed: asked.body for asked in server.asked}
    assert len(by_seed) == 6
    for response in responses:
        body = by_seed[response.sampling["seed"]]
        assert body["messages"] == [message.model_dump() for message in response.prompt]
        assert response.prompt[0].content == "Be brief."
        assert response.text == f"{response.prompt[-1].content} / {body['seed']}"
        assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 33)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert body["model"] == response.model == "policy"
        assert response.sampling | {"seed": 0} == {
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 33,
            "seed": 0,
            "server": "unknown",
        }
    assert {asked.authorization for asked in server.asked} == {"Bearer none"}


def test_a_rerun_asks_nothing_and_writes_the_same(sample):
    with ChatServer() as server:
        first, responses = sample(server)
        content = first.output.read_bytes()
        again, _ = sample(server)
        assert len(server.asked) == 6
    assert again.counts["from_store"] == 6
    assert again.output.read_bytes() == content
    # Nothing is owed, so no server is needed either.
    assert sample("http://127.0.0.1:9/v1")[1] == responses


def test_more_responses_keep_those_there_are(sample):
    with ChatServer() as server:
        _, before = sample(server, num_responses=2)
        _, after = sample(server, num_responses=3)
        assert len(server.asked) == 9
    assert [response for response in after if not response.id.endswith("-2")] == before


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"max_tokens": 7},
        {"seed": 1},
        {"system_prompt": "Hi."},
        {"chat_template_kwargs": {"a": 1}},
        {"model": "other"},
        {"revision": "v2"},
    ],
)
def test_what_decides_a_reply_makes_new_replies(sample, change):
    with ChatServer() as server:
        sample(server)
        sample(server, **change)
        assert len(server.asked) == 12


@pytest.mark.parametrize(
    "change", [{"concurrency": 1}, {"timeout_s": 9.0}, {"max_retries": 1}, {"max_failed": 1.0}]
)
def test_what_does_not_decide_a_reply_makes_none(sample, change):
    with ChatServer() as server:
        sample(server)
        sample(server, **change)
        assert len(server.asked) == 6


def test_at_temperature_0_equal_prompts_are_asked_once(sample):
    with ChatServer() as server:
        result, responses = sample(server, temperature=0.0, num_responses=4)
        assert len(server.asked) == 3
    assert len(responses) == 12
    assert len({response.text for response in responses if response.question_id == "q0"}) == 1
    assert "set num_responses to 1" in result.notes[0]


def test_a_questions_own_system_message_stands(tmp_path):
    question = {
        "id": "q",
        "messages": [
            {"role": "system", "content": "Own."},
            {"role": "user", "content": "Who?"},
        ],
    }
    (tmp_path / "q.jsonl").write_text(json.dumps(question) + "\n")
    with ChatServer() as server:
        run_sample(
            SampleConfig(
                backend="openai",
                model="policy",
                base_url=server.base_url,
                num_responses=1,
                system_prompt="Ours.",
            ),
            questions=tmp_path / "q.jsonl",
            output=tmp_path / "r.jsonl",
            store=tmp_path / "calls.db",
        )
    (response,) = read_records(tmp_path / "r.jsonl", Response)
    assert [message.content for message in response.prompt] == ["Own.", "Who?"]


def test_the_bound_on_requests_in_flight_is_used_and_kept(sample):
    # Four must be in flight at once for any to be answered: 24 requests are 6 such rounds.
    together = threading.Barrier(4, timeout=60)

    def wait_for_the_others(body):
        together.wait()
        time.sleep(0.05)  # room for a fifth to show itself
        return echo(body)

    with ChatServer(wait_for_the_others) as server:
        result, _ = sample(server, num_questions=12, concurrency=4)
    assert result.counts["failed"] == 0
    assert server.most_in_flight == 4


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("eos_token", "stop"),
        ("max_tokens", "length"),
        ("abort", "unknown"),
        (None, "unknown"),
    ],
)
def test_finish_reasons_are_kept(sample, sent, expected):
    with ChatServer(lambda body: completion("Yes.", finish_reason=sent)) as server:
        _, responses = sample(server, num_questions=1)
    assert {response.finish_reason for response in responses} == {expected}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart(sample, field):
    with ChatServer(lambda body: completion("Yes.", **{field: "Let me see."})) as server:
        _, responses = sample(server, num_questions=1)
    assert {(response.text, response.reasoning) for response in responses} == {
        ("Yes.", "Let me see.")
    }


def test_a_model_that_only_thought_gives_an_empty_response(sample):
    cut_off = completion(None, finish_reason="length", reasoning_content="Hm")
    with ChatServer(lambda body: cut_off) as server:
        result, responses = sample(server, num_questions=1)
    assert [(r.text, r.reasoning, r.finish_reason) for r in responses] == [("", "Hm", "length")] * 2
    assert result.counts["empty"] == 2
    assert any("annotate records them" in note for note in result.notes)


ODD_ANSWERS = {
    "http_400": as_json(400, {"error": {"message": f"too\nlong {KEY}"}}),
    "http_422": as_json(422, {"detail": "no"}),
    "http_500": (500, "text/html", b"<html><h1>Internal\nerror</h1></html>"),
    "no_choices": as_json(200, {"choices": []}),
    "no_content": completion(None),
    "refused": completion(None, refusal="I will not."),
    "bad_response": (200, "text/html", b"<html>Welcome to the proxy</html>"),
    "connection": None,
}
BAD_BODIES = [
    b"",
    b"not json",
    b"[]",
    b"null",
    b"\xff\xfe\x00",
    b'{"choices": null}',
    b'{"choices": [{"message": {"content": 7}}]}',
    b'{"choices": [{"message": {"content": "\\ud800"}}]}',
    b'{"choices": [{"message": {"content": "cut of',
    b'{"error": {"message": "overloaded"}}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("reason", ODD_ANSWERS)
def test_one_bad_answer_is_a_row_and_costs_no_good_one(sample, monkeypatch, reason, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def fail_the_second_question(body):
        is_second = len(body["messages"][-1]["content"].split()) == 4
        return ODD_ANSWERS[reason] if is_second else echo(body)

    with ChatServer(fail_the_second_question) as server:
        result, responses = sample(server)
        assert [response.id for response in responses] == ["q0-0", "q0-1", "q2-0", "q2-1"]
        failures = read_records(tmp_path / "responses.failed.jsonl", Failure)
        assert failures == result.failures
        assert [(row.id, row.stage, row.reason) for row in failures] == [
            ("q1-0", "sample", reason),
            ("q1-1", "sample", reason),
        ]
        assert all("\n" not in row.detail and KEY not in row.detail for row in failures)
        assert (result.num_rows, result.counts["failed"]) == (6, 2)
    with ChatServer() as server:
        assert sample(server)[0].failures == failures
        assert len(server.asked) == 0
        result, responses = sample(server, retry_failed=True)
        assert len(server.asked) == 2
    assert len(responses) == 6
    assert not (tmp_path / "responses.failed.jsonl").exists()


@pytest.mark.parametrize("body", BAD_BODIES)
def test_any_body_is_a_row(sample, body):
    with ChatServer(lambda _: (200, "application/json", body)) as server:
        result, responses = sample(server, num_questions=1)
    assert responses == []
    assert {failure.reason for failure in result.failures} == {"bad_response"}


def test_odd_token_counts_cost_no_reply(sample):
    answer = json.loads(completion("Yes.")[2]) | {"usage": {"prompt_tokens": "many"}}
    with ChatServer(lambda _: as_json(200, answer)) as server:
        _, responses = sample(server, num_questions=1)
    assert [response.text for response in responses] == ["Yes.", "Yes."]


def test_a_slow_answer_is_a_row(sample):
    release = threading.Event()

    def stall(body):
        release.wait(60)
        return echo(body)

    with ChatServer(stall) as server:
        try:
            result, _ = sample(server, num_questions=1, timeout_s=0.3)
        finally:
            release.set()
    assert {failure.reason for failure in result.failures} == {"timeout"}


def test_no_server_is_said_in_one_sentence_before_anything(sample, tmp_path):
    with ChatServer() as server:
        pass  # its port is free again
    with pytest.raises(BackendError) as caught:
        sample(server)
    message = str(caught.value)
    assert server.base_url in message
    assert "vllm serve policy" in message
    assert "\n" not in message
    assert not (tmp_path / "responses.jsonl").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_the_variable_and_not_the_key(sample, monkeypatch, status):
    refused = as_json(status, {"error": {"message": f"bad key {KEY}"}})
    with ChatServer(models=refused) as server:
        with pytest.raises(ConfigError, match="set the environment variable POLICY_KEY to a key"):
            sample(server, api_key_env="POLICY_KEY")
        monkeypatch.setenv("POLICY_KEY", KEY)
        with pytest.raises(
            ConfigError, match="check the key in the environment variable"
        ) as caught:
            sample(server, api_key_env="POLICY_KEY")
        assert KEY not in str(caught.value)
        assert server.asked == []


def test_the_key_is_sent_and_written_nowhere(sample, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with ChatServer() as server:
        sample(server)
    assert {asked.authorization for asked in server.asked} == {f"Bearer {KEY}"}
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY.encode() not in written
    assert KEY not in "".join(capfd.readouterr())


def test_a_key_no_header_can_carry_is_refused(sample, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ключ")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds characters"):
        sample("http://127.0.0.1:9/v1")


def test_an_unknown_model_says_what_is_served(sample):
    missing = as_json(404, {"error": {"message": "no such model"}})
    with ChatServer(lambda body: missing) as server:
        with pytest.raises(ConfigError, match=r"HTTP 404 for model 'polcy' .* serves: policy"):
            sample(server, model="polcy")
        assert len(server.asked) <= 6


def test_a_server_without_a_list_of_models_serves(sample):
    with ChatServer(models=as_json(404, {"detail": "Not Found"})) as server:
        assert len(sample(server)[1]) == 6


def test_a_server_that_dies_ends_the_run_and_a_rerun_pays_only_the_rest(sample):
    concurrency = 4
    alive = 10

    def die_after_ten(body):
        return echo(body) if len(server.asked) <= alive else None

    with ChatServer(die_after_ten) as server:
        with pytest.raises(BackendError, match=r"stopped answering: .* the same command continues"):
            sample(server, num_questions=50, concurrency=concurrency)
        # It gives up after 8 failures in a row, not after the other ninety requests. Each reply
        # that was on its way when the server died may start the count anew.
        assert len(server.asked) <= alive + 8 * (concurrency + 1) + concurrency
        answered = Counter(asked.seed for asked in server.asked[:alive])
    with ChatServer() as server:
        result, responses = sample(server, num_questions=50, concurrency=concurrency)
        asked_again = answered & Counter(asked.seed for asked in server.asked)
    assert len(responses) == 100
    assert result.counts["from_store"] == 100 - len(server.asked)
    # Ten arrived while it lived; the last few raced with its death and may be lost.
    assert asked_again.total() <= concurrency


SAMPLER = """
import signal, sys
from pathlib import Path
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample

folder, base_url, concurrency = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
config = SampleConfig(
    backend="openai", model="policy", base_url=base_url, num_responses=4, concurrency=concurrency
)
# A shell that runs the tests in the background lets its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
run_sample(
    config, questions=folder / "questions.jsonl", output=folder / "responses.jsonl",
    store=folder / "calls.db",
)
"""


def interrupt_at(folder, moment, how, concurrency=5):
    """Run the sampler in a process that gets signal `how` when request `moment` arrives."""
    started = threading.Event()
    process = None

    def strike(count):
        if count == moment:
            started.wait(60)
            process.send_signal(how)
            process.wait(60)

    with ChatServer(on_request=strike) as server:
        command = [sys.executable, "-c", SAMPLER, str(folder), server.base_url, str(concurrency)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        started.set()
        _, errors = process.communicate(timeout=60)
    return process.returncode, server, errors


@pytest.mark.parametrize("moment", [1, 7, 23, 40])
def test_a_kill_costs_at_most_what_was_in_flight(tmp_path, moment):
    write_questions(tmp_path / "questions.jsonl", 10)
    code, killed, _ = interrupt_at(tmp_path, moment, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "responses.jsonl").exists()
    code, second, _ = interrupt_at(tmp_path, None, signal.SIGKILL)
    assert code == 0
    asked = Counter(call.seed for call in killed.asked + second.asked)
    assert len(asked) == 40
    assert max(asked.values()) <= 2
    assert asked.total() - 40 <= 5
    responses = read_records(tmp_path / "responses.jsonl", Response)
    assert [r.text for r in responses] == [
        f"{r.prompt[-1].content} / {r.sampling['seed']}" for r in responses
    ]
    assert len(responses) == 40


def test_ctrl_c_stops_at_once_and_keeps_what_was_finished(tmp_path):
    write_questions(tmp_path / "questions.jsonl", 10)
    code, first, errors = interrupt_at(tmp_path, 23, signal.SIGINT)
    assert code in (-signal.SIGINT, 130)
    assert "KeyboardInterrupt" in errors
    assert "never retrieved" not in errors
    assert "was destroyed" not in errors
    _, second, _ = interrupt_at(tmp_path, None, signal.SIGINT)
    assert len(first.asked) + len(second.asked) - 40 <= 5


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://127.0.0.1:99999/v1",
        "http://[::1/v1",
        "",
    ],
)
def test_a_base_url_must_be_http(url):
    with pytest.raises(ConfigError, match=r"must look like http://127\.0\.0\.1:8000/v1"):
        SampleConfig.parse({"model": "m", "base_url": url}, where="sample")


def test_a_base_url_holds_no_credentials():
    for url, said in (
        (f"https://me:{KEY}@host/v1", "a key"),
        ("https://me:pw@h/v1", "credentials"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            SampleConfig.parse({"model": "m", "base_url": url}, where="sample")
        assert url not in str(caught.value)
        assert KEY not in str(caught.value)


def test_loopback_goes_through_no_proxy(sample, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:9")
    with ChatServer() as server:
        assert len(sample(server)[1]) == 6


def test_a_server_that_forgets_the_model_midway_says_what_is_kept(sample):
    """Before any reply it is the config's fault; after some it is the server's, and they stay."""

    def forget_after_six(body):
        return (
            echo(body) if len(server.asked) <= 6 else as_json(404, {"error": {"message": "gone"}})
        )

    with (
        ChatServer(forget_after_six) as server,
        pytest.raises(BackendError, match=r"404 .* missing replies were received .* continues"),
    ):
        sample(server, num_questions=20, concurrency=2)
    with ChatServer() as server:
        result, responses = sample(server, num_questions=20, concurrency=2)
    assert result.counts["from_store"] >= 4
    assert len(responses) == 40


def test_the_store_is_neither_output_nor_input(tmp_path):
    for name in ("responses.jsonl", "questions.jsonl"):
        with pytest.raises(ConfigError, match="is also the output or the questions file"):
            run_sample(
                SampleConfig(backend="openai", model="policy"),
                questions=tmp_path / "questions.jsonl",
                output=tmp_path / "responses.jsonl",
                store=tmp_path / name,
            )
