"""What an import may replace: the output of an earlier import of the same file, in its format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.files.own_files import refuse_to_replace
from schemas.files.tables import Table


def refuse_other_work(
    path: Path, *, source: Path | Table, format_name: str, what: str, option: str = "--output"
) -> None:
    """Raise ConfigError where `path` holds `what` that was not written by an import of `source`."""

    def is_own(values: Mapping[str, Any]) -> bool:
        inputs = values.get("inputs")
        is_of_source = isinstance(inputs, dict) and _is_of(inputs, source)
        return is_of_source and values.get("config") == {"format": format_name}

    by = f"an import of {source.name}"
    refuse_to_replace(path, is_own, what=what, by=by, option=option)


def _is_of(inputs: Mapping[str, Any], source: Path | Table) -> bool:
    """Whether a sidecar names the source: a file by its name, a split at whatever commit."""
    if isinstance(source, Path):
        return source.name in inputs
    split = {key: value for key, value in source.origin.items() if key != "revision"}
    return any(
        isinstance(entry, dict) and {key: entry.get(key) for key in split} == split
        for entry in inputs.values()
    )
