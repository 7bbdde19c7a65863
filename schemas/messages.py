"""Messages in the forms of chat data sets, before they are records; the order of a prompt's roles.

Two rules. Empty keys are dropped: tables give every message the keys of all messages, so an unknown
key that is null or empty, at any depth, is left out. And a key with a value is never dropped
silently: it would change what a model reads, so the record refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from schemas.validation import show_value

MESSAGE_KEYS = ("role", "content")
ROLES_RULE = (
    "user and assistant must take turns, beginning and ending with user, after one system message "
    "at most"
)


def is_empty(value: object) -> bool:
    """Whether a value is null or empty, or holds only such values.

    >>> is_empty([{"name": None, "parts": []}]), is_empty(0), is_empty(False)
    (True, False, False)
    """
    left = [value]  # no recursion: JSON may be nested deeply
    while left:
        item = left.pop()
        if isinstance(item, Mapping):
            left.extend(item.values())
        elif isinstance(item, list | tuple):
            left.extend(item)
        elif not (item is None or item == ""):
            return False
    return True


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is text that UTF-8 can hold; half a surrogate pair ("\\ud800") is not."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def tidy_message(values: Any) -> Any:
    """A message without unknown keys that are empty, its content as one text.

    Content that is a list of text parts is joined without a separator, as chat templates do. A
    value that is not an object is returned unchanged. Raises ValueError for a part that is not
    text.
    """
    if not isinstance(values, dict):
        return values
    content = values.get("content")
    if len(values) == len(MESSAGE_KEYS) and isinstance(content, str):
        return values
    kept = {
        name: value for name, value in values.items() if name in MESSAGE_KEYS or not is_empty(value)
    }
    if isinstance(content, list) and content:
        kept["content"] = "".join(_read_part(part, index) for index, part in enumerate(content))
    return kept


def turns_alternate(roles: Sequence[str]) -> bool:
    """Whether user and assistant take turns, beginning with a user, after one system message at
    most."""
    turns = roles[1:] if list(roles[:1]) == ["system"] else roles
    return all(role == ("user", "assistant")[index % 2] for index, role in enumerate(turns))


def ends_with_user(roles: Sequence[str]) -> bool:
    """Whether the last message is a user's: what a model is to reply to."""
    return list(roles[-1:]) == ["user"]


def _read_part(part: object, index: int) -> str:
    """The text of one part of a content, such as {"type": "text", "text": "Who?"}."""
    known = part if isinstance(part, dict) else {}
    names = {name for name in known if name in ("type", "text") or not is_empty(known[name])}
    text = known.get("text")
    if names != {"type", "text"} or known["type"] != "text" or not isinstance(text, str):
        raise ValueError(
            f"content[{index}] is {show_value(part)}, but content must be text, or a list of parts "
            'like {"type": "text", "text": "..."}'
        )
    return text
