"""The files of an experiment: NAME.json, and NAME.md and NAME.svg, which are made from it.

The rule: only what the study wrote is replaced. A table that a person edited is not that of the
JSON next to it, and is refused like any other file, before anything is computed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maskdpo.study.plots import plot_experiment
from maskdpo.study.tables import make_rate_table, make_tables
from schemas.files.own_files import has_keys, refuse_to_replace_unless
from schemas.files.writing import atomic_writer, write_json

_BY = "maskdpo study"
_is_experiment = has_keys("experiment", "comparisons")
_is_tuning = has_keys("rates", "grid")
Values = Mapping[str, Any]


def check_experiment(path: Path) -> None:
    """Raise ConfigError where the files of the experiment at `path` (.json) are someone else's."""
    refuse_to_replace_unless(path, _is_experiment, by=_BY)
    _check_table(path, make_tables)
    refuse_to_replace_unless(path.with_suffix(".svg"), lambda _: path.exists(), by=_BY)


def check_tuning(path: Path) -> None:
    """The same for the grid of learning rates."""
    refuse_to_replace_unless(path, _is_tuning, by=_BY)
    _check_table(path, make_rate_table)


def write_experiment(path: Path, result: Values) -> str:
    """Write the three files of an experiment; returns its tables."""
    write_json(path, dict(result))
    tables = make_tables(result)
    _write_text(path.with_suffix(".md"), tables)
    _write_text(path.with_suffix(".svg"), plot_experiment(result))
    return tables


def write_tuning(path: Path, found: Values) -> str:
    """Write the grid as JSON and as a table; returns the table."""
    write_json(path, dict(found))
    table = make_rate_table(found)
    _write_text(path.with_suffix(".md"), table)
    return table


def _check_table(path: Path, make: Callable[[Values], str]) -> None:
    def is_of_json(table: Path) -> bool:
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return table.read_text(encoding="utf-8") == make(values)
        except (OSError, ValueError, KeyError, TypeError, StopIteration):
            return False

    refuse_to_replace_unless(path.with_suffix(".md"), is_of_json, by=_BY)


def _write_text(path: Path, text: str) -> None:
    with atomic_writer(path) as handle:
        handle.write(text)
