"""A scripted service on loopback for tests of the client, and the client of either kind.

The rule: the server keeps every request, and can do what a real one does only when it fails: hang
up, stop within a row, send a redirect.
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from annotator.calls.running.blocking import LoopThread
from maskdpo import AsyncClient, Client

TOKEN = "a-token-of-forty-characters-for-the-test"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A reply. `is_broken`: the connection ends before the body is complete."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_broken: bool = False


HANG_UP = Sent(status=0)
Answer = Callable[[Asked], Sent]


def as_json(value: Any, status: int = 200, **headers: str) -> Sent:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Sent(status=status, body=json.dumps(value).encode(), headers=named)


def refused(status: int, code: str, message: str = "a sentence", **headers: str) -> Sent:
    return as_json({"error": {"code": code, "message": message}}, status, **headers)


def rows(*values: Any, is_broken: bool = False, rest: bytes = b"") -> Sent:
    body = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
    return Sent(body=body + rest, kind="application/x-ndjson", is_broken=is_broken)


def events(*named: tuple[str, Any], is_broken: bool = False) -> Sent:
    body = "".join(
        f": a comment\n\nevent: {name}\ndata: {json.dumps(value)}\n\n" for name, value in named
    )
    return Sent(body=body.encode(), kind="text/event-stream", is_broken=is_broken)


class ScriptedService:
    """Use as a context manager. `answer` makes the reply to each request."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[Asked] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(
                    method=self.command,
                    path=parts.path,
                    query={name: values[-1] for name, values in parse_qs(parts.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=body,
                )
                with outer._lock:
                    outer.asked.append(asked)
                    outer._in_flight += 1
                    outer.most_in_flight = max(outer.most_in_flight, outer._in_flight)
                try:
                    sent = answer(asked)
                finally:
                    with outer._lock:
                        outer._in_flight -= 1
                self._send(sent)

            do_GET = do_POST = do_DELETE = _serve

            def _send(self, sent: Sent) -> None:
                if sent is not HANG_UP:
                    self.send_response(sent.status)
                    self.send_header("Content-Type", sent.kind)
                    self.send_header("Content-Length", str(len(sent.body) + sent.is_broken))
                    for name, value in sent.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(sent.body)
                if sent is HANG_UP or sent.is_broken:
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that leaves is expected here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> ScriptedService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Blocking:
    """An object of the asynchronous client, used as the synchronous one is."""

    def __init__(self, target: Any, loop: LoopThread) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            made = found(*arguments, **named)
            return self._wrap(self._loop.run(made) if inspect.iscoroutine(made) else made)

        return call

    def _wrap(self, made: Any) -> Any:
        if isinstance(made, list):
            return [self._wrap(item) for item in made]
        is_ours = type(made).__name__ in ("AsyncJob", "AsyncSentenceStream")
        return Blocking(made, self._loop) if is_ours or isinstance(made, AsyncIterator) else made

    def __iter__(self) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(self._target, self)

        while (item := self._loop.run(following())) is not self:
            yield item

    def __repr__(self) -> str:
        return repr(self._target)


class Clients:
    """Makes clients of one kind, and closes them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._loop = LoopThread()
        self._made: list[Any] = []

    def __call__(self, url: str, token: str | None = TOKEN, **settings: Any) -> Any:
        if self.kind == "sync":
            made: Any = Client(url, token, **settings)
        else:

            async def make() -> AsyncClient:
                return AsyncClient(url, token, **settings)

            made = Blocking(self._loop.run(make()), self._loop)
        self._made.append(made)
        return made

    def __enter__(self) -> Clients:
        self._loop.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for client in self._made:
            client.close() if self.kind == "sync" else client.aclose()
        self._loop.__exit__(*error)
