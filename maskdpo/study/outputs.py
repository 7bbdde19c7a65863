"""The files of an experiment: NAME.json, and NAME.md and NAME.svg, which are made from it.

The rule: only what the study wrote is replaced. The last line of a table is a comment with the hash
of the lines before it, so a table that a person edited is known, and is refused like any other file
before anything is computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
    _check_table(path)
    refuse_to_replace_unless(path.with_suffix(".svg"), lambda _: path.exists(), by=_BY)


def check_tuning(path: Path) -> None:
    """The same for the grid of learning rates."""
    refuse_to_replace_unless(path, _is_tuning, by=_BY)
    _check_table(path)


def write_experiment(path: Path, result: Values) -> str:
    """Write the three files of an experiment; returns its tables."""
    write_json(path, dict(result))
    tables = make_tables(result)
    _write_text(path.with_suffix(".md"), sealed(tables))
    _write_text(path.with_suffix(".svg"), plot_experiment(result))
    return tables


def write_tuning(path: Path, found: Values) -> str:
    """Write the grid as JSON and as a table; returns the table."""
    write_json(path, dict(found))
    table = make_rate_table(found)
    _write_text(path.with_suffix(".md"), sealed(table))
    return table


def sealed(table: str) -> str:
    """A table as its file has it, with the comment that shows that nobody changed it."""
    return f"{table}\n<!-- {_BY} {hashlib.sha256(table.encode()).hexdigest()} -->\n"


def _check_table(path: Path) -> None:
    def is_sealed(table: Path) -> bool:
        try:
            text = table.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return False
        return text == sealed(text.rpartition("\n<!--")[0])

    refuse_to_replace_unless(path.with_suffix(".md"), is_sealed, by=_BY)


def _write_text(path: Path, text: str) -> None:
    with atomic_writer(path) as handle:
        handle.write(text)
