"""What goes over the wire: requests, replies, and the bytes of streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO


class ConnectionFailed(Exception):
    """The service was not reached, or a connection broke.

    was_silent   the service was connected and sent nothing for the longest allowed time
    is_new       this client has never reached the service: it was probably not started
    """

    def __init__(self, message: str, *, was_silent: bool = False, is_new: bool = False) -> None:
        super().__init__(message)
        self.was_silent = was_silent
        self.is_new = is_new


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request. A body may be a file that is open for reading: each try reads it again."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | IO[bytes] | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    has_token: bool = True


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The reply to a call; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked for."""
        return 200 <= self.status < 300


class Lines:
    """Bytes in, whole lines out. Only a line feed ends a line: JSON may hold other separators."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        return lines


class Events:
    """Server-sent events: (name, data) of each one that is complete; comments are left out."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._name = "message"
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """The events that are complete now."""
        for line in self._lines.feed(chunk):
            text = line.decode(errors="replace").rstrip("\r")
            name, _, value = text.partition(":")
            value = value.removeprefix(" ")
            if not text:
                if self._data:
                    yield self._name, "\n".join(self._data)
                self._name, self._data = "message", []
            elif name == "event":
                self._name = value
            elif name == "data":
                self._data.append(value)
