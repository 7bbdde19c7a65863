"""What the guard allows: the token, host names, sizes, times. All limits are set here, none is off.

The rule: a token is never part of a message, a repr or a log line.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from annotator.service.guard.pages import FORM, Pages
from schemas.errors import ConfigError

MIN_TOKEN_CHARS = 20
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
PUBLIC_PATHS = ("/healthz", "/readyz", "/openapi.json", "/docs", "/docs/page.css")
UPLOAD_PATHS = ("/v1/jobs",)
_JSON = b"application/json"
_ROWS = b"application/x-ndjson"


@dataclass(frozen=True, kw_only=True)
class GuardSettings:
    """Limits of one request. Sizes are in bytes, times in seconds.

    `hosts` are names of the service in addition to the loopback ones, without a port;
    `hosts_setting` is where a user adds one.
    A body may take `body_timeout_s`, and a second more for every `min_body_rate` bytes of it.
    `upload_paths` also take application/x-ndjson, of up to `max_upload_bytes`.
    """

    token: str = field(repr=False)
    max_body_bytes: int
    max_upload_bytes: int
    hosts: tuple[str, ...] = ()
    hosts_setting: str = "serve.hosts"
    public_paths: tuple[str, ...] = PUBLIC_PATHS
    upload_paths: tuple[str, ...] = UPLOAD_PATHS
    body_timeout_s: float = 30.0
    min_body_rate: int = 16 * 2**10
    access_log: bool = False
    pages: tuple[Pages, ...] = ()

    def pages_of(self, path: str) -> Pages | None:
        """The pages that a path belongs to; None for the service itself."""
        return next((item for item in self.pages if item.own(path)), None)

    def body_limits(self, path: str) -> Mapping[bytes, int]:
        """Which content types a path takes, and how many bytes of each."""
        if pages := self.pages_of(path):
            return {FORM: pages.max_body_bytes}
        limits = {_JSON: self.max_body_bytes}
        return limits | {_ROWS: self.max_upload_bytes} if path in self.upload_paths else limits


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of one connection, before and between its requests.

    `first_request_s` is the time for a complete header section from its first byte, or from the
    start of the connection. `stalled_write_s` is how long a client may leave a response unread.
    """

    max_connections: int = 1024
    max_header_bytes: int = 32 * 2**10
    max_headers: int = 100
    max_pipelined: int = 16
    first_request_s: float = 10.0
    idle_s: int = 15
    stalled_write_s: float = 60.0


def make_token() -> str:
    """A new token: 43 characters that a URL, a header and a shell take as they are."""
    return secrets.token_urlsafe(32)


def check_token(value: str, *, source: str = "MASKDPO_TOKEN") -> str:
    """`value` if it can serve as a token. Raises ConfigError, which does not repeat it."""
    if len(value) < MIN_TOKEN_CHARS:
        raise ConfigError(
            f"the token in {source} has {len(value)} characters, but at least {MIN_TOKEN_CHARS} "
            "are needed; unset it to have one made at each start"
        )
    if not all("!" <= character <= "~" for character in value):
        raise ConfigError(
            f"the token in {source} has a blank or a character outside ASCII, which a header "
            "cannot carry; use letters, digits and punctuation"
        )
    return value
