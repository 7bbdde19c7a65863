"""Content keys: the same content gives the same key on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def content_key(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`: sorted keys, no spaces, UTF-8.

    Raises TypeError for what JSON cannot hold, and ValueError for NaN: neither has a single form.
    """
    canonical = _CANONICAL.encode(value)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def stable_seed(base: int, identifier: str) -> int:
    """A 63-bit seed for one row, from a run's seed and the row's id; never from its position."""
    return int(content_key([base, identifier])[:16], 16) >> 1


def stable_fraction(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on `name` alone, for splits that do not change when data
    is added."""
    return stable_seed(seed, name) / 2.0**63
