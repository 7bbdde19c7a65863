"""The review desk for tests: as a process on loopback, or its pages around a small desk; a visitor.

A visitor is what a browser is without scripts: it keeps cookies and sends the CSRF token of the
page it saw last.
"""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

from command_process import START_S, TOKEN, CommandProcess


class Reply(NamedTuple):
    """A reply; names of headers are in lower case, the text is decoded as UTF-8."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers["location"]


class Visitor:
    """Requests with the cookies of one browser. Redirects are not followed."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request on its own connection."""
        place = urlsplit(self.address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=START_S)
        given = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        try:
            connection.request(method, path, body, {**given, **(headers or {})})
            found = connection.getresponse()
            text = found.read().decode("utf-8")
        finally:
            connection.close()
        lower = {name.lower(): value for name, value in found.getheaders()}
        if cookie := lower.get("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if token := re.search(r'<meta name="csrf" content="([^"]+)"', text):
            self.csrf = token[1]
        return Reply(found.status, lower, text)

    def get(self, path: str, **headers: str) -> Reply:
        """`hx_request="true"` is the header HX-Request."""
        return self.send("GET", path, headers=named(headers))

    def post(
        self, path: str, fields: Any = (), *, csrf: str | None = None, **headers: str
    ) -> Reply:
        """A form, with the CSRF token in the header; "" sends none."""
        token = self.csrf if csrf is None else csrf
        given = {"Content-Type": "application/x-www-form-urlencoded", **named(headers)}
        if token:
            given["X-CSRF-Token"] = token
        return self.send("POST", path, urlencode(fields).encode(), given)

    def login(self, token: str = TOKEN, *, who: str = "") -> Self:
        """Open the printed address, and give a name."""
        assert self.get(f"/review?token={token}").status == 303
        assert self.get("/review/settings").status == 200
        if who:
            assert self.post("/review/name", {"who": who}).status == 303
        return self


def named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class DeskProcess(CommandProcess):
    """`maskdpo review ARGUMENTS`, on a free port; `url` is the printed address with its token."""

    LAST_LINE = "Ctrl-C"
    url = ""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        port: int | None = 0,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        given = () if port is None else ("--port", str(port))
        super().__init__(folder, "review", *given, *arguments, environment=environment)

    def see(self, line: str) -> None:
        if found := re.search(r"^open ((http://[^/\s]+)/review\?token=\S+)", line):
            self.url, self.address = found[1], found[2]

    def visitor(self, who: str = "") -> Visitor:
        """Somebody who has opened the printed address."""
        return Visitor(self.address).login(self.url.partition("token=")[2], who=who)


@contextmanager
def serving(desk: Any, *, token: str = TOKEN, **new: Any) -> Iterator[str]:
    """The pages around `desk` behind the real guard, in a thread: their address."""
    import uvicorn

    from annotator.service.guard.middleware import Guard
    from annotator.service.guard.server import server_config
    from annotator.service.guard.settings import ConnectionLimits
    from annotator.service.listening import bind
    from maskdpo.desk.config import ReviewConfig
    from maskdpo.desk.server import guard_settings
    from maskdpo.desk.web.app import WebSettings, make_app, make_pages
    from maskdpo.desk.web.session import NewSession

    listener: socket.socket = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    pages = make_pages(desk, WebSettings(token=token, port=port, new=NewSession(**new)))
    guard = Guard(make_app(pages), guard_settings(pages, ReviewConfig(), token=token))
    config = server_config(guard, limits=ConnectionLimits(), stop_timeout_s=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
