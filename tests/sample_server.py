"""A chat-completions server on loopback that answers as told, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, str, bytes]


def completion(text: Any, *, finish_reason: Any = "stop", **message: Any) -> Answer:
    """A sound chat completion of one choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish_reason,
    }
    usage = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    return as_json(
        200, {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}
    )


def as_json(status: int, value: Any) -> Answer:
    return status, "application/json", json.dumps(value).encode()


def echo(body: dict[str, Any]) -> Answer:
    """The last message and the seed: a reply that a test can predict."""
    return completion(f"{body['messages'][-1]['content']} / {body['seed']}")


@dataclass
class Asked:
    """One request that reached the server."""

    body: dict[str, Any]
    authorization: str

    @property
    def seed(self) -> int:
        return self.body["seed"]


# Reports more than a name, so that a server at another port is the same model.
MODELS: Answer = (200, "application/json", b'{"data": [{"id": "policy", "root": "weights"}]}')


class ChatServer:
    """Use as a context manager; `asked` fills as requests arrive, before they are answered."""

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], Answer | None] = echo,
        *,
        models: Answer = MODELS,
        on_request: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.asked: list[Asked] = []
        self.num_lists = 0  # how often the list of models was asked for
        self.models = models  # may be changed while it serves
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with outer._lock:
                    outer.num_lists += 1
                self._send(outer.models)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer._lock:
                    outer.asked.append(Asked(body, self.headers.get("Authorization", "")))
                    count = len(outer.asked)
                    outer._in_flight += 1
                    outer.most_in_flight = max(outer.most_in_flight, outer._in_flight)
                try:
                    on_request(count)
                    sent = answer(body)
                finally:
                    with outer._lock:
                        outer._in_flight -= 1
                if sent is None:  # hang up without a word
                    self.close_connection = True
                    self.connection.close()
                    return
                self._send(sent)

            def _send(self, sent: Answer) -> None:
                status, kind, body = sent
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128  # many clients connect at once, and a test must not lose one

            def handle_error(self, request: object, client_address: object) -> None:
                """A killed client's broken pipe is expected here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "ChatServer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
