"""A message of a server or library, as the detail of a failure: one short line without API keys."""

from __future__ import annotations

from schemas.secret_values import hide_likely_keys
from schemas.text.terminal import one_line

MAX_DETAIL_CHARS = 300
_MAX_SEARCHED_CHARS = 10_000  # of a server's page; the line shows the first few hundred


def detail_line(text: str) -> str:
    """`text` on one line of at most MAX_DETAIL_CHARS, with what looks like an API key hidden."""
    return one_line(hide_likely_keys(text[:_MAX_SEARCHED_CHARS]), MAX_DETAIL_CHARS)
