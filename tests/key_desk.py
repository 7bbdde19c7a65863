"""A small desk for the tests of the scripts: the real frame, policy and session, one response.

The rule: it does what the pages promise to the scripts and nothing else, so that a fault of the
scripts is seen as such: which decision was sent for which place, in which order, how often.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from annotator.service.errors import ApiError
from annotator.service.guard.errors import install_handlers
from maskdpo.desk.web.app import POLICY
from maskdpo.desk.web.pages import environment, error_response, shared_values
from maskdpo.desk.web.session import Gate, NewSession, check_csrf
from maskdpo.desk.web.settings_routes import settings_router

TOKEN = "a-token-for-tests"
TEMPLATE = Path(__file__).with_name("key_desk.html.jinja")


@dataclass(kw_only=True)
class KeyDesk:
    """What was sent, and how the server behaves. `delay` is in seconds per request."""

    texts: list[str]
    document: str = "The first sentence. The second one. The third one."
    delay: float = 0.0
    faults: list[int] = field(default_factory=list)  # statuses of the next replies
    decided: list[tuple[int, str]] = field(default_factory=list)
    drafts: list[tuple[str, str, int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def sentences(self) -> list[tuple[int, int, str]]:
        """(start, end, text) of each sentence."""
        found, at = [], 0
        for text in self.texts:
            found.append((at, at + len(text), text))
            at += len(text)
        return found


def make_app(desk: KeyDesk) -> Any:
    """The application, with the session and the policy of the real one."""
    app = FastAPI(dependencies=[Depends(check_csrf)])
    nobody: Any = type("Nobody", (), {"sources": {}})()
    app.include_router(settings_router(nobody))
    page = environment().from_string(TEMPLATE.read_text(encoding="utf-8"))

    def show(request: Request, now: int, report: str = "", note: bool = False) -> Response:
        values = {"sentences": desk.sentences, "now": now, "report": report, "note": note}
        values |= {"end": sum(map(len, desk.texts)), "document": desk.document}
        return HTMLResponse(page.render({**shared_values(request, "keys"), **values}))

    async def form_of(request: Request) -> dict[str, str]:
        time.sleep(desk.delay)
        if desk.faults:
            raise ApiError(status=desk.faults.pop(0), code="test", message="The file changed.")
        return {name: str(value) for name, value in (await request.form()).items()}

    def place(form: dict[str, str]) -> int:
        return [start for start, _, _ in desk.sentences].index(int(form["start"]))

    @app.post("/review/keys/decide")
    async def decide(request: Request) -> Response:
        form = await form_of(request)
        now = place(form)
        if "save" in form:
            desk.notes.append(form["text"])
            return show(request, now, "Note saved.")
        entry = (now, form["label"])
        if entry not in desk.decided:  # an equal decision is recorded once
            desk.decided.append(entry)
        return show(request, min(now + 1, len(desk.texts) - 1), f"Recorded {entry}")

    @app.post("/review/keys/draft")
    async def draft(request: Request) -> Response:
        form = await form_of(request)
        values = (form["op"], form["sel_id"], int(form["sel_start"]), int(form["sel_end"]))
        desk.drafts.append(values)
        return show(request, place(form))

    @app.post("/review/keys/note")
    async def note(request: Request) -> Response:
        return show(request, place(await form_of(request)), note=True)

    @app.get("/review")
    @app.get("/review/keys/{now}")
    def at(request: Request, now: int = 0) -> Response:
        return show(request, min(now, len(desk.texts) - 1))

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    install_handlers(app, error_response)
    gate = Gate(app, token=TOKEN, new=NewSession(who="Ada"), refuse=_refuse)
    outer = SessionMiddleware(gate, secret_key=TOKEN, same_site="strict")

    async def with_policy(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"content-security-policy", POLICY))
            await send(message)

        is_open = scope["type"] != "http" or scope["path"] == "/healthz"
        await (app if is_open else outer)(scope, receive, sending)

    return with_policy


def _refuse(scope: Any, error: Any) -> Response:
    return error_response(Request(scope), error)


class KeyServer:
    """The desk on a port of its own, which can be stopped and started again."""

    def __init__(self, desk: KeyDesk) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._app = make_app(desk)
        self._server: uvicorn.Server
        self._thread: threading.Thread

    def start(self) -> None:
        """Serve until `stop`."""
        config = uvicorn.Config(self._app, port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Close the port and all connections."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()


@contextmanager
def key_server(desk: KeyDesk) -> Iterator[KeyServer]:
    """The running desk."""
    server = KeyServer(desk)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def open_desk(page: Any, server: KeyServer, now: int = 0) -> None:
    """Log in and show one sentence."""
    page.goto(f"{server.url}/review?token={TOKEN}", wait_until="commit")
    page.goto(f"{server.url}/review/keys/{now}")
    page.locator(".sentence:focus").wait_for(timeout=3000)
