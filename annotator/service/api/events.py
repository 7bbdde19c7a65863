"""Server-sent events: how they are written.

The rule: data is JSON on one line, so no text can end an event early.
"""

from __future__ import annotations

COMMENT = b": still here\n\n"


def encode_event(name: str, data: bytes, *, identifier: str = "") -> bytes:
    """One event; `data` is JSON without line breaks."""
    number = f"id: {identifier}\n".encode() if identifier else b""
    return b"event: " + name.encode() + b"\n" + number + b"data: " + data + b"\n\n"
