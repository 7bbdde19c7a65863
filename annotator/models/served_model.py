"""Which model is behind a name: read from a server's list of models, or from local files.

The rule: only reported values are recorded. A field that a server leaves out, or sends in a form
that is not expected, is None; two records are therefore equal only if the reports were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from annotator.models.detail_line import detail_line
from schemas.hashing import content_key

LLAMA_CPP = "llamacpp"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """One model at one server. None: not reported.

    url             the server's base_url; None for a model in this process
    id              the name that is served, or the local model's name
    root, parent    vLLM: the folder or Hub id that was loaded, and the base of an adapter
    max_model_len   longest context in tokens, prompt and reply together
    owned_by        the server's name for its kind ("vllm", "llamacpp") or its owner
    meta            llama.cpp: numbers of the model file (n_params, size in bytes, n_vocab, ...)
    content_sha256  local models: digest of weights, tokenizer and chat template
    revision        `revision` of the config
    """

    id: str
    url: str | None = None
    root: str | None = None
    parent: str | None = None
    max_model_len: int | None = None
    owned_by: str | None = None
    meta: Mapping[str, int | float] = field(default_factory=dict)
    content_sha256: str | None = None
    revision: str | None = None


class _List(BaseModel):
    data: list[dict[str, Any]]


def read_model_list(body: bytes) -> list[dict[str, Any]]:
    """The entries of a server's GET /models that have an id; [] for a body of another form."""
    try:
        entries = _List.model_validate_json(body).data
    except ValidationError:
        return []
    return [entry for entry in entries if isinstance(entry.get("id"), str)]


def find_served(
    entries: list[dict[str, Any]], *, url: str, model: str, revision: str | None
) -> ServedModel | None:
    """The entry of `model` in a server's list; None where it is not listed.

    llama.cpp replies under any name, so its only entry is the model whatever its id.
    """
    entry = next((item for item in entries if item["id"] == model), None)
    if entry is None and len(entries) == 1 and entries[0].get("owned_by") == LLAMA_CPP:
        (entry,) = entries
    if entry is None:
        return None
    return ServedModel(
        url=url,
        id=entry["id"],
        root=_text(entry.get("root")),
        parent=_text(entry.get("parent")),
        max_model_len=_whole(entry.get("max_model_len")),
        owned_by=_text(entry.get("owned_by")),
        meta=_numbers(entry.get("meta")),
        revision=revision,
    )


def _text(value: Any) -> str | None:
    """A reported text in the form that may be shown.

    Where a part is hidden, with a digest of all.
    """
    if not isinstance(value, str) or not value:
        return None
    shown = detail_line(value)
    return shown if shown == value else f"{shown} (SHA-256 {content_key(value)[:12]})"


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: Any) -> dict[str, int | float]:
    if not isinstance(value, dict):
        return {}
    return {
        name: number
        for name, number in sorted(value.items())
        if isinstance(number, int | float) and not isinstance(number, bool)
    }
