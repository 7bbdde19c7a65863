"""A sheet as it is read: its header, and rows of cells as the spreadsheet program saved them.

The rule: cells are returned unchanged. Only in columns that export wrote is the apostrophe of a CSV
cell removed; what a person typed keeps every character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path

from formats.sheets.cells import restore
from formats.sheets.columns import (
    COLUMNS,
    LONG_COLUMNS,
    NEEDED,
    PERSON_COLUMNS,
)
from schemas.errors import InputError

_PART = re.compile(r"(.+) \((\d+)\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row; `number` is what a spreadsheet program shows next to it: 2 below the header."""

    number: int
    cells: Mapping[str, object]
    is_csv: bool = False

    def raw(self, name: str) -> object:
        """The first cell of a column, of whatever type it was saved as."""
        return self.cells.get(name)

    def written(self, name: str) -> str:
        """The text of a column that export wrote, its parts joined."""
        with_apostrophes, without = self.forms(name)
        return without if self.is_csv else with_apostrophes

    def forms(self, name: str) -> tuple[str, str]:
        """That text as in the cells, and without the apostrophes that a CSV may have."""
        parts, number = [], 1
        while (part := part_name(name, number)) in self.cells and (
            number == 1 or name in LONG_COLUMNS
        ):
            parts.append(as_text(self.cells[part]))
            number += 1
        return "".join(parts), "".join(map(restore, parts))

    def typed(self, name: str) -> str:
        """The text of a person's cell, without outer white space."""
        return as_text(self.cells.get(name)).strip()

    @property
    def is_empty(self) -> bool:
        """Whether all cells are empty."""
        return not any(as_text(value).strip() for value in self.cells.values())


@dataclass(frozen=True, kw_only=True)
class Table:
    """A sheet that was opened.

    names     the columns; those that export writes have their standard names, whatever their case
    encoding  of a CSV that is not UTF-8; else empty
    other_sheets  names of sheets in the workbook that no export wrote
    has_comments  whether people commented on cells, which is not read
    has_merged    whether cells are merged: only the first of them has what they show
    """

    kind: str
    names: Sequence[str]
    rows: Iterator[Row]
    encoding: str = ""
    other_sheets: Sequence[str] = ()
    has_comments: bool = False
    has_merged: bool = False

    @property
    def foreign(self) -> list[str]:
        """Columns that no exported sheet has."""
        return [name for name in self.names if base_name(name) not in COLUMNS]


def part_name(name: str, number: int) -> str:
    """The column of a part of a long text: `answer`, `answer (2)`, ..."""
    return name if number == 1 else f"{name} ({number})"


def base_name(name: str) -> str:
    """The column that `name` is a part of: `answer (2)` -> `answer`.

    Only for columns that export splits: a `person_label (2)` is a column that somebody added.
    """
    match = _PART.fullmatch(name)
    return match[1] if match and match[1] in LONG_COLUMNS else name


def clean_head(path: Path, head: Sequence[object]) -> list[str]:
    """The names of the columns; a column of the sheet that occurs twice is refused.

    A column without a name is called `column 7`: nothing is read from it, but it may not be empty.
    """
    ours = {name.casefold(): name for name in COLUMNS}
    names: list[str] = []
    for number, value in enumerate(head, start=1):
        text = as_text(value).strip("\ufeff\"' \t\r\n")
        match = _PART.fullmatch(text)
        base, rest = (match[1], f" ({match[2]})") if match else (text, "")
        known = ours.get(base.strip().casefold())
        name = known + rest if known else text or f"column {number}"
        if known and name in names:
            message = f"has two columns {name!r}; remove one of them and import again"
            raise InputError.of(path, message)
        names.append(name)
    return names


def is_unnamed(name: str) -> bool:
    """Whether a column has no name in the file, so that it is named by its position."""
    return name.startswith("column ")


def check_columns(path: Path, names: Sequence[str]) -> None:
    """Raise InputError where a column is missing that the import needs."""
    missing = [name for name in NEEDED if name not in names]
    if not missing:
        return
    others = [name for name in names if base_name(name) not in COLUMNS]
    if not names:
        message = "is empty; it should be a sheet that maskdpo export wrote and people filled in"
        raise InputError.of(path, message)
    if len(missing) == len(NEEDED):
        raise InputError.of(
            path,
            "its first row is not the header of a sheet (it has "
            f"{', '.join(map(repr, names[:3]))}); remove rows above the header, or restore the "
            f"names of the columns that maskdpo export wrote: {', '.join(COLUMNS)}",
        )
    named = ", ".join(repr(name) for name in missing)
    hint = f" (others: {', '.join(map(repr, others[:5]))})" if others else ""
    raise InputError.of(
        path,
        f"has no column {named}{hint}; restore the name that maskdpo export wrote. A sheet has "
        f"{', '.join(COLUMNS)}",
    )


def as_text(value: object) -> str:
    """A cell's value as text: 12.0 is 12, a date is ISO 8601, a logical value is TRUE or FALSE."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time.min:
        value = value.date()
    if isinstance(value, date):
        return value.isoformat()
    text = getattr(value, "text", value)  # a formula of several cells
    return str(text)


def is_untouched(row: Row) -> bool:
    """Whether the cells to be filled in are all empty."""
    return not any(row.typed(name) for name in PERSON_COLUMNS)
