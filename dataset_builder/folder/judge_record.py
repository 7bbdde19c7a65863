"""How the judge was called, according to the sidecars of the annotations, for publication.

The rule: only settings that decide a verdict are taken, each by name, and every name is public (no
path, no host). Anyone can edit a sidecar, so values of an unexpected form are left out. Annotations
without a sidecar, or of a judge without a model, add nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dataset_builder.pairs import public_name
from schemas.files.sidecar import read_sidecar_values

_SETTINGS = (
    "protocol",
    "window",
    "votes",
    "temperature",
    "confidence",
    "max_tokens",
    "evidence",
    "seed",
    "structured",
    "prompt_language",
)
_SERVED_NAMES = ("id", "root", "parent", "owned_by")
_HASH = re.compile(r"[0-9a-f]{64}")


def read_judging(annotations: Iterable[Path]) -> list[dict[str, Any]]:
    """The judges according to the sidecars: one entry per different judge or setting, sorted.

    judge     the name of the judge's model
    settings  the settings that decide a verdict
    prompts   SHA-256 of the prompts by language
    served    what the servers reported about the model
    """
    found = filter(None, (_read_one(read_sidecar_values(path)) for path in annotations))
    texts = {json.dumps(entry, sort_keys=True) for entry in found}
    return [json.loads(text) for text in sorted(texts)]


def _read_one(values: Mapping[str, Any]) -> dict[str, Any] | None:
    config = _mapping(values.get("config"))
    llm = _mapping(config.get("llm"))
    name = _mapping(values.get("models")).get("judge")
    if config.get("judge") not in ("llm", "cascade") or not llm or not isinstance(name, str):
        return None
    settings = {key: llm[key] for key in _SETTINGS if _is_plain(llm.get(key))}
    if llm.get("ask_spans") is True:  # only then: the files of other data sets stay as they were
        settings["ask_spans"] = True
    if config["judge"] == "cascade":
        least = _mapping(config.get("cascade")).get("min_confidence")
        settings |= {"cascade_min_confidence": least} if _is_plain(least) else {}
    prompts = {
        language: digest
        for language, digest in _mapping(values.get("prompts")).items()
        if len(language) <= 8 and isinstance(digest, str) and _HASH.fullmatch(digest)
    }
    served = _mapping(values.get("served")).get("judge")
    models = [_read_served(item) for item in served] if isinstance(served, list) else []
    return {
        "judge": public_name(name),
        "settings": settings,
        "prompts": prompts,
        "served": [model for model in models if model],
    }


def _read_served(value: object) -> dict[str, Any]:
    values = _mapping(value)
    names = {
        key: public_name(values[key]) for key in _SERVED_NAMES if isinstance(values.get(key), str)
    }
    length = values.get("max_model_len")
    return names | ({"max_model_len": length} if isinstance(length, int) else {})


def _is_plain(value: object) -> bool:
    """A number, a boolean or a short word: nothing that can contain a path."""
    if isinstance(value, str):
        return re.fullmatch(r"[a-z_]{1,20}", value) is not None
    return isinstance(value, bool | int | float)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
