"""What is sent of a request beside its messages, and what a server was found to refuse.

The rule: a field that a model refuses is left out (or `max_tokens` renamed), once it is known
that the request passes without it; the answer that proves it is the one kept, and the user is
told at the end. What a reply had to follow is checked where the reply is read, not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from annotator.generation.backend import Decoding, Request
from annotator.generation.config import ModelConfig

# Fields a model may refuse, in the order they are looked for in its complaint.
_REFUSABLE = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "logprobs",
    "response_format",
    "structured_outputs",
)
# What a complaint calls them otherwise.
_OTHER_NAMES = {
    "response_format": ("json_schema", "structured output", "guided"),
    "logprobs": ("log probabilities",),
}


@dataclass(frozen=True, kw_only=True)
class RequestBody:
    """How requests to one model are written; `refused` are the fields it does not take."""

    config: ModelConfig
    refused: frozenset[str] = field(default_factory=frozenset)

    def fields(self, request: Request) -> dict[str, Any]:
        """The fields of a request's body beside model and messages."""
        values = {**_decoding(request.decoding, self.config), "seed": request.seed}
        for name in self.refused:
            value = values.pop(name, None)
            if name == "max_tokens" and value is not None:
                values["max_completion_tokens"] = value
        if self.config.chat_template_kwargs:
            values["chat_template_kwargs"] = self.config.chat_template_kwargs
        values |= self.config.extra_body | self.config.params
        return {name: value for name, value in values.items() if value is not None}

    def without(self, complaint: str, sent: Mapping[str, Any]) -> RequestBody | None:
        """The body less the field that `complaint` (a server's HTTP 400) names; None for none."""
        said = complaint.lower()
        for name in _REFUSABLE:
            if name not in sent or name in self.refused or name in self.config.params:
                continue
            if any(word in said for word in (name, *_OTHER_NAMES.get(name, ()))):
                return replace(self, refused=self.refused | {name})
        return None

    def notes(self) -> list[str]:
        """One sentence a refused field."""
        model = self.config.model
        return [
            f"{model} refuses max_tokens; max_completion_tokens was sent instead"
            if name == "max_tokens"
            else f"{model} refuses {name}; it was left out, and the server's own default holds"
            for name in sorted(self.refused)
        ]


def _decoding(decoding: Decoding, config: ModelConfig) -> dict[str, Any]:
    values: dict[str, Any] = {
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "max_tokens": decoding.max_tokens,
    }
    if decoding.logprobs:
        values["logprobs"] = True
    if decoding.schema is None or config.structured == "none":
        return values
    if config.structured == "structured_outputs":
        values["structured_outputs"] = {"json": decoding.schema}
    else:
        values["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": decoding.schema, "strict": True},
        }
    return values
