"""The routes of jobs through the real service process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from core_support import LEXICAL, judge_config
from jobs_support import CALLS_A_RESPONSE, command_output, upload_lines, world
from judge_server import ScriptedJudge
from sample_server import ChatServer
from service_support import TOKEN, ServiceProcess, read_events

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def lexical(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ServiceProcess]]:
    """A service with the lexical judge on a run of twelve responses."""
    run = tmp_path_factory.mktemp("lexical")
    world(run, num_responses=12)
    with serve(run, "--set", "serve.max_upload_bytes=100000") as process:
        yield run, process


def serve(run: Path, *options: str) -> ServiceProcess:
    """A service on the run in `run`."""
    own = ["--set", f"run.dir={run}", "--set", "serve.processes=1"]
    return ServiceProcess(run, *own, *options)


def client(process: ServiceProcess) -> Any:
    """An HTTP client that can stream."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.Client(base_url=process.address, headers=headers, timeout=60.0, trust_env=False)


def model_options(server: ChatServer, *, concurrency: int = 4) -> list[str]:
    """Settings of a judge model on `server`."""
    llm = {
        "model": "judge",
        "base_url": server.base_url,
        "protocol": "sentence",
        "concurrency": concurrency,
    }
    return ["--set", "annotate.judge=llm", "--set", f"annotate.llm={json.dumps(llm)}"]


def upload(http: Any, run: Path, **options: Any) -> dict[str, Any]:
    body = b"".join(upload_lines(run))
    reply = http.post("/v1/jobs", content=body, headers=NDJSON, params=options)
    assert reply.status_code == 201, reply.text
    assert reply.headers["Location"] == f"/v1/jobs/{reply.json()['id']}"
    return dict(reply.json())


def wait_for(http: Any, job_id: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = http.get(f"/v1/jobs/{job_id}").json()
        if status["state"] in states:
            return dict(status)
        time.sleep(0.05)
    raise AssertionError(status)


def test_an_upload_becomes_the_annotations_of_the_command(
    lexical: tuple[Path, ServiceProcess], tmp_path: Path
) -> None:
    run, process = lexical
    expected = command_output(tmp_path / "command", LEXICAL, run)
    with client(process) as http:
        job = upload(http, run)
        assert (job["state"], job["rows"]["total"]) == ("queued", 12)
        with http.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
            found = read_events(events.read())
        assert [name for name, _ in found][-2:] == ["progress", "end"]
        last = found[-1][1]
        assert (last["state"], last["rows"]["done"]) == ("succeeded", 12)
        assert sum(last["labels"].values()) == 48
        assert last["expires"] > last["ended"] >= last["started"] >= last["created"]
        for place in ("results", "annotations", "results?wait=false"):
            reply = http.get(f"/v1/jobs/{job['id']}/{place}")
            assert (reply.status_code, reply.content) == (200, expected)
            assert reply.headers["Content-Type"].startswith("application/x-ndjson")
        tail = http.get(f"/v1/jobs/{job['id']}/results", params={"from": 10}).content
        assert tail == b"".join(expected.splitlines(keepends=True)[10:])
        assert http.get(f"/v1/jobs/{job['id']}/results?from=99").content == b""
        assert http.get(f"/v1/jobs/{job['id']}/failures").content == b""
        assert (run / last["annotations"]).read_bytes() == expected
        assert http.get("/v1/jobs?limit=1").json()["jobs"] == [last]
        assert http.get("/v1/jobs?state=running").json() == {"jobs": []}
        assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
        assert http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert not (run / "jobs" / job["id"]).exists()


def test_a_job_of_files_of_the_run(lexical: tuple[Path, ServiceProcess]) -> None:
    _, process = lexical
    with client(process) as http:
        reply = http.post("/v1/jobs", json={"responses": "responses.jsonl"})
        assert reply.status_code == 201
        assert reply.json()["source"] == "responses.jsonl"
        status = wait_for(http, reply.json()["id"], "succeeded")
        assert status["rows"] == {"total": 12, "done": 12, "failed": 0}
        for name in ("../responses.jsonl", "/etc/passwd", "a/b.jsonl", "none.jsonl", ".."):
            reply = http.post("/v1/jobs", json={"responses": name})
            assert reply.status_code == 422
            assert "is not a .jsonl file in the run's folder" in reply.json()["error"]["message"]


def test_one_key_makes_one_job(lexical: tuple[Path, ServiceProcess]) -> None:
    _, process = lexical
    headers = {"Idempotency-Key": "once"}
    with client(process) as http:
        first = http.post("/v1/jobs", json={"responses": "responses.jsonl"}, headers=headers)
        again = http.post("/v1/jobs", json={"responses": "responses.jsonl"}, headers=headers)
        other = http.post("/v1/jobs", json={"domain": "medical"}, headers=headers)
        assert [item.status_code for item in (first, again, other)] == [201, 200, 409]
        assert first.json()["id"] == again.json()["id"]
        assert other.json()["error"]["code"] == "conflict"


REFUSED: list[tuple[bytes, dict[str, str], str, int, str]] = [
    (b"", NDJSON, "", 422, "upload: holds no response"),
    (b"{}\nnonsense\n", NDJSON, "", 422, "upload:1: required key 'id' is missing"),
    (b"x" * 100_001, NDJSON, "", 413, "100000 bytes"),
    (b"{}", NDJSON, "?judge=nobody", 422, "there is no judge 'nobody'"),
    (b"{}", NDJSON, "?domain=nowhere", 422, "there is no domain 'nowhere'"),
    (b"{}", NDJSON, "?max_calls=x", 422, "max_calls"),
    (b"{}", NDJSON, "?max_cost=nan", 422, "max_cost"),
    (b"{}", NDJSON, "?path=x", 422, "unknown key 'path'; known: domain, judge, max_calls"),
    (b"{}", NDJSON, "?max_call=3", 422, "query: unknown key 'max_call'; did you mean 'max_calls'?"),
    (b"{", {"Content-Type": "application/json"}, "", 400, "the body is not JSON"),
    (b'{"path": "x"}', {"Content-Type": "application/json"}, "", 422, "unknown key 'path'"),
    (b"{}", {"Content-Type": "application/json"}, "?max_calls=3", 422, "are in the body"),
    (b"{}", {"Content-Type": "text/plain"}, "", 415, "application/x-ndjson"),
]


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    lexical: tuple[Path, ServiceProcess], case: tuple[bytes, dict[str, str], str, int, str]
) -> None:
    run, process = lexical
    body, headers, query, status, message = case
    with client(process) as http:
        before = {item.name for item in (run / "jobs").glob("*")}
        reply = http.post(f"/v1/jobs{query}", content=body, headers=headers)
        assert reply.status_code == status, reply.text
        error = reply.json()["error"]
        assert message in "\n".join([error["message"], *error.get("details", [])])
        assert {item.name for item in (run / "jobs").glob("*")} == before


def test_unknown_jobs(lexical: tuple[Path, ServiceProcess]) -> None:
    _, process = lexical
    with client(process) as http:
        for name in ("0" * 16, "no", "..%2F..%2Fstore.sqlite", "%00", "%ED%A0%80", "a" * 5000):
            for place in ("", "/events", "/results", "/annotations", "/failures"):
                assert http.get(f"/v1/jobs/{name}{place}").status_code == 404, (name, place)
            for action in ("pause", "resume", "cancel", "retry-failed"):
                assert http.post(f"/v1/jobs/{name}/{action}").status_code == 404, (name, action)
            assert http.delete(f"/v1/jobs/{name}").status_code == 404


def test_the_limits_of_a_service_hold_for_jobs_and_requests_together(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=12))
    rows = [json.loads(line) for line in (run / "responses.jsonl").read_text().splitlines()]
    with (
        ChatServer(judge) as server,
        serve(run, *model_options(server), "--max-calls", "20") as process,
        client(process) as http,
    ):
        for row in rows[:2]:
            given = {key: value for key, value in row.items() if key not in ("sampling",)}
            reply = http.post("/v1/annotations", json={"response": given})
            assert reply.status_code == 200, reply.text
        assert len(server.asked) == 8
        first = wait_for(http, upload(http, run, max_calls=9)["id"], "limit_reached")
        assert first["usage"]["calls"] == 9
        second = wait_for(http, upload(http, run)["id"], "limit_reached")
        assert second["usage"]["calls"] == 3 and len(server.asked) == 20
        assert "start the service with a higher limit" in second["error"]["message"]
        reply = http.post("/v1/annotations", json={"response": rows[-1] | {"text": "A new one."}})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "limit_reached")


def test_states_and_limits_of_a_job_with_a_judge_model(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=12))

    def answer(body: dict[str, Any]) -> Any:
        time.sleep(0.03)
        return judge(body)

    with (
        ChatServer(answer) as server,
        serve(run, *model_options(server)) as process,
        client(process) as http,
    ):
        job = upload(http, run, max_calls=10)["id"]
        status = wait_for(http, job, "limit_reached")
        assert status["usage"]["calls"] == len(server.asked) == 10
        assert status["error"]["code"] == "limit_reached"
        assert http.get(f"/v1/jobs/{job}/annotations").status_code == 409
        reply = http.post(f"/v1/jobs/{job}/resume", json={"max_calls": 20, "max_tokens": 10**9})
        assert (reply.status_code, reply.json()["limits"]["max_calls"]) == (202, 20)
        wait_for(http, job, "limit_reached")
        assert len(server.asked) == 20
        reply = http.post(f"/v1/jobs/{job}/resume", json={"max_calls": None})
        assert reply.json()["limits"] == {
            "max_calls": None,
            "max_tokens": 10**9,
            "max_cost": None,
        }
        wait_for(http, job, "running")
        assert http.post(f"/v1/jobs/{job}/pause").status_code == 202
        status = wait_for(http, job, "paused")
        assert status["rate_per_s"] is None
        assert http.get(f"/v1/jobs/{job}/results?wait=false").status_code == 200
        assert http.post(f"/v1/jobs/{job}/pause").json()["state"] == "paused"
        assert http.post(f"/v1/jobs/{job}/resume").status_code == 202
        wait_for(http, job, "succeeded")
        assert http.post(f"/v1/jobs/{job}/retry-failed").status_code == 202
        asked = len(server.asked)
        assert wait_for(http, job, "succeeded")["usage"]["calls"] == asked
        refused = http.post("/v1/jobs?max_cost=1", content=b"{}", headers=NDJSON)
        assert refused.status_code == 422
        assert "prices" in refused.json()["error"]["message"]


def test_results_across_a_crash_and_another_service_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=40))

    def answer(body: dict[str, Any]) -> Any:
        time.sleep(0.02)
        return judge(body)

    with ChatServer(answer) as server:
        options = model_options(server)
        first, second = serve(run, *options), serve(run, *options)
        rows: list[str] = []
        with first, second:
            with client(first) as http:
                job = upload(http, run)["id"]
            with client(second) as http:
                wait_for(http, job, "running")
                reader = threading.Thread(target=read_results, args=(http, job, rows))
                reader.start()
                while len(rows) < 5:
                    time.sleep(0.01)
                first.kill()
                reader.join(60)
                assert not reader.is_alive()
                assert wait_for(http, job, "succeeded")["rows"]["done"] == 40
        expected = command_output(tmp_path / "command", judge_config(server.base_url), run)
    assert "".join(f"{row}\n" for row in rows).encode() == expected
    assert [json.loads(row)["id"] for row in rows] == [f"r{n}" for n in range(40)]
    assert 40 * CALLS_A_RESPONSE <= len(server.asked) - 40 * CALLS_A_RESPONSE <= 164


def read_results(http: Any, job: str, rows: list[str]) -> None:
    with http.stream("GET", f"/v1/jobs/{job}/results") as reply:
        rows.extend(reply.iter_lines())


def test_a_stopping_service_ends_streams_and_gives_its_jobs_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    judge = ScriptedJudge(world(run, num_responses=20))

    def answer(body: dict[str, Any]) -> Any:
        time.sleep(0.05)
        return judge(body)

    with ChatServer(answer) as server:
        options = model_options(server, concurrency=2)
        with serve(run, *options) as process, client(process) as http:
            job = upload(http, run)["id"]
            wait_for(http, job, "running")
            rows: list[str] = []
            reader = threading.Thread(target=read_results, args=(http, job, rows))
            reader.start()
            while not rows:
                time.sleep(0.01)
            process.stop()
            reader.join(60)
            assert not reader.is_alive()
            assert len(rows) < 20
        with serve(run, *options) as process, client(process) as http:
            status = http.get(f"/v1/jobs/{job}").json()
            assert status["state"] in ("queued", "running")
            first = {"from": len(rows)}
            with http.stream("GET", f"/v1/jobs/{job}/results", params=first) as reply:
                rows.extend(reply.iter_lines())
            assert wait_for(http, job, "succeeded")["attempts"] == 2
    assert [json.loads(row)["id"] for row in rows] == [f"r{n}" for n in range(20)]


def test_jobs_are_in_the_openapi_document(lexical: tuple[Path, ServiceProcess]) -> None:
    _, process = lexical
    with client(process) as http:
        paths = http.get("/openapi.json").json()["paths"]
    create = paths["/v1/jobs"]["post"]
    assert set(create["requestBody"]["content"]) == {"application/x-ndjson", "application/json"}
    assert {"200", "201", "400", "409", "413", "415", "422", "429"} <= set(create["responses"])
    for action in ("pause", "resume", "cancel", "retry-failed"):
        assert "409" in paths[f"/v1/jobs/{{job_id}}/{action}"]["post"]["responses"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/v1/jobs?lmit=3", "unknown key 'lmit'; did you mean 'limit'?"),
        ("/v1/jobs?status=running", "unknown key 'status'; did you mean 'state'?"),
        ("/v1/jobs/0123456789abcdef/results?form=3", "unknown key 'form'; did you mean 'from'?"),
        ("/v1/jobs/0123456789abcdef/results?rows=3", "unknown key 'rows'; known: from, wait"),
    ],
)
def test_a_mistyped_key_of_a_query_is_refused(
    lexical: tuple[Path, ServiceProcess], path: str, sentence: str
) -> None:
    with client(lexical[1]) as http:
        reply = http.get(path)
    assert reply.status_code == 422 and sentence in reply.json()["error"]["message"]
