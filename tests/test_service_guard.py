"""The guard around a small application: times, sizes, rations, logs. Real sockets, short limits."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import StreamingResponse

from annotator.service.errors import ApiError
from annotator.service.guard.docs_page import render
from annotator.service.guard.errors import install_handlers
from annotator.service.guard.json_body import check_json
from annotator.service.guard.middleware import Guard, Seen
from annotator.service.guard.server import server_config
from annotator.service.guard.settings import (
    ConnectionLimits,
    GuardSettings,
    check_token,
    make_token,
)
from annotator.service.guard.tokens import Tokens
from schemas.errors import BackendError, ConfigError

TOKEN = "a-token-that-is-long-enough"
BEARER = f"Authorization: Bearer {TOKEN}"
SETTINGS = GuardSettings(
    token=TOKEN,
    hosts=("judge.example",),
    max_body_bytes=1000,
    max_upload_bytes=5000,
    body_timeout_s=0.5,
    access_log=True,
)
LIMITS = ConnectionLimits(
    max_connections=8, first_request_s=0.5, idle_s=1, stalled_write_s=0.5, max_pipelined=2
)
SLOW_S = 1.5  # longer than any limit of a connection without a request
SECRET = "zanzibarquartz"


def small_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None)
    install_handlers(app)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/jobs")
    @app.post("/v1/annotations")
    async def count(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @app.get("/v1/items/{item}")
    async def fail(item: str, limit: int = 1) -> None:
        raise {"key": KeyError, "server": BackendError}[item](SECRET)

    @app.get("/v1/slow")
    async def wait() -> None:
        await asyncio.sleep(SLOW_S)

    @app.get("/v1/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)

        return StreamingResponse(parts())

    return app


class Served:
    """The application behind the guard, in a thread."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        guard = Guard(small_app(), SETTINGS, observe=self.seen.append)
        self.server = uvicorn.Server(server_config(guard, limits=LIMITS, stop_timeout_s=1))

    @contextmanager
    def running(self) -> Iterator[Served]:
        thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        thread.start()
        try:
            while not self.server.started:
                time.sleep(0.01)
            yield self
        finally:
            self.server.should_exit = True
            thread.join()
            self.listener.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def ask(
        self, start: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on its own connection: status, headers, body."""
        given = {"Host": "127.0.0.1", "Authorization": f"Bearer {TOKEN}", "Connection": "close"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        with self.connect() as client:
            client.sendall(f"{start} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            return split(read_all(client))


def read_all(client: socket.socket) -> bytes:
    found = b""
    try:
        while part := client.recv(65536):
            found += part
    except ConnectionError:
        pass
    return found


def split(reply: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, body


def code_of(body: bytes) -> str:
    return str(json.loads(body)["error"]["code"])


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with Served().running() as found:
        yield found


ROWS = {"Content_Type": "application/x-ndjson"}
JSON = {"Content_Type": "application/json"}
OTHER_CASE = {"Authorization": f"bEARER {TOKEN}"}


def test_allowed_names_and_own_pages_pass(served: Served) -> None:
    for host in ("127.0.0.1:1", "LOCALHOST", "[::1]:8765", "judge.example:443", "Judge.Example"):
        assert served.ask("GET /healthz", Host=host)[0] == 200, host
    own = {"Host": "judge.example", "Origin": "https://judge.example"}
    assert served.ask("GET /healthz", **own, Sec_Fetch_Site="same-origin")[0] == 200
    assert (
        served.ask("GET /healthz", Host="judge.example:1", Origin="https://judge.example")[0] == 403
    )


def test_only_the_token_opens_what_is_not_public(served: Served) -> None:
    assert served.ask("GET /healthz", Authorization="")[0] == 200
    status, headers, body = served.ask("GET /healthz/", Authorization=f"bearer {TOKEN[:-1]}")
    assert (status, code_of(body)) == (401, "wrong_token") and headers[
        "www-authenticate"
    ] == "Bearer"
    assert served.ask("POST /v1/annotations", b"{}", Content_Length="2", **JSON)[0] == 200
    assert (
        served.ask("POST /v1/annotations", b"{}", Content_Length="2", **OTHER_CASE, **JSON)[0]
        == 200
    )


def test_the_size_of_a_body_depends_on_its_kind(served: Served) -> None:
    def send(path: str, size: int, kind: dict[str, str]) -> tuple[int, str]:
        status, _, body = served.ask(f"POST {path}", b"x" * size, Content_Length=str(size), **kind)
        return status, "" if status == 200 else code_of(body)

    assert send("/v1/annotations", 1000, JSON) == (200, "")
    assert send("/v1/annotations", 1001, JSON) == (413, "too_large")
    assert send("/v1/jobs", 1001, JSON) == (413, "too_large")
    assert send("/v1/jobs", 5000, ROWS) == (200, "")
    assert send("/v1/jobs", 5001, ROWS) == (413, "too_large")
    assert send("/v1/annotations", 10, ROWS) == (415, "content_type")
    utf_8 = {"Content_Type": 'application/json; charset="UTF-8"'}
    assert send("/v1/annotations", 10, utf_8) == (200, "")


def test_a_body_in_chunks_is_counted(served: Served) -> None:
    chunk = b"1f4\r\n" + b"x" * 500 + b"\r\n"  # 500 bytes
    encoded = {"Transfer_Encoding": "chunked", **JSON}
    assert served.ask("POST /v1/annotations", chunk * 2 + b"0\r\n\r\n", **encoded)[0] == 200
    status, _, body = served.ask("POST /v1/annotations", chunk * 3 + b"0\r\n\r\n", **encoded)
    assert (status, code_of(body)) == (413, "too_large")


def test_a_slow_body_ends_after_its_time(served: Served) -> None:
    status, headers, body = served.ask("POST /v1/annotations", b"{", Content_Length="2", **JSON)
    assert (status, code_of(body), headers["connection"]) == (408, "too_slow", "close")


def test_a_client_that_is_still_sending_gets_the_reason(served: Served) -> None:
    """Without reading on, the connection would be reset, and the reason lost."""
    start = "POST /v1/annotations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 30000000\r\n\r\n"
    with served.connect() as client:
        client.sendall(start.encode())
        for _ in range(300):
            client.sendall(b"x" * 100_000)
        status, headers, body = split(read_all(client))
    assert (status, code_of(body), headers["connection"]) == (401, "no_token", "close")


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127"])
def test_a_slow_header_section_ends_the_connection(served: Served, start: bytes) -> None:
    with served.connect() as client:
        client.sendall(start)
        assert read_all(client) == b""


def test_a_slow_second_header_section_ends_the_connection(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        assert read_all(client) == b""


def test_an_idle_connection_ends(served: Served) -> None:
    with served.connect() as client:
        started = time.monotonic()
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started > LIMITS.first_request_s * 1.5  # idle_s, no other limit


def test_a_request_may_take_longer_than_its_headers_might(served: Served) -> None:
    assert served.ask("GET /v1/slow")[0] == 200
    with served.connect() as client:
        for _ in range(2):
            client.sendall(f"GET /v1/slow HTTP/1.1\r\nHost: [::1]\r\n{BEARER}\r\n\r\n".encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_read_is_cut_off(served: Served) -> None:
    with served.connect() as client:
        client.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: [::1]\r\n{BEARER}\r\n\r\n".encode())
        deadline = time.monotonic() + 60
        while not any(seen.route == "/v1/stream" for seen in served.seen):
            assert time.monotonic() < deadline, "the stream goes on"
            time.sleep(0.05)


def test_a_new_connection_takes_the_place_of_the_oldest_idle_one(served: Served) -> None:
    idle = [served.connect() for _ in range(LIMITS.max_connections + 4)]
    idle[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert idle[-1].recv(65536).startswith(b"HTTP/1.1 200")
    assert len(served.server.server_state.connections) <= LIMITS.max_connections
    assert read_all(idle[0]) == b""
    for client in idle:
        client.close()


def test_without_an_idle_connection_a_new_one_is_refused(served: Served) -> None:
    """A connection in the middle of a request keeps its place."""
    head = f"POST /v1/annotations HTTP/1.1\r\nHost: [::1]\r\n{BEARER}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    busy = [served.connect() for _ in range(LIMITS.max_connections)]
    for client in busy:
        client.sendall(head.encode() + b"{")
    time.sleep(0.1)
    with served.connect() as client:
        status, headers, body = split(read_all(client))
    assert (status, code_of(body)) == (503, "too_many_connections")
    assert headers["retry-after"] == "1"
    for client in busy:
        client.sendall(b"}")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.close()


def test_errors_and_logs_repeat_no_text(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        replies = [
            served.ask("GET /v1/items/key?limit=7"),
            served.ask("GET /v1/items/server"),
            served.ask(f"GET /v1/items/key?limit={SECRET * 50}"),
            served.ask(f"GET /{SECRET}?{SECRET}", X_Text=SECRET),
        ]
    assert [(status, code_of(body)) for status, _, body in replies] == [
        (500, "failed"), (502, "judge_failed"), (422, "invalid_request"), (404, "not_found"),
    ]  # fmt: skip
    assert SECRET.encode() not in replies[0][2] + replies[3][2]
    message = json.loads(replies[2][2])["error"]["message"]
    assert message.startswith("query: 'limit' is ") and len(message) < 250
    name = replies[0][1]["x-request-id"]
    assert f"{name} failed: KeyError at " in caplog.text
    assert f"{name} GET /v1/items/{{item}} 500 " in caplog.text
    assert SECRET not in caplog.text and TOKEN not in caplog.text and "limit" not in caplog.text


def test_every_request_is_observed_by_its_route(served: Served) -> None:
    served.seen.clear()
    served.ask("GET /v1/items/key")
    served.ask("GET /nothing")
    served.ask("GET /healthz", Host="evil.example")
    found = [(seen.method, seen.route, seen.status) for seen in served.seen]
    assert found == [("GET", "/v1/items/{item}", 500), ("GET", "-", 404), ("GET", "-", 403)]


def test_wrong_tokens_are_rationed_by_address_and_together() -> None:
    now = [0.0]
    tokens = Tokens(TOKEN, lambda: now[0])

    def status(address: str, header: bytes = b"Bearer wrong") -> int:
        try:
            tokens.check(header, address)
        except ApiError as error:
            return error.status
        return 200

    assert [status("a") for _ in range(12)] == [401] * 10 + [429] * 2
    assert status("a", f"Bearer {TOKEN}".encode()) == 200
    assert status("b") == 401
    now[0] = 5.0
    assert [status("a"), status("a")] == [401, 429]
    many = [status(f"address {number}") for number in range(3000)]
    assert 80 <= many.count(401) <= 120 and many.count(429) >= 2800
    assert len(tokens._by_address) <= Tokens.MAX_ADDRESSES
    assert status("c", f"Bearer {TOKEN}".encode()) == 200
    assert [status("d", header) for header in (b"", TOKEN.encode(), b"Basic x")] == [429] * 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [("short", "has 5 characters"), ("x" * 20 + " y", "blank"), ("ключ" * 10, "outside ASCII")],
)
def test_a_token_that_cannot_serve_is_refused(value: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as found:
        check_token(value)
    assert value not in str(found.value)


def test_a_made_token_can_serve_and_is_not_shown() -> None:
    token = make_token()
    assert check_token(token) == token != make_token()
    assert token not in repr(replace(SETTINGS, token=token))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a": 1, "a": 2}', "the same key twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "the same key twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"[-1e400]", "too large"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 10_000, "too many digits"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'{"\\uDFFF": 1}', "half of a surrogate pair"),
        (b'["\xff"]', "byte 3 of the body is not UTF-8"),
        (b"{\n x}", "at line 2, column 2"),
        (b"", "not JSON"),
    ],
)
def test_ambiguous_json_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(ApiError, match=reason) as found:
        check_json(body)
    assert found.value.status == 400


def test_unusual_json_passes() -> None:
    check_json('{"a": ["\\ud83d\\ude00", "ключ", 1e300, -0, null, {}], "": "\\u0000"}'.encode())


def test_the_page_escapes_what_the_document_says() -> None:
    spec: dict[str, Any] = {
        "info": {"title": "<b>t</b>", "version": "1", "description": "<script>x</script>"},
        "paths": {"/a": {"get": {"summary": "<i>", "responses": {"200": {"description": "&"}}}}},
    }
    spec["components"] = {"schemas": {"A": {"type": "string"}, "B": {"properties": {"c": {}}}}}
    rows = '{"text": "it\'s"}\n{}\n'
    content = {"application/x-ndjson": {"example": rows}}
    spec["paths"]["/b"] = {"post": {"requestBody": {"content": content}, "responses": {}}}
    page = render(spec)
    assert html.unescape(page).count("--data-binary '" + rows.replace("'", "'\\''") + "'") == 1
    assert "<script" not in page and "<b>t" not in page and "<i>" not in page
    assert "&lt;script&gt;" in page
