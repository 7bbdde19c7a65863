"""Chat templates: which of their arguments a user may set.

One list for sampling and training: a policy must train with the arguments it was sampled with.
"""

from __future__ import annotations

from collections.abc import Iterable

# Arguments of `apply_chat_template` that are not variables of a template. Setting one of them
# would change how the prompt is processed, not what the template writes.
RESERVED_TEMPLATE_KWARGS = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "truncation",
    }
)


def check_template_kwargs(names: Iterable[str]) -> None:
    """Raise ValueError for a name that cannot be a variable of a chat template."""
    reserved = sorted(RESERVED_TEMPLATE_KWARGS & set(names))
    if reserved:
        raise ValueError(
            f"chat_template_kwargs holds {', '.join(reserved)}, which is set for you; "
            "only variables of the chat template are allowed"
        )
