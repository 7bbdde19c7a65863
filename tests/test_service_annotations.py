"""`POST /v1/annotations` of the real service: the command's verdicts, streams, limits, errors."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import make_run
from judge_server import ScriptedJudge
from sample_server import ChatServer, as_json, completion
from service_support import (
    ANSWER,
    DOCUMENT,
    LABELS,
    TOKEN,
    ServiceProcess,
    labels_of,
    read_events,
)

from annotator.judging.config import AnnotateConfig
from annotator.service.api.bodies import AnnotationRequest
from annotator.service.intake import takes_long

TRUTHS = {
    "Mira Tolvan was born in Karsted in 1950.": (
        "contradicted",
        "Mira Tolvan was born in Karsted in 1951.",
    ),
    "She works as a baker.": ("supported", "She works as a baker"),
}


@pytest.fixture(scope="module")
def lexical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with a corpus and the lexical judge."""
    folder = tmp_path_factory.mktemp("lexical")
    documents = [
        {"id": "d1", "text": DOCUMENT, "topic": "mira"},
        {"id": "d2", "text": "Ida Brenn was born in Sollen in 1933.", "topic": "ida"},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in documents)
    (folder / "documents.jsonl").write_text(lines)
    limits = "max_documents: 3, max_document_chars: 1000, max_sentences: 3, processes: 1"
    (folder / "run.yaml").write_text(f"run: {{dir: .}}\nserve: {{{limits}}}\n")
    with ServiceProcess(folder, "--config", "run.yaml") as service:
        yield service


def test_documents_of_the_request(lexical: ServiceProcess) -> None:
    reply = lexical.annotate()
    assert labels_of(reply) == LABELS
    body = reply.json()
    assert body["score"] == 0.5 and body["judge"] == "default"
    row = body["annotation"]
    assert [row["text"][item["start"] : item["end"]] for item in row["sentences"]] == list(TRUTHS)
    assert row["sentences"][0]["verdict"]["evidence"][0]["document_id"] == "d1"


@pytest.mark.parametrize(
    "response",
    [{"text": ANSWER, "document_ids": ["d1"]}, {"text": ANSWER, "topic": "mira"}],
)
def test_documents_of_the_run(lexical: ServiceProcess, response: dict[str, Any]) -> None:
    assert labels_of(lexical.annotate(response, None)) == LABELS


def test_a_row_is_what_the_command_writes(
    lexical: ServiceProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {
        "id": "r1", "question_id": "q1", "topic": "mira", "language": "en", "text": ANSWER,
        "document_ids": ["d1"], "prompt": [{"role": "user", "content": "Who is Mira?"}],
    }  # fmt: skip
    (tmp_path / "responses.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "documents.jsonl").write_text(json.dumps({"id": "d1", "text": DOCUMENT}) + "\n")
    code, _, errors = make_run(monkeypatch, capsys)("annotate", "--set", f"run.dir={tmp_path}")
    assert code == 0, errors
    written = json.loads((tmp_path / "annotations.jsonl").read_text())
    assert lexical.annotate(row, None).json()["annotation"] == written


def test_a_long_response_is_split_in_a_thread(lexical: ServiceProcess) -> None:
    config = AnnotateConfig()
    long, short = ("Karsted " * size + "is a town." for size in (2000, 10))
    for text in (long, short):
        request = AnnotationRequest.model_validate({"response": text, "documents": [DOCUMENT]})
        assert takes_long(request, config) is (text is long)
        assert len(labels_of(lexical.annotate(text))) == 1
    request = AnnotationRequest.model_validate({"response": short})
    assert takes_long(request, AnnotateConfig(find_documents="corpus"))


def test_sentences_are_streamed(lexical: ServiceProcess) -> None:
    events = read_events(lexical.annotate(stream=True).body)
    assert [name for name, _ in events] == ["sentence", "sentence", "annotation"]
    assert [data["verdict"]["label"] for _, data in events[:2]] == LABELS
    assert events[2][1] == lexical.annotate().json()


def test_a_sentence_that_was_cut_off_is_streamed(lexical: ServiceProcess) -> None:
    response = {"text": f"{ANSWER} And then she", "finish_reason": "length"}
    *sentences, last = read_events(lexical.annotate(response, stream=True).body)
    assert [data["verdict"]["label"] for _, data in sentences] == [*LABELS, "undetermined"]
    assert [{key: data[key] for key in ("start", "end", "verdict")} for _, data in sentences] == (
        last[1]["annotation"]["sentences"]
    )


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b'{"response": ', 400, "the body is not JSON"),
        (b'{"response": "\xff"}', 400, "byte 15 of the body is not UTF-8"),
        ({}, 422, "required key 'response' is missing"),
        ({"response": ANSWER, "documnts": []}, 422, "unknown key 'documnts'; did you mean"),
        ({"response": " ", "documents": []}, 422, "only white space (empty_response)"),
        ({"response": ANSWER, "judge": "defaul"}, 422, "no judge 'defaul'; did you mean 'default'"),
        ({"response": ANSWER, "domain": "../x"}, 422, "domain: there is no domain '../x'; known:"),
        ({"response": {"text": ANSWER, "document_ids": ["d9"]}}, 422, "names 'd9', which no docu"),
        ({"response": ANSWER, "documents": ["a"] * 4}, 422, "has 4 documents; at most 3 are"),
        ({"response": ANSWER, "documents": ["a" * 1001]}, 422, "1001 characters in total; at most"),
        (
            {"response": "One. Two. Three. Four.", "documents": []},
            422,
            "4 sentences; at most 3 are",
        ),
        (
            {"response": ANSWER, "documents": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]},
            422,
            "documents[1]: has the id 'a', and so has documents[0]",
        ),
    ],
)
def test_bad_requests(lexical: ServiceProcess, body: Any, status: int, sentence: str) -> None:
    reply = lexical.post("/v1/annotations", body)
    assert reply.status == status, reply
    assert sentence in reply.json()["error"]["message"]


def test_what_there_is(lexical: ServiceProcess) -> None:
    (judge,) = lexical.get("/v1/judges").json()["judges"]
    assert (judge["name"], judge["judge"], judge["reachable"]) == ("default", "lexical", None)
    names = [item["name"] for item in lexical.get("/v1/domains").json()["domains"]]
    assert "medical" in names
    assert lexical.get("/v1/version").json()["api"] == "v1"
    assert lexical.get("/readyz").json() == {"status": "ready", "judges": {"default": "ready"}}


def test_a_service_without_any_file(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, environment={"MASKDPO_TOKEN": None}) as service:
        token = next(line.split()[1] for line in service.lines if line.startswith("token: "))
        body = {"response": ANSWER, "documents": [DOCUMENT]}
        assert labels_of(service.send("POST", "/v1/annotations", body, token=token)) == LABELS
        assert service.stop() == 0
    assert TOKEN not in service.log


def test_a_faulty_domain_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "configs" / "domains"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("name: mine\n")
    with ServiceProcess(tmp_path) as service:
        for reply in (service.get("/v1/domains"), service.annotate(domain="mine")):
            error = reply.json()["error"]
            assert (reply.status, error["code"]) == (503, "misconfigured")
            assert "mine.yaml: required key 'checkable_fact' is missing" in error["message"]


def test_an_access_log_has_routes_and_no_texts(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, "--set", "serve.access_log=true") as service:
        assert labels_of(service.annotate()) == LABELS
        assert service.get("/v1/jobs/0123456789abcdef?limit=secret").status == 404
        assert service.stop() == 0
    assert "POST /v1/annotations 200" in service.log
    assert "GET /v1/jobs/{job_id} 404" in service.log
    assert not any(word in service.log for word in (TOKEN, "secret", "Mira", "0123456789abcdef"))


def test_worker_processes_end_with_a_killed_service(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, "--set", "serve.processes=2") as service:
        assert labels_of(service.annotate()) == LABELS
        workers = psutil.Process(service.process.pid).children(recursive=True)
        assert workers
        service.kill()
        _, left = psutil.wait_procs(workers, timeout=60)
    assert left == []


class Gate:
    """A scripted judge whose replies wait until the gate is open."""

    def __init__(self) -> None:
        self.judge = ScriptedJudge(TRUTHS)
        self.opened = threading.Event()
        self.opened.set()
        self.asked = threading.Semaphore(0)

    def __call__(self, body: dict[str, Any]) -> Any:
        self.asked.release()
        assert self.opened.wait(60)
        return self.judge(body)


MODELS = as_json(200, {"data": [{"id": "judge", "root": "judge"}]})


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[tuple[ServiceProcess, Gate, ChatServer]]:
    """A service whose judge `default` is a scripted model, with room for two requests."""
    gate = Gate()
    with ChatServer(gate, models=MODELS) as server:
        llm = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
        cascade = {"judge": "cascade", "cascade": {"first": "lexical", "second": "llm"}, "llm": llm}
        judges = {"words": {"judge": "lexical"}, "both": cascade}
        config = {
            "run": {"dir": "."},
            "annotate": {"judge": "llm", "llm": llm},
            "serve": {"max_waiting": 2, "judges": judges, "stop_s": 5},
        }
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        with ServiceProcess(tmp_path, "--config", "run.yaml") as service:
            yield service, gate, server
            gate.opened.set()


def test_a_judge_model(asked: tuple[ServiceProcess, Gate, ChatServer]) -> None:
    service, _, server = asked
    assert labels_of(service.annotate()) == LABELS
    assert labels_of(service.annotate(judge="words")) == LABELS
    num_asked = len(server.asked)
    assert num_asked == 2
    assert labels_of(service.annotate()) == LABELS  # from the store
    assert len(server.asked) == num_asked
    judges = {item["name"]: item for item in service.get("/v1/judges").json()["judges"]}
    assert judges["default"]["reachable"] is True and judges["default"]["model"] == "judge"
    assert judges["words"]["judge"] == "lexical"


def test_a_limit_is_reported_without_a_path(tmp_path: Path) -> None:
    with ChatServer(ScriptedJudge(TRUTHS), models=MODELS) as server:
        llm = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
        config = {"run": {"dir": str(tmp_path)}, "annotate": {"judge": "llm", "llm": llm}}
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        with ServiceProcess(tmp_path, "--config", "run.yaml", "--max-calls", "2") as service:
            assert labels_of(service.annotate()) == LABELS
            reply = service.annotate("She keeps two goats.")
            assert labels_of(service.annotate()) == LABELS  # from the store
    assert (reply.status, reply.json()["error"]["code"]) == (503, "limit_reached")
    assert "limit of calls" in reply.json()["error"]["message"]
    assert str(tmp_path) not in reply.body.decode() and "sqlite" not in reply.body.decode()


def test_sentences_of_a_cascade_are_streamed(
    asked: tuple[ServiceProcess, Gate, ChatServer],
) -> None:
    events = read_events(asked[0].annotate(judge="both", stream=True).body)
    assert [name for name, _ in events] == ["sentence", "sentence", "annotation"]


def test_requests_for_one_key_share_a_call(
    asked: tuple[ServiceProcess, Gate, ChatServer],
) -> None:
    service, gate, server = asked
    gate.opened.clear()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(service.annotate)
        assert gate.asked.acquire(timeout=60) and gate.asked.acquire(timeout=60)
        others = [threads.submit(service.annotate) for _ in range(2)]
        wait(others, timeout=60, return_when=FIRST_COMPLETED)  # there is room for two
        gate.opened.set()
        replies = [item.result() for item in (first, *others)]
    assert sorted(reply.status for reply in replies) == [200, 200, 429]
    assert len(server.asked) == 2
    (refused,) = (reply for reply in replies if reply.status == 429)
    assert int(refused.headers["retry-after"]) >= 1 and refused.json()["error"]["code"] == "busy"
    assert labels_of(service.annotate()) == LABELS  # nobody is inside any more


def test_a_request_whose_client_left_is_dropped(
    asked: tuple[ServiceProcess, Gate, ChatServer],
) -> None:
    service, gate, server = asked
    gate.opened.clear()
    host, _, port = service.address.removeprefix("http://").rpartition(":")
    body = json.dumps({"response": ANSWER, "documents": [DOCUMENT]})
    for _ in range(2):  # all the room there is
        connection = HTTPConnection(host, int(port), timeout=60)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/annotations", body, headers)
        if not server.asked:
            assert gate.asked.acquire(timeout=60)
        connection.close()
    deadline = time.monotonic() + 60
    while (status := service.annotate(" ").status) == 429 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert status == 422  # it was let in, although no reply of the judge has come


@pytest.mark.parametrize("is_useless", [False, True])
def test_a_failed_call_is_made_again(tmp_path: Path, is_useless: bool) -> None:
    judge = ScriptedJudge(TRUTHS)
    is_well = False

    def answer(body: dict[str, Any]) -> Any:
        if is_well:
            return judge(body)
        return completion("what?") if is_useless else as_json(503, {"error": {"message": "no"}})

    with ChatServer(answer, models=MODELS) as server:
        llm = {"model": "judge", "base_url": server.base_url, "protocol": "sentence"}
        llm |= {"max_retries": 0}
        config = {"run": {"dir": "."}, "annotate": {"judge": "llm", "llm": llm}}
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        with ServiceProcess(tmp_path, "--config", "run.yaml") as service:
            assert labels_of(service.annotate()) == ["undetermined"] * 2
            is_well = True
            stored = ["undetermined"] * 2  # these replies were paid
            assert labels_of(service.annotate()) == (stored if is_useless else LABELS)
        with ServiceProcess(tmp_path, "--config", "run.yaml", "--retry-failed") as service:
            assert labels_of(service.annotate()) == LABELS
