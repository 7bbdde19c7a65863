"""Which server software replies, and the values that switch off its sampling defaults.

The rule: a reply is sampled from softmax(logits / temperature) within the `top_p` nucleus. Servers
use defaults where a request leaves a field out: vLLM and SGLang those of the model's
generation_config, llama.cpp top-k 40 and min-p 0.05. So each request names every such field, with a
neutral value, but only fields that this kind of server is known to accept: others ignore unknown
fields silently or refuse them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annotator.models.served_model import ServedModel

VLLM, LLAMA_CPP, SGLANG, OLLAMA = "vllm", "llama.cpp", "sglang", "ollama"
OPENAI, UNKNOWN = "openai", "unknown"

# The owner that each server reports for its models.
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
# -1 and not 0: all versions of vLLM and SGLang read it as "keep all tokens".
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
"""Every field that is sent to switch a default off, for any kind of server."""


def kind_of(model: ServedModel | None, entries: Sequence[Mapping[str, Any]]) -> str:
    """The kind of a server by the owner that its list names.

    UNKNOWN where the owner is not a known one.
    """
    owner = model.owned_by if model else (entries[0].get("owned_by") if entries else None)
    return _KIND_OF_OWNER.get(owner, UNKNOWN) if isinstance(owner, str) else UNKNOWN


def neutral_fields(kind: str) -> Mapping[str, float]:
    """The fields to send to a server of this kind, with neutral values."""
    return _NEUTRAL.get(kind, {})


def describe_unset(kind: str, url: str) -> str | None:
    """One sentence about defaults of a server that cannot be switched off; None without any."""
    if kind == OLLAMA:
        return (
            f"the server at {url} (ollama) does not accept top_k, min_p or repeat_penalty in a "
            "request; those of the model's Modelfile were used"
        )
    if kind == UNKNOWN:
        return (
            f"the server at {url} does not report its software, so defaults that it may use "
            "(top-k, min-p, penalties) were not switched off; extra_body can set them"
        )
    return None
