"""The real service as a process on loopback, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "a-token-for-tests-that-is-long-enough"
START_S = 60
DOCUMENT = "Mira Tolvan was born in Karsted in 1951. She works as a baker and keeps two goats."
ANSWER = "Mira Tolvan was born in Karsted in 1950. She works as a baker."
LABELS = ["contradictory", "no_hallucination"]

_opener = build_opener(ProxyHandler({}))


class Reply(NamedTuple):
    """A reply; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class ServiceProcess:
    """`maskdpo serve ARGUMENTS` in `folder`, on a free port. Use it as a context manager.

    address   http://127.0.0.1:PORT
    lines     what it printed so far, on both streams
    """

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str | None] | None = None
    ) -> None:
        changes = {
            "PYTHONPATH": str(ROOT), "MASKDPO_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1",
            "PYTHONUNBUFFERED": "1", **(environment or {}),
        }  # fmt: skip
        values = {**os.environ, **changes}
        self._environment = {name: value for name, value in values.items() if value is not None}
        self._command = [sys.executable, "-m", "maskdpo", "serve", "--port", "0", *arguments]
        self._folder = folder
        self.lines: list[str] = []
        self.address = ""
        self._is_up = threading.Event()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_up.wait(START_S) and self.address, "\n".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(r"serves at (http://\S+)", line):
                self.address = found[1]
            if line.startswith("API: "):
                self._is_up.set()
        self._is_up.set()

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL: nothing is closed."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(START_S)
        self._reader.join()
        return code

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.kill()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request; `body` is sent as JSON unless it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {} if data is None else {"Content-Type": "application/json"}
        given |= {"Authorization": f"Bearer {token}"} if token is not None else {}
        request = Request(self.address + path, data, {**given, **(headers or {})}, method=method)
        try:
            with _opener.open(request, timeout=START_S) as reply:
                return Reply(reply.status, _lower(reply.headers), reply.read())
        except HTTPError as error:
            with error:
                return Reply(error.code, _lower(error.headers), error.read())

    def get(self, path: str) -> Reply:
        return self.send("GET", path)

    def post(self, path: str, body: Any = None) -> Reply:
        return self.send("POST", path, body)

    def annotate(self, response: Any = ANSWER, documents: Any = (DOCUMENT,), **more: Any) -> Reply:
        given = {} if documents is None else {"documents": documents}
        return self.post("/v1/annotations", {"response": response, **given, **more})


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def labels_of(reply: Reply) -> list[str]:
    """The labels of an annotation's sentences."""
    assert reply.status == 200, reply
    return [item["verdict"]["label"] for item in reply.json()["annotation"]["sentences"]]


def read_events(body: bytes) -> Sequence[tuple[str, Any]]:
    """(name, data) of server-sent events."""
    found = re.findall(r"^event: (.*)\ndata: (.*)\n\n", body.decode(), re.MULTILINE)
    return [(name, json.loads(data)) for name, data in found]
