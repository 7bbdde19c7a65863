"""Read a sheet in CSV, in the encoding and with the delimiter that a spreadsheet program chose.

The rule: the structure is read from the bytes. None of the possible encodings uses the bytes of a
comma, a semicolon, a tab, a quote or a line end inside a character, so cells are found before the
encoding is known.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from formats.sheets.encodings import (
    decode_cell,
    encoding_by_content,
    encoding_by_rule,
)
from formats.sheets.table import Row, Table, clean_head
from schemas.errors import InputError

_MAX_CELL = 1 << 30
_DELIMITERS = ",;\t"
_SEPARATOR_LINE = re.compile(r'\A"?sep=([^\r\n])"?[,;\t]*(?:\r\n|\r|\n)', re.I)
_LINE = re.compile(r"[^\r\n]*")
_BYTES = "latin-1"  # one character per byte
_AS_UTF8 = ("utf-8", "utf-8-sig")


def open_csv(path: Path) -> Table:
    """Open a CSV; raises InputError for a file that is not CSV."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    encoding = encoding_by_rule(data)
    try:
        text = data.decode(encoding or _BYTES)
    except UnicodeDecodeError as error:
        raise _no_csv(path, str(error)) from None
    text = text.removeprefix("\ufeff")
    try:
        delimiter, text = _find_delimiter(text)
        records = _records(text, delimiter)
        head = next(records, [])
        names = clean_head(path, head)
        if encoding is None:
            as_bytes = [
                {name: cell.encode(_BYTES) for name, cell in zip(names, record, strict=False)}
                for record in _records(text, delimiter)
            ][1:]
            encoding = encoding_by_content(as_bytes)
            names = clean_head(path, [_decode(cell, encoding) for cell in head])
            records = ([_decode(cell, encoding) for cell in record] for record in records)
    except csv.Error as error:
        raise _no_csv(path, str(error)) from None
    return Table(
        kind="csv",
        names=names,
        rows=_rows(path, names, records),
        encoding="" if encoding in _AS_UTF8 else encoding,
    )


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_CELL)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _rows(path: Path, names: list[str], records: Iterator[list[str]]) -> Iterator[Row]:
    number = 1  # the head
    try:
        for number, record in enumerate(records, start=2):
            cells: dict[str, object] = dict(zip(names, record, strict=False))
            for place, cell in enumerate(record[len(names) :], start=len(names) + 1):
                cells[f"column {place}"] = cell
            yield Row(number=number, cells=cells, is_csv=True)
    except csv.Error as error:
        raise _no_csv(path, f"row {number + 1}: {error}") from None


def _find_delimiter(text: str) -> tuple[str, str]:
    """The delimiter, and the text after a line `sep=X`: the one in that line, else the most
    common."""
    given = ""
    match = _SEPARATOR_LINE.match(text)
    if match:
        given, text = match[1], text[match.end() :]
    head = _LINE.match(text)[0]  # type: ignore[index]
    if given and given in head:
        return given, text
    return max(_DELIMITERS, key=head.count), text


def _decode(cell: str, encoding: str) -> str:
    return decode_cell(cell.encode(_BYTES), encoding)


def _no_csv(path: Path, reason: str) -> InputError:
    return InputError.of(
        path,
        f"is not readable CSV ({reason}); save it again in the spreadsheet program as .xlsx "
        "or as 'CSV UTF-8 (comma delimited)'",
    )
