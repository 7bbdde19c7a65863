"""Where the service is and how it is asked: address, token, patience.

The rule: the token is in no text that this package makes: no repr, no message, no log.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from numbers import Real
from urllib.parse import urlsplit

from schemas.errors import ConfigError
from schemas.validation import show_value

TOKEN_VARIABLE = "MASKDPO_TOKEN"
DEFAULT_URL = "http://127.0.0.1:8765"


@dataclass(frozen=True, kw_only=True)
class Address:
    """A service and how it is asked. `timeout_s` is the longest silence."""

    base_url: str
    token: str = field(repr=False)
    timeout_s: float
    max_retries: int


def make_address(base_url: str, token: str | None, timeout_s: float, max_retries: int) -> Address:
    """The checked address. Raises ConfigError, which never shows the token."""
    if not _is_number(timeout_s) or not timeout_s > 0:
        raise ConfigError(f"timeout_s is {show_value(timeout_s)}, but it must be above 0, in s")
    if not isinstance(max_retries, int) or isinstance(max_retries, bool) or max_retries < 0:
        raise ConfigError(
            f"max_retries is {show_value(max_retries)}, but it must be a whole number from 0"
        )
    return Address(
        base_url=_check_url(base_url),
        token=_find_token(token),
        timeout_s=float(timeout_s),
        max_retries=max_retries,
    )


def _check_url(given: object) -> str:
    if not isinstance(given, str):
        raise ConfigError(f"base_url is {show_value(given)}, but it must be a text")
    try:
        parts = urlsplit(given)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises ValueError where it is not a number
    except ValueError:
        is_good = False
    if not is_good or any(sign.isspace() or ord(sign) < 32 for sign in given):
        raise ConfigError(
            f"base_url is {show_value(given)}, but it must be an address such as {DEFAULT_URL}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "base_url holds a user name, a query or a fragment; give the address alone, such as "
            f"{DEFAULT_URL}, and the token as token= or in {TOKEN_VARIABLE}"
        )
    return given.rstrip("/").removesuffix("/v1")


def _find_token(given: object) -> str:
    token = os.environ.get(TOKEN_VARIABLE, "") if given is None else given
    if not isinstance(token, str) or not token:
        raise ConfigError(
            f"no token; export {TOKEN_VARIABLE}, or give token=. `maskdpo serve` prints it when it "
            "starts, unless it reads the same variable"
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "the token holds a blank or a character that is not printable ASCII, so it cannot be "
            "one of this service"
        )
    return token


def _is_number(given: object) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
