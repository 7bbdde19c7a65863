"""Server-sent events: how they are written.

The rule: data is JSON on one line, so no text can end an event early.
"""

from __future__ import annotations

COMMENT = b": still here\n\n"


def encode_event(name: str, data: bytes) -> bytes:
    """One event; `data` is JSON without line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
