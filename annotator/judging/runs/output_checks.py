"""What an annotate run may replace: its own earlier output, and nothing that a person made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.files.own_files import (
    has_keys,
    refuse_labels_of_people,
    refuse_to_replace_unless,
)
from schemas.files.sidecar import read_sidecar_values


def refuse_labels(output: Path) -> None:
    """Raise ConfigError where `output` is another kind of file, or holds labels of people from
    elsewhere."""
    refuse_to_replace_unless(output, _holds_annotations, by="maskdpo annotate")
    refuse_labels_of_people(output, _takes_labels_over, by="maskdpo annotate")


def check_paths(responses: Path, documents: Path | None, *, output: Path, store: Path) -> None:
    """Raise ConfigError where the output or the store would overwrite an input."""
    inputs = {item.resolve() for item in (responses, documents) if item}
    if output.resolve() in inputs:
        raise ConfigError(f"{output} is an input and would be overwritten; name another output")
    if store.resolve() in {*inputs, output.resolve()}:
        raise ConfigError(f"store {store} is also an input or the output; name another store")


def _holds_annotations(path: Path) -> bool:
    return bool(read_sidecar_values(path)) or has_keys("id", "sentences")(path)


def _takes_labels_over(values: Mapping[str, Any]) -> bool:
    """Whether a sidecar is that of an annotate run whose verdicts may be those of people."""
    config = values.get("config")
    return isinstance(config, dict) and config.get("judge") in ("replay", "cascade")
