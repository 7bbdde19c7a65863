"""The files that pages load: style sheets, scripts, htmx. All of them, read once at the start.

The rule: only a name that is in the folder at the start is served, so no path can lead out of it.
A browser keeps a file and asks with its ETag whether it has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from annotator.service.errors import ApiError

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticFile:
    """One file as it is served."""

    body: bytes
    kind: str
    etag: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """The files by name."""
    found = {}
    for file in (files("maskdpo.desk.web") / "static").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _KINDS:
            body = file.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[file.name] = StaticFile(body=body, kind=_KINDS[suffix], etag=etag)
    return found


def serve_static(name: str, request: Request) -> Response:
    """One file, or 304 where the browser has it."""
    file = static_files().get(name)
    if file is None:
        raise ApiError(status=404, code="not_found", message="there is no such file")
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.kind, headers=headers)
