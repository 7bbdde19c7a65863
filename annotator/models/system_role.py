"""Models whose chat template takes no system message (Gemma 2, early Mistral, many small ones).

The rule: the system text is not lost. It goes in front of the first user message, once a server
or template has refused the conversation for its roles and takes it written so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schemas.records import Message

# What templates and servers say: "System role not supported", "Conversation roles must alternate
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
    """Whether `complaint` may be about the system message that `messages` hold."""
    return any(item.role == "system" for item in messages) and bool(_COMPLAINT.search(complaint))


def describe_folding(model: str) -> str:
    """The sentence for the end of a run in which `fold_system` was needed."""
    return (
        f"{model} takes no system message; the system text was sent in front of the first user "
        "message"
    )


def fold_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The same conversation with all system text in front of the first user message.

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
