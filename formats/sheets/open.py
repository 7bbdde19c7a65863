"""Open a sheet of any kind.

The rule: the first bytes of a file decide its format, not its name.
"""

from __future__ import annotations

from pathlib import Path

from formats.sheets.read_csv import open_csv
from formats.sheets.read_parquet import open_parquet
from formats.sheets.table import Table
from schemas.errors import InputError

_OLE_START = b"\xd0\xcf\x11\xe0"  # .xls, and .xlsx with a password
_UNREADABLE_SUFFIXES = (".xls", ".xlsb", ".ods", ".numbers")


def sheet_kind(path: Path) -> str:
    """csv, xlsx or parquet, by how the file begins; raises InputError for any other file."""
    try:
        with path.open("rb") as handle:
            head = handle.read(4)
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    if head == _OLE_START or path.suffix.lower() in _UNREADABLE_SUFFIXES:
        message = (
            "is a spreadsheet of another format, or has a password; save it as .xlsx without a "
            "password, or as 'CSV UTF-8', and import that"
        )
        raise InputError.of(path, message)
    if head == b"PAR1":
        return "parquet"
    return "xlsx" if head == b"PK\x03\x04" else "csv"


def open_sheet(path: Path) -> Table:
    """Open a sheet, whatever its name; raises InputError for a file that is not a sheet."""
    kind = sheet_kind(path)
    if kind == "csv":
        return open_csv(path)
    if kind == "parquet":
        return open_parquet(path)
    from formats.sheets.read_xlsx import open_xlsx

    return open_xlsx(path)
