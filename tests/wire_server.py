"""An HTTP server on loopback that replies what a script returns, with any headers or raw bytes."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sample_server import MODELS, completion


@dataclass(kw_only=True)
class Wire:
    """One reply: `cut` sends the first bytes of the body alone and hangs up."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = completion("Yes.")[2]
    cut: int | None = None


@dataclass(frozen=True)
class Seen:
    """One request: method, path or address as it was sent, headers in lower case, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class WireServer:
    """Use as a context manager. `reply(n)` is the n-th POST's reply, from 1; None hangs up.

    seen             the POSTs (and redirected GETs) in the order they arrived
    num_connections  how many connections were opened
    certificate      a PEM file of key and certificate: the server speaks https
    """

    def __init__(
        self,
        reply: Callable[[int], Wire | None] = lambda _: Wire(),
        *,
        certificate: Path | None = None,
    ) -> None:
        self.seen: list[Seen] = []
        self.num_connections = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with outer._lock:
                    outer.num_connections += 1

            def do_GET(self) -> None:
                if self.path.endswith("/models"):
                    self._send(Wire(body=MODELS[2]))
                else:
                    self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer._lock:
                    outer.seen.append(Seen(self.command, self.path, headers, body))
                    count = len(outer.seen)
                self._send(reply(count))

            def _send(self, sent: Wire | None) -> None:
                if sent is None or sent.cut is not None:
                    self.close_connection = True
                if sent is None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(sent.status)
                for name, value in sent.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent.body)))
                self.end_headers()
                self.wfile.write(sent.body[: sent.cut])

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that leaves early is expected here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.base_url = self.base_url.replace("http:", "https:")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "WireServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
