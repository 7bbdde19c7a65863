"""How a changed config affects calls already paid for, reported before more is spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.validation import show_value


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted names.

    >>> flatten({"a": {"b": 1}, "c": 2})
    {'a.b': 1, 'c': 2}
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def name_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase per setting that differs, by name: `temperature 0.0 -> 0.7`."""
    old, new = flatten(before), flatten(now)
    return [
        f"{name} {_show(old, name)} -> {_show(new, name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def describe_changes(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], *, num_stored: int, num_serving: int
) -> str | None:
    """A sentence about the cost of a changed config; None when nothing changed or nothing is
    stored.

    `num_stored` calls of this kind are in the store, this run can use `num_serving` of them.
    """
    changes = name_changes(before, now) if before is not None else []
    if not changes or not num_stored:
        return None
    return (
        f"since the last run on this store changed: {'; '.join(changes)}. Of {num_stored:,} "
        f"stored calls {num_serving:,} are used by this run; the rest stay in the store"
    )


def _show(values: Mapping[str, Any], name: str) -> str:
    return show_value(values[name]) if name in values else "(unset)"
