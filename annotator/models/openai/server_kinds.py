"""Which server software replies, and the values that switch off what it adds to sampling.

The rule: a reply is drawn from softmax(logits / temperature) within the `top_p` nucleus. Servers
add values of their own where a request leaves a field out: vLLM and SGLang those of the model's
generation_config, llama.cpp top-k 40 and min-p 0.05. So each request names every such field, with
the value that does nothing, but only fields that this kind of server is known to take: others
ignore unknown fields silently or refuse them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.models.served_model import ServedModel

VLLM, LLAMA_CPP, SGLANG, OLLAMA = "vllm", "llama.cpp", "sglang", "ollama"
OPENAI, UNKNOWN = "openai", "unknown"

# What each server writes as the owner of its models.
_KIND_OF_OWNER = {
    "vllm": VLLM,
    "llamacpp": LLAMA_CPP,
    "sglang": SGLANG,
    "library": OLLAMA,
    "openai": OPENAI,
    "openai-internal": OPENAI,
    "system": OPENAI,
}

_PENALTIES = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
# -1 and not 0: all versions of vLLM and SGLang take it as "keep all tokens".
_ENGINE = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, **_PENALTIES}
_LLAMA_CPP = {
    "top_k": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
    "repeat_penalty": 1.0,
    "dry_multiplier": 0.0,
    **_PENALTIES,
}
_NEUTRAL: dict[str, dict[str, float]] = {
    VLLM: _ENGINE,
    SGLANG: _ENGINE,
    LLAMA_CPP: _LLAMA_CPP,
    OLLAMA: _PENALTIES,
}
NEUTRAL_NAMES = tuple(dict.fromkeys(name for values in _NEUTRAL.values() for name in values))
"""Every field that is sent to switch something off, of any kind of server."""


def kind_of(model: ServedModel | None, entries: Sequence[Mapping[str, Any]]) -> str:
    """The kind of a server by the owner that its list names; UNKNOWN where that says nothing."""
    owner = model.owned_by if model else (entries[0].get("owned_by") if entries else None)
    return _KIND_OF_OWNER.get(owner, UNKNOWN) if isinstance(owner, str) else UNKNOWN


def neutral_fields(kind: str) -> Mapping[str, float]:
    """The fields to send to a server of this kind, with the values that do nothing."""
    return _NEUTRAL.get(kind, {})


def describe_unset(kind: str, url: str) -> str | None:
    """One sentence about what cannot be switched off at a server; None where nothing is left."""
    if kind == OLLAMA:
        return (
            f"the server at {url} (ollama) takes no top_k, min_p or repeat_penalty from a request; "
            "those of the model's Modelfile were in force"
        )
    if kind == UNKNOWN:
        return (
            f"the server at {url} does not report what software it is, so values that it may add "
            "itself (top-k, min-p, penalties) were not switched off; extra_body can set them"
        )
    return None
