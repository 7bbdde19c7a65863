"""The parts of a reply: its text, a thinking model's private text, a refusal.

The rule: text and thoughts are never mixed, and no part is dropped silently: a part of an unknown
kind makes the reply unreadable, and the kind is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_TEXT = frozenset({"text", "output_text"})
_THOUGHT = frozenset({"thinking", "reasoning", "reasoning_text", "summary_text"})
_WITHOUT_TEXT = frozenset({"redacted_thinking", "reference"})
# The fields in which a part has its text.
_FIELDS = ("text", "content", "thinking", "reasoning", "summary", "refusal")
_DEEPEST = 8


class UnreadablePartError(ValueError):
    """A part of a reply of an unknown kind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """The content of a message. `text` is None where there is no text part."""

    text: str | None = None
    thoughts: str = ""
    refusal: str = ""


def read_parts(content: Any) -> Parts:
    """The parts of a message's `content`: a text, a list of parts, or null.

    Raises UnreadablePartError for anything else.

    >>> read_parts([{"type": "thinking", "thinking": "2+2"}, {"type": "text", "text": "4"}])
    Parts(text='4', thoughts='2+2', refusal='')
    """
    if content is None or isinstance(content, str):
        return Parts(text=content)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise UnreadablePartError(f"the content is a {type(content).__name__}")
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    for part in content:
        kind = "text" if isinstance(part, str) else _kind_of(part)
        if kind in _TEXT:
            texts.append(_said(part))
        elif kind in _THOUGHT:
            thoughts.append(_said(part))
        elif kind == "refusal":
            refusals.append(_said(part))
        elif kind not in _WITHOUT_TEXT:
            raise UnreadablePartError(f"a part of the content is of type {kind!r}")
    return Parts(
        text="".join(texts) if texts else None,
        thoughts="\n".join(thoughts),
        refusal="\n".join(refusals),
    )


def read_thoughts(value: Any) -> str:
    """A message's reasoning field as text; "" where it is absent or has no known form."""
    try:
        return _said(value)
    except UnreadablePartError:
        return ""


def _kind_of(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else type(part).__name__


def _said(value: Any, depth: int = 0) -> str:
    """The text of a part, whose fields may hold a text, a part or a list of parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        raise UnreadablePartError("the parts of the content are nested too deeply")
    if isinstance(value, list):
        return "".join(_said(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return "".join(_said(value[name], depth + 1) for name in _FIELDS if name in value)
    raise UnreadablePartError(f"a part of the content holds a {type(value).__name__}")
