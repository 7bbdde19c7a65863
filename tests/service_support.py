"""The real service as a process on loopback, for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from command_process import START_S, TOKEN, CommandProcess

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


class ServiceProcess(CommandProcess):
    """`maskdpo serve ARGUMENTS` on a free port."""

    LAST_LINE = "API: "

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str | None] | None = None
    ) -> None:
        super().__init__(folder, "serve", "--port", "0", *arguments, environment=environment)

    def see(self, line: str) -> None:
        if found := re.search(r"serves at (http://\S+)", line):
            self.address = found[1]

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
