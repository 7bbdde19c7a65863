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

    # Of a data set, any file: a later commit may hold others.
    names = set(source.labels) if isinstance(source, Table) else {source.name}

    def is_own(values: Mapping[str, Any]) -> bool:
        inputs = values.get("inputs")
        is_of_source = isinstance(inputs, dict) and bool(names & set(inputs))
        return is_of_source and values.get("config") == {"format": format_name}

    by = f"an import of {source.name}"
    refuse_to_replace(path, is_own, what=what, by=by, option=option)
