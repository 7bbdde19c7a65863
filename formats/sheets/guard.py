"""What stops an export: a sheet in which somebody has written.

The rule: only a sheet that `maskdpo export` wrote and in which nobody has written anything is
replaced.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from formats.sheets.check import read_check
from formats.sheets.columns import NEEDED
from formats.sheets.open import open_sheet
from formats.sheets.read_row import find_edit, is_label_edited
from formats.sheets.table import (
    Row,
    Table,
    as_text,
    is_unnamed,
    is_untouched,
)
from schemas.errors import ConfigError, InputError

_OTHER = "name another file with: --output FILE"
_FORMAT_OF_SUFFIX = {".csv": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}


def import_command(path: Path, run_options: str = "") -> str:
    """The command that reads a sheet back; `run_options` names the run, with a space in front."""
    how = " --format parquet" if path.suffix.lower() not in (".csv", ".xlsx") else ""
    return f"maskdpo import{how} {shlex.quote(str(path))} --who NAME{run_options}"


def check_output(output: Path, format_name: str, run_options: str = "") -> None:
    """Raise ConfigError or InputError where `output` must not be written."""
    named = _FORMAT_OF_SUFFIX.get(output.suffix.lower(), format_name)
    if named != format_name:
        raise ConfigError(
            f"--output {output} ends in {output.suffix}, but --format is {format_name}; give "
            f"--format {named}, or a name that ends in .{format_name}"
        )
    if output.is_dir():
        raise ConfigError(f"output {output} is a folder; give the name of a file")
    if not output.exists() or not output.stat().st_size:
        return
    try:
        table = open_sheet(output)
        strange = [name for name in NEEDED if name not in table.names]
        labels, touched, columns = (0, 0, []) if strange else _look(table)
    except InputError as error:
        reason = str(error.faults[0].message).split(";")[0]
        message = f"exists and is not a readable sheet ({reason}), so it is not overwritten"
        raise InputError.of(output, f"{message}; {_OTHER}") from None
    if strange:
        message = f"exists and is not a sheet from maskdpo export (it has no column {strange[0]!r})"
        raise InputError.of(output, f"{message}, so it is not overwritten; {_OTHER}")
    if touched:
        message = (
            f"holds {labels:,} labels of people (rows in which people wrote: {touched:,}); it is "
            f"not overwritten. Import it with: {import_command(output, run_options)}, or "
            f"{_OTHER}"
        )
        raise InputError.of(output, message)
    columns += [f"sheet {name!r}" for name in table.other_sheets]
    columns += ["comments on cells"] if table.has_comments else []
    if columns:
        message = (
            f"has content that no export wrote ({', '.join(columns[:5])}), so it is not overwritten"
        )
        raise InputError.of(output, f"{message}; {_OTHER}")


def _look(table: Table) -> tuple[int, int, list[str]]:
    """The number of labels, of rows in which somebody wrote, and the non-empty columns that others
    added."""
    labels = touched = 0
    foreign = dict.fromkeys(table.foreign, False)
    for row in table.rows:
        labels += bool(row.typed("person_label"))
        touched += not is_untouched(row) or _is_edited(row)
        for name, value in row.cells.items():
            if (name in foreign or is_unnamed(name)) and as_text(value).strip():
                foreign[name] = True
    named = [name for name, is_filled in foreign.items() if is_filled or not is_unnamed(name)]
    return labels, touched, named


def _is_edited(row: Row) -> bool:
    check = read_check(as_text(row.raw("check")))
    if check is None:
        return False
    return find_edit(row, check) is not None or is_label_edited(row, check)
