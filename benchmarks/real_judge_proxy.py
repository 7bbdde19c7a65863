"""A recording proxy on loopback between a judge and its server.

The rule: a reply is on disk before the client sees it, so the log holds every call in the order
in which the server finished it, whatever the client does next.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TIMEOUT_S = 1_200


class RecordingHandler(BaseHTTPRequestHandler):
    """Passes a request on, and appends it with its reply to the server's log."""

    protocol_version = "HTTP/1.1"
    server: RecordingServer

    def do_GET(self) -> None:
        """Passes on a request about the server, such as its list of models; not recorded."""
        self._pass_on(None)

    def do_POST(self) -> None:
        """Passes on a call to the model and records it."""
        self._pass_on(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _pass_on(self, body: bytes | None) -> None:
        start = time.perf_counter()
        request = urllib.request.Request(self.server.upstream + self.path, data=body)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
                status, content = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if body is not None:
            self.server.record(body, status, content, time.perf_counter() - start)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """The log file holds more than the usual access lines."""


class RecordingServer(ThreadingHTTPServer):
    """A proxy for `upstream`, such as http://127.0.0.1:8080; one JSON line per call in `log`."""

    daemon_threads = True

    def __init__(self, upstream: str, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), RecordingHandler)
        self.upstream = upstream.rstrip("/")
        self.log = log
        self._lock = threading.Lock()

    def record(self, body: bytes, status: int, content: bytes, seconds: float) -> None:
        """Appends one call to the log."""
        line = {
            "status": status,
            "seconds": round(seconds, 3),
            "request": json.loads(body),
            "reply": json.loads(content) if status == 200 else content.decode(errors="replace"),
        }
        with self._lock, self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


@contextmanager
def recording_proxy(upstream: str, log: Path) -> Iterator[str]:
    """The base URL (with /v1) of a proxy that runs while the block does; `log` is appended to."""
    server = RecordingServer(upstream, log)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
