"""Models whose chat template does not support a system message (Gemma 2, early Mistral, many small
ones).

The rule: the system text is not lost. It is put before the first user message, after a server or
template has refused the conversation because of its roles and accepts it in this form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.records import Message

# Messages of templates and servers: "System role not supported", "Conversation roles must alternate
# user/assistant", "Only user, assistant and tool roles are supported, got system", "Developer
# instruction is not enabled", "Unexpected role: system".
_COMPLAINT = re.compile(
    r"\bsystem\b.{0,40}\b(roles?|messages?|prompts?|instructions?)\b"
    r"|\broles?\b.{0,60}\b(system|alternat\w*)\b"
    r"|\bdeveloper instructions?\b"
    r"|\bonly\b.{0,60}\broles? (is|are) supported\b",
    re.IGNORECASE | re.DOTALL,
)


def refuses_system(complaint: str, messages: Sequence[Message]) -> bool:
    """Whether `complaint` may be about the system message in `messages`."""
    return any(item.role == "system" for item in messages) and bool(_COMPLAINT.search(complaint))


def describe_folding(model: str) -> str:
    """The note at the end of a run in which `fold_system` was needed."""
    return (
        f"{model} does not support a system message; the system text was sent before the first "
        "user message"
    )


def fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation with all system text before the first user message.

    Without a user message the system text becomes one.
    """
    system = "\n\n".join(item.content for item in messages if item.role == "system")
    rest = [item for item in messages if item.role != "system"]
    if not system:
        return tuple(rest)
    for at, item in enumerate(rest):
        if item.role == "user":
            rest[at] = item.model_copy(update={"content": f"{system}\n\n{item.content}"})
            return tuple(rest)
    return (Message(role="user", content=system), *rest)
