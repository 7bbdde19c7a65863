"""Hostile clients against the real service: it refuses, goes on, and repeats nothing."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hostile_inputs import ANNOTATE, CASES, GROUPS, HOST, SECRET, Hostile, get, post, request
from service_support import ANSWER, DOCUMENT, LABELS, TOKEN, ServiceProcess, labels_of

REPLY_S = 30.0
LEAKS = re.compile(r"Traceback|File \"|\.py\b|/home/|/tmp/|/usr/|site-packages|sqlite3|pydantic")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "run.yaml").write_text("run: {dir: .}\nserve: {processes: 1}\n")
    with ServiceProcess(folder, "--config", "run.yaml") as process:
        yield process
        if process.process.poll() is None:
            process.stop()


def connect(service: ServiceProcess) -> socket.socket:
    place = urlsplit(service.address)
    return socket.create_connection((place.hostname, place.port), REPLY_S)


def read_reply(client: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, headers and body of the first reply; status 0 where there is none."""
    with client.makefile("rb") as stream:
        try:
            line = stream.readline()
            headers = b""
            while (found := stream.readline()) not in (b"\r\n", b""):
                headers += found
            length = re.search(rb"(?i)content-length: (\d+)", headers)
            body = stream.read(int(length[1])) if length else stream.read()
        except ConnectionError:
            return 0, b"", b""
    return (int(line.split()[1]) if line else 0), headers, body


def exchange(service: ServiceProcess, case: Hostile) -> tuple[int, bytes, bytes]:
    with connect(service) as client:
        try:
            client.sendall(case.data)
            if case.half_close:
                client.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass  # refused while it was still sending
        return read_reply(client)


def assert_sound(service: ServiceProcess) -> None:
    assert service.send("GET", "/healthz", token=None).status == 200
    assert service.process.poll() is None


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 100 and len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("group", GROUPS)
def test_hostile_requests(service: ServiceProcess, group: str) -> None:
    for case in GROUPS[group]:
        status, headers, body = exchange(service, case)
        assert status in case.statuses, (case.name, status, body[:300])
        text = body.decode("utf-8")
        assert TOKEN not in text and not LEAKS.search(text), (case.name, text)
        assert b"access-control" not in headers.lower(), case.name
        if status >= 400:
            assert set(json.loads(text)["error"]) <= {"code", "message", "details"}, case.name
            assert text.count(SECRET) <= 1 and len(text) < 20_000, (case.name, text)
            assert b"x-content-type-options: nosniff" in headers, case.name
            assert b"content-security-policy: default-src 'none'" in headers, case.name
        assert_sound(service)


def test_refused_uploads_leave_no_file(service: ServiceProcess) -> None:
    for case in GROUPS["jobs"]:
        exchange(service, case)
    assert service.get("/v1/jobs").json() == {"jobs": []}
    assert list(service._folder.rglob("jobs/*")) == []


def test_a_second_request_behind_a_refused_one_is_not_read(service: ServiceProcess) -> None:
    """What follows a request whose end is disputed would be the start of a smuggled one."""
    hidden = get(b"/v1/judges")
    with connect(service) as client:
        client.sendall(ANNOTATE + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sendall(b"0\r\n\r\n" + hidden)
        reply = b"".join(iter(lambda: client.recv(65536), b""))
    assert reply.count(b"HTTP/1.1") == 1 and b" 400 " in reply.splitlines()[0]


def test_slow_and_idle_clients_keep_nobody_out(service: ServiceProcess) -> None:
    """1,100 connections: idle, in the middle of a header section, of a body, of a response."""
    slow_body = post(b"x" * 100)[:-50]
    stream = request(response=ANSWER, documents=[DOCUMENT], stream=True)
    starts = [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: 1"]
    with ExitStack() as stack:
        for number in range(1100):
            client = stack.enter_context(connect(service))
            if number % 11 == 0:
                client.sendall(slow_body)
            elif number % 11 == 1:
                client.sendall(stream)  # never read
            else:
                client.sendall(starts[number % 3])
            if number % 100 == 0:
                assert_sound(service)
        assert labels_of(service.annotate()) == LABELS
        assert_sound(service)
    assert_sound(service)
    assert labels_of(service.annotate()) == LABELS


def test_clients_that_leave(service: ServiceProcess) -> None:
    """Streams that are left, bodies that are cut, and connections that are reset."""
    stream = request(response=ANSWER, documents=[DOCUMENT], stream=True)
    for number in range(60):
        client = connect(service)
        client.sendall((stream, post(b"x" * 1000)[:-1], get(b"/openapi.json"))[number % 3])
        if number % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        client.close()
    assert labels_of(service.annotate()) == LABELS


def test_many_requests_at_once_on_one_connection(service: ServiceProcess) -> None:
    """A few are answered in order; a flood ends the connection."""
    with connect(service) as client:
        client.sendall(get(b"/healthz") * 8)
        reply = b""
        while reply.count(b'{"status":"ok"}') < 8:
            reply += client.recv(65536)
    with connect(service) as client:
        client.sendall(get(b"/healthz") * 5000)
        flood = read_to_the_end(client)
    assert flood.count(b'{"status":"ok"}') < 100
    assert_sound(service)


def read_to_the_end(client: socket.socket) -> bytes:
    found = []
    try:
        while part := client.recv(65536):
            found.append(part)
    except ConnectionError:
        pass
    return b"".join(found)


def test_wrong_tokens_are_rationed_and_the_right_one_passes(service: ServiceProcess) -> None:
    statuses = [
        service.send("GET", "/v1/version", token=f"{'w' * 30}{number}") for number in range(30)
    ]
    assert {reply.status for reply in statuses} <= {401, 429}
    last = statuses[-1]
    assert last.status == 429 and int(last.headers["retry-after"]) >= 1
    assert service.get("/v1/version").status == 200


def test_who_has_no_token_learns_no_address(tmp_path: Path) -> None:
    """The address of a judge's server is for those who may use it."""
    address = "http://127.0.0.1:9/v1"  # nothing listens there
    (tmp_path / "run.yaml").write_text(
        f"run: {{dir: .}}\nannotate: {{judge: llm, llm: {{model: m, base_url: '{address}'}}}}\n"
    )
    with ServiceProcess(tmp_path, "--config", "run.yaml") as service:
        reply = service.send("GET", "/readyz", token=None)
        assert reply.status == 503
        assert reply.json() == {"status": "not ready", "judges": {"default": "not ready"}}
        (judge,) = service.get("/v1/judges").json()["judges"]
        assert judge["reachable"] is False and address in judge["fault"]
        service.stop()


def test_the_page_needs_no_other_host(service: ServiceProcess) -> None:
    page = service.send("GET", "/docs", token=None)
    text = page.body.decode()
    assert page.status == 200 and "/v1/annotations" in text and "AnnotationRequest" in text
    hosts = set(re.findall(r"(?:https?:)?//([\w.:-]+)", text))
    assert hosts <= {"127.0.0.1:8765"}
    assert "<script" not in text and not re.search(r"<[^>]+ (?:style|on\w+)=", text)
    assert "'unsafe" not in page.headers["content-security-policy"]
    links = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert "/docs/page.css" in links
    for link in links:
        assert service.send("GET", link, token=None).status == 200, link
    anchors = set(re.findall(r'href="#([^"]+)"', text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


def test_the_log_has_no_token_and_no_text(service: ServiceProcess) -> None:
    """The last test of this file: the log has seen all of the above."""
    time.sleep(0.2)
    assert service.stop() == 0
    assert "failed:" not in service.log, service.log
    assert TOKEN not in service.log and SECRET not in service.log
    assert "Traceback" not in service.log and "passwd" not in service.log, service.log
