"""`maskdpo.Client` and `AsyncClient` against a scripted service: what is sent, read, sent again.

Each test runs with both. tests/test_client_service.py uses the real service.
"""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from service_server import (
    HANG_UP,
    TOKEN,
    Asked,
    Clients,
    ScriptedService,
    Sent,
    as_json,
    events,
    refused,
    rows,
)

import maskdpo
from maskdpo import BackendError, ConfigError, Failure, InputError, LimitReachedError
from maskdpo.api.client.tries import Tries
from maskdpo.api.client.wire import ConnectionFailed, Reply

DOCUMENT = "Mira Tolvan was born in Karsted in 1951."
TEXT = "Mira was born in 1951. She paints."
VERDICT = {"label": "no_hallucination", "evidence": [{"document_id": "d1", "start": 0, "end": 4}]}
SENTENCES = [
    {"start": 0, "end": 22, "verdict": VERDICT},
    {"start": 23, "end": 34, "verdict": {"label": "unverifiable"}},
]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Clients]:
    with Clients(request.param) as clients:
        yield clients


def annotation(asked: Asked) -> dict[str, Any]:
    """The response of a request with verdicts for TEXT."""
    return {**asked.json["response"], "sentences": SENTENCES}


def judge(asked: Asked) -> Sent:
    return as_json({"annotation": annotation(asked), "score": 1.0, "judge": "default", "new": 1})


def status(state: str = "running", done: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "j1", "state": state, "rows": {"total": 3, "done": done, "failed": 0}, **more}


def row(number: int, text: str = "Mira paints.") -> dict[str, Any]:
    sentence = {"start": 0, "end": len(text), "verdict": {"label": "no_fact"}}
    prompt = [{"role": "user", "content": ""}]
    same = {"id": f"r{number}", "question_id": "q", "prompt": prompt}
    return {**same, "text": text, "sentences": [sentence]}


# ---------------------------------------------------------------- one response


def test_a_response_is_sent_with_its_documents_and_the_result_is_that_of_annotate(
    connect: Clients,
) -> None:
    given = {"id": "r7", "text": TEXT, "question": "Who?", "reasoning": "private", "model": "m"}
    with ScriptedService(judge) as service:
        found = connect(service.url).annotate(given, [DOCUMENT], judge="big", domain="medical")
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", "/v1/annotations")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json["documents"] == [{"id": "d1", "text": DOCUMENT}]
    assert (asked.json["judge"], asked.json["domain"]) == ("big", "medical")
    sent = asked.json["response"]
    assert sent["prompt"] == [{"role": "user", "content": "Who?"}]
    assert (sent["id"], sent["model"], sent["document_ids"]) == ("r7", "m", ["d1"])
    assert "private" not in asked.body.decode()
    assert isinstance(found, maskdpo.JudgedResponse)
    assert found.record.reasoning == "private"  # put back, though it never left
    assert [str(sentence.label) for sentence in found.sentences] == [
        "no_hallucination",
        "unverifiable",
    ]
    assert found.sentences[0].evidence[0].text == "Mira"


def test_without_documents_those_of_the_run_are_meant(connect: Clients) -> None:
    with ScriptedService(judge) as service:
        client = connect(service.url)
        client.annotate({"text": TEXT, "document_ids": ["mira"]})
        client.annotate(TEXT, [])
    of_the_run, none = (asked.json for asked in service.asked)
    assert "documents" not in of_the_run
    assert of_the_run["response"]["document_ids"] == ["mira"]
    assert none["documents"] == [] and "judge" not in none


def test_of_many_documents_only_those_that_are_compared_are_sent(connect: Clients) -> None:
    documents = {f"d{number}": f"Nobody {number} paints a fence." for number in range(30)}
    documents["mira"] = DOCUMENT
    about = {"id": "t1", "topic": "mira", "text": "By topic."}
    with ScriptedService(judge) as service:
        client = connect(service.url)
        client.annotate(TEXT, documents)
        client.annotate({"text": TEXT, "topic": "mira"}, [*documents.values(), about])
        client.annotate({"text": TEXT, "document_ids": ["d3"]}, documents)
    sent = [[document["id"] for document in asked.json["documents"]] for asked in service.asked]
    assert "mira" in sent[0] and len(sent[0]) < 20
    assert sent[1:] == [["t1"], ["d3"]]


def test_what_is_no_response_or_no_document_is_refused_before_anything_is_sent(
    connect: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.txt").write_text("x", encoding="utf-8")
    with ScriptedService(judge) as service:
        client = connect(service.url)
        with pytest.raises(InputError, match="response 1 is 5, but it must be a text"):
            client.annotate(5, [DOCUMENT])
        with pytest.raises(InputError, match=r"documents\[0\]: is 5"):
            client.annotate(TEXT, [5])
        with pytest.raises(ConfigError, match="the name of a file"):
            client.annotate("answer.txt", [DOCUMENT])
        with pytest.raises(ConfigError, match="concurrency is 0"):
            client.annotate_many([TEXT], concurrency=0)
    assert service.asked == []


# ---------------------------------------------------------------- the token and the address


def test_the_token_is_in_no_text_and_is_not_sent_elsewhere(
    connect: Clients, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MASKDPO_TOKEN", TOKEN)
    with ScriptedService(judge) as other, ScriptedService(judge) as proxy:

        def lead_away(asked: Asked) -> Sent:
            return Sent(status=307, headers={"Location": f"{other.url}/v1/annotations"})

        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with ScriptedService(lead_away) as service:
            client = connect(service.url, None)
            with pytest.raises(ConfigError, match="leads to another address") as error:
                client.annotate(TEXT, [DOCUMENT])
    assert service.asked[0].headers["authorization"] == f"Bearer {TOKEN}"  # not that of .netrc
    assert other.asked == proxy.asked == []
    assert TOKEN not in repr(client) + str(error.value) + repr(client._edge.address)


@pytest.mark.parametrize("token", ["", "two words", "päß", "line\nbreak"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(connect: Clients, token: str) -> None:
    with pytest.raises(ConfigError, match="token") as error:
        connect("http://127.0.0.1:1", token)
    assert not token or token not in str(error.value)


def test_without_a_token_the_error_says_where_it_comes_from(
    connect: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASKDPO_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="export MASKDPO_TOKEN, or give token="):
        connect("http://127.0.0.1:1", None)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8765", "ftp://host", "http://", "http://h:x", "http://u:p@h", "http://h/?t=1"],
)
def test_a_wrong_address_is_one_sentence(connect: Clients, url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        connect(url)


def test_an_address_may_have_a_path_and_the_version(connect: Clients) -> None:
    with ScriptedService(judge) as service:
        connect(f"{service.url}/judge/v1/").annotate(TEXT, [DOCUMENT])
    assert service.asked[0].path == "/judge/v1/annotations"


# ---------------------------------------------------------------- errors and what is sent again


@pytest.mark.parametrize(
    ("sent", "kind", "says"),
    [
        (refused(401, "wrong_token", "no"), ConfigError, "no (token= or MASKDPO_TOKEN)"),
        (refused(429, "too_many_wrong_tokens", "no"), ConfigError, "no (token= or MASKDPO_TOKEN)"),
        (refused(403, "wrong_host", "the host"), ConfigError, "the host"),
        (refused(422, "invalid_request", "response: is empty"), InputError, "response: is empty"),
        (refused(413, "too_long", "too long"), InputError, "request: too long"),
        (refused(409, "wrong_state", "ended"), InputError, "request: ended"),
        (refused(502, "judge_failed", "the judge"), BackendError, "the judge"),
        (refused(504, "timeout", "too slow"), BackendError, "too slow"),
        (refused(503, "limit_reached", "20 calls"), LimitReachedError, "20 calls"),
        (Sent(status=404, body=b"<html>nginx</html>"), ConfigError, "no annotation service"),
        (as_json({"annotation": {"id": 5}}), BackendError, "cannot be read"),
        (as_json([]), BackendError, "cannot be read"),
        (as_json({"annotation": row(1)}), BackendError, "of another text"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_refusal_is_one_error_and_is_not_sent_again(
    connect: Clients, sent: Sent, kind: type[Exception], says: str
) -> None:
    with ScriptedService(lambda asked: sent) as service, pytest.raises(kind) as error:
        connect(service.url).annotate(TEXT, [DOCUMENT])
    assert type(error.value) is kind or kind is BackendError
    assert says in str(error.value)
    assert len(service.asked) == 1


def test_all_faults_of_a_refusal_are_listed(connect: Clients) -> None:
    details = ["line 7 is wrong", "responses.jsonl:9: no id"]
    body = {"error": {"code": "invalid_request", "message": "2 faults", "details": details}}
    with (
        ScriptedService(lambda asked: as_json(body, 422)) as service,
        pytest.raises(InputError) as error,
    ):
        connect(service.url).annotate(TEXT, [DOCUMENT])
    assert str(error.value) == "request: line 7 is wrong\nresponses.jsonl:9: no id"
    assert error.value.faults[1].line == 9


@pytest.mark.parametrize(
    "first",
    [
        refused(429, "busy", Retry_After="0.01"),
        refused(503, "stopping", Retry_After="0.01"),
        Sent(status=502, body=b"Bad Gateway", headers={"Retry-After": "0.01"}),
        HANG_UP,
        Sent(body=b'{"annotation": ', is_broken=True),
    ],
    ids=["full", "stopping", "a proxy alone", "no reply", "half a reply"],
)
def test_what_another_try_can_help_is_sent_again(connect: Clients, first: Sent) -> None:
    with ScriptedService(
        lambda asked: judge(asked) if len(service.asked) > 1 else first
    ) as service:
        found = connect(service.url).annotate(TEXT, [DOCUMENT])
    assert found.score == 0.5
    assert len(service.asked) == 2
    assert service.asked[0].body == service.asked[1].body


def test_after_the_last_try_the_reason_is_raised(connect: Clients) -> None:
    full = refused(429, "busy", "too many wait", Retry_After="0.01")
    with (
        ScriptedService(lambda asked: full) as service,
        pytest.raises(BackendError, match="too many wait"),
    ):
        connect(service.url, max_retries=3).annotate(TEXT, [DOCUMENT])
    assert len(service.asked) == 4


def test_a_service_that_was_never_there_is_not_waited_for(connect: Clients) -> None:
    with ScriptedService(judge) as service:
        pass
    client = connect(service.url, max_retries=2)
    with pytest.raises(BackendError, match="start it with: maskdpo serve"):
        client.annotate(TEXT, [DOCUMENT])
    assert client.ready() is False


def test_a_try_waits_only_for_a_service_that_was_there() -> None:
    tries = Tries(5)
    assert tries.after_break(ConnectionFailed("broken")) > 0
    with pytest.raises(BackendError, match="refused"):
        tries.after_break(ConnectionFailed("refused", is_new=True))


# ---------------------------------------------------------------- sentence by sentence


def sentence(index: int) -> tuple[str, dict[str, Any]]:
    return "sentence", {"index": index, **SENTENCES[index]}


def test_a_stream_that_breaks_goes_on_and_gives_no_sentence_twice(connect: Clients) -> None:
    def answer(asked: Asked) -> Sent:
        if len(service.asked) == 1:
            return events(sentence(1), is_broken=True)
        if len(service.asked) == 2:
            return events(("error", {"error": {"code": "stopping", "message": "x"}}))
        whole = ("annotation", {"annotation": annotation(asked), "score": 1.0, "judge": "x"})
        return events(sentence(1), sentence(0), whole)

    with ScriptedService(answer) as service:
        stream = connect(service.url).stream(TEXT, [DOCUMENT])
        found = list(stream)
        result = stream.result()
    assert [item.text for item in found] == ["She paints.", "Mira was born in 1951."]
    assert found[1].evidence[0].text == "Mira"
    assert [item.text for item in result.sentences] == [item.text for item in reversed(found)]
    assert len(service.asked) == 3 and service.asked[0].json["stream"] is True


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("judge_failed", BackendError),
        ("invalid_request", InputError),
        ("limit_reached", LimitReachedError),
    ],
)
def test_an_error_in_a_stream_is_raised(connect: Clients, code: str, kind: type[Exception]) -> None:
    error = ("error", {"error": {"code": code, "message": "why"}})
    with ScriptedService(lambda asked: events(sentence(0), error)) as service:
        stream = connect(service.url).stream(TEXT, [DOCUMENT])
        with pytest.raises(kind, match="why"):
            stream.result()
    assert len(service.asked) == 1


# ---------------------------------------------------------------- many


def test_many_are_asked_at_once_and_never_more_than_allowed(connect: Clients) -> None:
    together = threading.Barrier(4, timeout=60)

    def answer(asked: Asked) -> Sent:
        together.wait()
        time.sleep(0.1)  # time for a fifth request to come, if one did
        return judge(asked)

    with ScriptedService(answer) as service:
        found = list(connect(service.url).annotate_many([TEXT] * 12, [DOCUMENT], concurrency=4))
    assert service.most_in_flight == 4
    assert sorted(int(item.id) for item in found) == [*range(1, 13)]


def test_a_response_that_cannot_be_judged_does_not_stop_the_rest(connect: Clients) -> None:
    bad = {
        "2": refused(422, "invalid_request", "response: no text (empty_response)"),
        "3": refused(504, "timeout", "too slow"),
    }

    def answer(asked: Asked) -> Sent:
        return bad.get(asked.json["response"]["id"]) or judge(asked)

    with ScriptedService(answer) as service:
        found = list(connect(service.url).annotate_many([TEXT, "", TEXT, 5, TEXT], [DOCUMENT]))
    failures = {item.id: item.reason for item in found if isinstance(item, Failure)}
    assert failures == {"2": "empty_response", "3": "not_judged", "4": "bad_response"}
    assert {item.id for item in found} - set(failures) == {"1", "5"}


def test_a_full_service_does_not_stop_many(connect: Clients) -> None:
    full = refused(429, "busy", "too many wait", Retry_After="0.01")
    seen: Counter[str] = Counter()

    def answer(asked: Asked) -> Sent:
        name = asked.json["response"]["id"]
        seen[name] += 1
        return judge(asked) if seen[name] > 5 else full

    with ScriptedService(answer) as service:
        found = list(connect(service.url, max_retries=1).annotate_many([TEXT] * 8, [DOCUMENT]))
    assert {item.id for item in found} == {str(number) for number in range(1, 9)}
    assert set(seen.values()) == {6}


def test_a_full_service_is_waited_for_as_long_as_a_silent_one() -> None:
    tries = Tries(0, patience_s=2.5)
    full = Reply(
        status=429,
        headers={"retry-after": "1"},
        body=b'{"error": {"code": "busy", "message": "full"}}',
    )
    waits = [tries.after_refusal(full) for _ in range(2)]
    assert all(1 <= wait <= 1.5 for wait in waits)  # never before the time that was asked for
    with pytest.raises(BackendError, match="full"):
        for _ in range(2):
            tries.after_refusal(full)


def test_a_judge_that_fails_stops_all(connect: Clients) -> None:
    with (
        ScriptedService(lambda asked: refused(502, "judge_failed", "the judge")) as service,
        pytest.raises(BackendError, match="the judge"),
    ):
        list(connect(service.url).annotate_many([TEXT] * 100, [DOCUMENT], concurrency=2))
    assert len(service.asked) <= 4


def test_responses_are_pulled_only_when_there_is_room(connect: Clients) -> None:
    pulled = []

    def source() -> Iterator[str]:
        for number in range(1000):
            pulled.append(number)
            yield TEXT

    with ScriptedService(judge) as service:
        found = connect(service.url).annotate_many(source(), [DOCUMENT], concurrency=2)
        next(iter(found))
        assert len(pulled) <= 6
        found.close() if connect.kind == "sync" else found.aclose()


# ---------------------------------------------------------------- jobs


def jobs_service(answer: Any) -> ScriptedService:
    """`answer` gives what is sent for each path below /v1/jobs/j1, '' for the job itself."""
    return ScriptedService(lambda asked: answer(asked.path.partition("/v1/jobs/j1")[2], asked))


def test_an_upload_has_responses_then_documents_and_is_repeated_under_its_key(
    connect: Clients,
) -> None:
    def answer(asked: Asked) -> Sent:
        return HANG_UP if len(service.asked) == 1 else as_json(status("queued"), 201)

    with ScriptedService(answer) as service:
        job = connect(service.url, timeout_s=5, max_retries=1).submit(
            (TEXT for _ in range(2)), {"d": DOCUMENT}, judge="big", max_calls=9, max_cost=0.5
        )
    first, again = service.asked
    assert job.id == "j1" and job.latest.state == "queued"
    assert first.body == again.body
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert first.headers["content-type"] == "application/x-ndjson"
    assert first.query == {"judge": "big", "max_calls": "9", "max_cost": "0.5"}
    one, two, document = again.rows
    assert (one["id"], two["id"], one["document_ids"]) == ("1", "2", ["d"])
    assert document["document"]["text"] == DOCUMENT


def test_a_file_is_uploaded_as_it_is(connect: Clients, tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    path.write_bytes(b'{"id": "a", "text": "x"}\n{"id": 5')
    with ScriptedService(lambda asked: as_json(status("queued"), 201)) as service:
        client = connect(service.url)
        client.submit(path)
        client.submit(path, [DOCUMENT], idempotency_key="mine")
    alone, with_documents = service.asked
    assert alone.body == path.read_bytes() + b"\n"
    assert with_documents.body.startswith(alone.body)
    assert with_documents.headers["idempotency-key"] == "mine"
    assert json.loads(with_documents.body.splitlines()[2])["document"]["id"] == "d1"


def test_faults_of_responses_are_listed_and_nothing_is_uploaded(connect: Clients) -> None:
    with ScriptedService(lambda asked: as_json(status())) as service:
        with pytest.raises(InputError) as error:
            connect(service.url).submit([TEXT, 5, {"id": "x"}])
        with pytest.raises(ConfigError, match="documents is empty"):
            connect(service.url).submit([TEXT], [])
        with pytest.raises(ConfigError, match="max_calls is -1"):
            connect(service.url).submit([TEXT], max_calls=-1)
    assert len(error.value.faults) == 2
    assert service.asked == []


def test_files_of_the_run_are_named(connect: Clients) -> None:
    with ScriptedService(lambda asked: as_json(status("queued"), 201)) as service:
        connect(service.url).submit_files(documents="d.jsonl", domain="medical", max_tokens=5)
    assert service.asked[0].json == {
        "responses": "responses.jsonl",
        "documents": "d.jsonl",
        "domain": "medical",
        "max_tokens": 5,
    }


def test_results_go_on_at_the_next_row_whatever_breaks(connect: Clients) -> None:
    odd = row(1, "One\u2028line, and\x85another.")
    whole = json.dumps(row(2)).encode()
    sent = [
        rows(row(0), odd, rest=whole[:20], is_broken=True),  # breaks within a row
        rows(),  # the service stops: it ends well, without news
        rows(row(2), rest=b"\n"),
        rows(),
    ]
    replies = iter(sent)

    def answer(what: str, asked: Asked) -> Sent:
        if what == "/results":
            return next(replies)
        is_over = sum(item.path.endswith("/results") for item in service.asked) >= 3
        return as_json(status("succeeded" if is_over else "running"))

    with jobs_service(answer) as service:
        job = connect(service.url).job("j1")
        found = list(job.results([DOCUMENT]))
    assert [item.id for item in found] == ["r0", "r1", "r2"]
    assert found[1].text == odd["text"]
    asked = [item.query for item in service.asked if item.path.endswith("/results")]
    assert [query["from"] for query in asked] == ["0", "2", "2", "3"]
    assert [query["wait"] for query in asked] == ["true", "true", "true", "false"]


@pytest.mark.parametrize(
    ("state", "kind"), [("failed", BackendError), ("limit_reached", LimitReachedError)]
)
def test_the_error_of_a_job_follows_its_results(
    connect: Clients, state: str, kind: type[Exception]
) -> None:
    ended = status(state, error={"code": "x", "message": "the reason"})

    def answer(what: str, asked: Asked) -> Sent:
        return rows(row(0)) if what == "/results" else as_json(ended)

    with jobs_service(answer) as service:
        job = connect(service.url).job("j1")
        found = []
        with pytest.raises(kind, match=r"job j1.*the reason"):
            for item in job.results():
                found.append(item.id)
        with pytest.raises(kind, match="the reason"):
            job.wait()
    assert found == ["r0"]


def test_wait_ends_with_the_job_and_draws_its_progress(
    connect: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    states = iter([status("queued"), status("running", 1), status("waiting", 2)])

    def answer(what: str, asked: Asked) -> Sent:
        return as_json(next(states, status("succeeded", 3, labels={"no_fact": 3})))

    with jobs_service(answer) as service:
        job = connect(service.url).job("j1")
        assert job.wait(progress=True).rows.done == 3
    assert job.latest.labels == {maskdpo.Label.NO_FACT: 3}
    assert "3 of 3 responses in" in capsys.readouterr().err


def test_a_wait_may_end_before_the_job(connect: Clients) -> None:
    with jobs_service(lambda what, asked: as_json(status("running", 1))) as service:
        job = connect(service.url).job("j1")
        with pytest.raises(TimeoutError, match=r"running after 0.05 s, with 1 of 3 rows"):
            job.wait(timeout_s=0.05)
    assert job.latest.state == "running"


def test_events_go_on_after_a_break_until_the_job_is_over(connect: Clients) -> None:
    streams = iter(
        [
            events(("progress", status("running", 1)), is_broken=True),
            events(("progress", status("paused", 3))),
        ]
    )

    def answer(what: str, asked: Asked) -> Sent:
        return next(streams) if what == "/events" else as_json(status())

    with jobs_service(answer) as service:
        found = list(connect(service.url).job("j1").events())
    assert [(item.state, item.rows.done) for item in found] == [("running", 1), ("paused", 3)]


def test_a_job_is_told_what_to_do(connect: Clients) -> None:
    def answer(what: str, asked: Asked) -> Sent:
        return Sent(status=204) if asked.method == "DELETE" else as_json(status("paused"), 202)

    with jobs_service(answer) as service:
        job = connect(service.url).job("j1")
        job.pause()
        job.resume(max_calls=7)
        job.retry_failed()
        assert job.cancel().state == "paused"
        job.delete()
    told = [(item.method, item.path, item.body) for item in service.asked[1:]]
    assert told == [
        ("POST", "/v1/jobs/j1/pause", b""),
        ("POST", "/v1/jobs/j1/resume", b'{"max_calls": 7}'),
        ("POST", "/v1/jobs/j1/retry-failed", b""),
        ("POST", "/v1/jobs/j1/cancel", b""),
        ("DELETE", "/v1/jobs/j1", b""),
    ]


@pytest.mark.parametrize("name", ["..", "a/b", "", "a?b", 5])
def test_an_id_names_a_job_and_nothing_else(connect: Clients, name: Any) -> None:
    with (
        ScriptedService(lambda asked: as_json(status())) as service,
        pytest.raises(ConfigError, match="id of a job"),
    ):
        connect(service.url).job(name)
    assert service.asked == []


def test_annotations_are_saved_whole_or_not_at_all(connect: Clients, tmp_path: Path) -> None:
    whole = rows(row(0), row(1))
    replies = iter([Sent(body=whole.body[:-9], is_broken=True), whole, Sent(body=whole.body[:-9])])
    failed = {"id": "r9", "stage": "annotate", "reason": "empty_response"}

    def answer(what: str, asked: Asked) -> Sent:
        if what == "/annotations":
            return next(replies)
        return rows(failed) if what == "/failures" else as_json(status("succeeded"))

    path = tmp_path / "annotations.jsonl"
    with jobs_service(answer) as service:
        job = connect(service.url).job("j1")
        assert job.save(path) == 2
        assert path.read_bytes() == whole.body
        with pytest.raises(BackendError, match="within a row"):
            job.save(path)
    assert path.read_bytes() == whole.body
    assert [item.id for item in maskdpo.load_annotations(path)] == ["r0", "r1"]
    assert [item.id for item in maskdpo.load_failures(path)] == ["r9"]
    assert json.loads((tmp_path / "annotations.jsonl.meta.json").read_text())["counts"] == {
        "responses": 3,
        "failed": 1,
    }


def test_what_a_person_decided_is_not_overwritten(connect: Clients, tmp_path: Path) -> None:
    path = tmp_path / "annotations.jsonl"
    by_person = row(0)
    by_person["sentences"][0]["verdict"]["source"] = "person"
    path.write_text(json.dumps(by_person) + "\n", encoding="utf-8")
    kept = path.read_bytes()
    with (
        jobs_service(lambda what, asked: as_json(status("succeeded"))) as service,
        pytest.raises(ConfigError, match="what people decided"),
    ):
        connect(service.url).job("j1").save(path)
    assert path.read_bytes() == kept


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    pairs = [(maskdpo.Client, maskdpo.AsyncClient), (maskdpo.Job, maskdpo.AsyncJob)]
    for now, soon in pairs:
        names = {name for name in vars(now) if not name.startswith("_")} - {"close"}
        assert names == {name for name in vars(soon) if not name.startswith("_")} - {"aclose"}
        for name in sorted(names - {"id", "annotate_many"}):
            one, other = (inspect.signature(getattr(kind, name)) for kind in (now, soon))
            assert [*one.parameters.values()] == [*other.parameters.values()], name


def test_what_is_open_ends_with_the_client(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedService(judge) as service:
        client = maskdpo.Client(service.url, TOKEN)
        results = client.annotate_many([TEXT] * 5, [DOCUMENT])
        next(results)
        client.close()
        client.close()
        with pytest.raises(ConfigError, match="the client is closed"):
            next(results)
        with pytest.raises(ConfigError, match="the client is closed"):
            client.annotate(TEXT, [DOCUMENT])
    assert caplog.text == ""


def test_threads_share_a_client() -> None:
    with ScriptedService(judge) as service, maskdpo.Client(service.url, TOKEN) as client:
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(client.annotate, TEXT, [DOCUMENT]) for _ in range(24)]
        assert {item.result().id for item in asked} == {"1"}
    assert len(service.asked) == 24
