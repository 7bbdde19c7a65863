"""How a request is written for a server, and which fields a server refuses.

The rule: a field that a model refuses is left out (or `max_tokens` renamed), once it is known
that the request passes without it; the reply that proves it is kept, and the change is reported at
the end. Requirements on a reply are checked where the reply is read, not here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from annotator.models.backend import Decoding, Request
from annotator.models.config import ModelConfig
from annotator.models.openai.server_kinds import NEUTRAL_NAMES, neutral_fields
from annotator.models.system_role import describe_folding, fold_system, refuses_system
from schemas.records import Message

# Fields that a model may refuse, in the order in which its error message is searched for them.
_REFUSABLE = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "logprobs",
    "response_format",
    "structured_outputs",
    *NEUTRAL_NAMES,
)
# Other names of the fields in error messages.
_OTHER_NAMES = {
    "response_format": ("json_schema", "structured output", "guided"),
    "logprobs": ("log probabilities",),
}
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
# Fields of a request that rows record: how its reply was sampled.
_SAMPLING = ("temperature", "top_p", "max_tokens", "seed", "reasoning_effort", *NEUTRAL_NAMES)


@dataclass(frozen=True, kw_only=True)
class RequestBody:
    """How requests to one model are written.

    refused       fields that it does not accept
    folds_system  its chat template does not support a system message
    """

    config: ModelConfig
    refused: frozenset[str] = field(default_factory=frozenset)
    folds_system: bool = False

    def messages(self, request: Request) -> Sequence[Message]:
        """The conversation as it is sent."""
        return fold_system(request.messages) if self.folds_system else request.messages

    def fields(self, request: Request, kind: str) -> dict[str, Any]:
        """The fields of a request's body next to model and messages, for a `kind` of server."""
        neutral = neutral_fields(kind)
        values = {**neutral, **_decoding(request.decoding, self.config), "seed": request.seed}
        for name in self.refused:
            value = values.pop(name, None)
            if name == "max_tokens" and value is not None:
                values["max_completion_tokens"] = value
        if self.config.chat_template_kwargs:
            values["chat_template_kwargs"] = self.config.chat_template_kwargs
        values |= self.config.extra_body | self.config.params
        return {name: value for name, value in values.items() if value is not None}

    def encode(self, request: Request, fields: Mapping[str, Any]) -> bytes:
        """The bytes that are sent: model, messages and `fields` as JSON."""
        messages = [{"role": item.role, "content": item.content} for item in self.messages(request)]
        return _JSON.encode({"model": self.config.model, "messages": messages, **fields}).encode()

    def without_system(self, complaint: str, request: Request) -> RequestBody | None:
        """The body with system text in the user message, if `complaint` is about that; or None."""
        if self.folds_system or not refuses_system(complaint, request.messages):
            return None
        return replace(self, folds_system=True)

    def without(self, complaint: str, sent: Mapping[str, Any]) -> RequestBody | None:
        """The body without the field of `sent` that `complaint`, a refusal, names.

        None without one.
        """
        said = complaint.lower()
        for name in _REFUSABLE:
            if name not in sent or name in self.refused or name in self._of_the_user:
                continue
            if any(word in said for word in (name, *_OTHER_NAMES.get(name, ()))):
                return replace(self, refused=self.refused | {name})
        return None

    def joined(self, other: RequestBody) -> RequestBody:
        """What both have learned about the model."""
        return replace(
            self,
            refused=self.refused | other.refused,
            folds_system=self.folds_system or other.folds_system,
        )

    def notes(self, kinds: Sequence[str]) -> list[str]:
        """One sentence per thing learned, and per neutral value that the user replaced."""
        model = self.config.model
        notes = [
            f"{model} refuses max_tokens; max_completion_tokens was sent instead"
            if name == "max_tokens"
            else f"{model} refuses {name}; it was left out, and the server's default is used"
            for name in sorted(self.refused)
        ]
        if self.folds_system:
            notes.append(describe_folding(model))
        neutral = {name: value for kind in kinds for name, value in neutral_fields(kind).items()}
        notes += [
            f"{name}={self._of_the_user[name]} of your settings was sent, not the neutral {value}"
            for name, value in sorted(neutral.items())
            if name in self._of_the_user and self._of_the_user[name] != value
        ]
        return notes

    @property
    def _of_the_user(self) -> dict[str, Any]:
        return self.config.extra_body | self.config.params


def sampling_of(fields: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The part of a request's `fields` that rows record: how the reply was sampled, and the server.

    A field that was not sent is missing: the server's default was used.
    """
    values = {name: fields[name] for name in _SAMPLING if name in fields}
    if "max_completion_tokens" in fields:
        values["max_tokens"] = fields["max_completion_tokens"]
    return values | {"server": kind}


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
