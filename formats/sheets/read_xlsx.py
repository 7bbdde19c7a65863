"""Read a sheet in .xlsx: a cell is text, a number, a date or a logical value.

The rule: a text is decoded once (`unescape`). openpyxl decodes the strings that cells share so that
`_x0041_` and `A` become the same, so they are read here.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from formats.sheets.cells import unescape
from formats.sheets.columns import PERSON_COLUMNS
from formats.sheets.table import Row, Table, as_text, clean_head
from formats.sheets.write import LABELS, SENTENCES
from schemas.errors import InputError

_STRING = f"{{{SHEET_MAIN_NS}}}si"
_MAX_COLUMNS = 512
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell ")
_BLOCK, _OVERLAP = 1 << 20, 64
# A file that unpacks to more than this, and to this many times its size, was made to fill memory.
_MAX_UNPACKED_BYTES = 1 << 30
_MAX_RATIO = 200


class _Reader(ExcelReader):
    """openpyxl's reader, with the shared strings as they are in the file."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)  # type: ignore[no-untyped-call]
        if part is not None:
            with self.archive.open(part.PartName[1:]) as source:
                self.shared_strings = _shared_strings(source)


def open_xlsx(path: Path) -> Table:
    """Open the sheet with a column `person_label`, else the first; raises InputError when there is
    none.

    Of several such sheets it is the one in which people wrote; where they wrote in more than one,
    the file is refused, since the others would be skipped.
    """
    _refuse_bomb(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about features that a sheet does not need
        try:
            reader = _Reader(path, read_only=True)
            reader.read()
            found = {sheet.title: _values(sheet) for sheet in reader.wb.worksheets}
            heads = {title: next(rows, []) for title, rows in found.items()}
            ours = [title for title, head in heads.items() if "person_label" in _plain(head)]
            filled = (
                [sheet.title for sheet in reader.wb.worksheets if _is_filled(sheet, ours)]
                if len(ours) > 1
                else []
            )
            has_merged = _has_merged(reader)
            has_comments = any("comments" in name.lower() for name in reader.archive.namelist())
        except Exception as error:  # openpyxl raises whatever its parsers raise
            raise _unreadable(path, error) from None
    if not heads:
        raise InputError.of(path, "holds no sheet of cells")
    if len(filled) > 1:
        raise InputError.of(
            path,
            f"has {len(filled)} sheets in which people wrote ({', '.join(map(repr, filled))}), "
            "but only one is read; save each in a separate file and import them one by one",
        )
    title = next(iter((*filled, *ours, *heads)))
    head = heads[title]
    names = clean_head(path, head)
    others = [name for name in heads if name not in (title, SENTENCES, LABELS)]
    return Table(
        kind="xlsx",
        names=names,
        rows=_rows(path, names, found[title]),
        other_sheets=others,
        has_comments=has_comments,
        has_merged=has_merged,
    )


def _has_merged(reader: ExcelReader) -> bool:
    """Whether a sheet has merged cells, which openpyxl does not report for a file that it
    streams."""
    for name in reader.archive.namelist():
        if name.startswith("xl/worksheets/") and name.endswith(".xml"):
            before = b""
            with reader.archive.open(name) as source:
                while block := source.read(_BLOCK):
                    if _MERGED.search(before + block):
                        return True
                    before = block[-_OVERLAP:]
    return False


def _plain(head: Sequence[object]) -> list[str]:
    return [as_text(value).strip().casefold() for value in head]


def _is_filled(sheet: Any, ours: Sequence[str]) -> bool:
    """Whether people wrote into an exported sheet."""
    if sheet.title not in ours:
        return False
    rows = _values(sheet)
    places = [place for place, name in enumerate(_plain(next(rows))) if name in PERSON_COLUMNS]
    return any(
        as_text(cells[place]).strip() for cells in rows for place in places if place < len(cells)
    )


def _refuse_bomb(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None
    if unpacked > max(_MAX_UNPACKED_BYTES, _MAX_RATIO * path.stat().st_size):
        message = f"unpacks to {unpacked:,} bytes, more than {_MAX_RATIO} times its size"
        raise InputError.of(path, f"{message}; no spreadsheet program saves such a file")


def _rows(path: Path, names: list[str], values: Iterator[list[Any]]) -> Iterator[Row]:
    try:
        for number, cells in enumerate(values, start=2):
            known = {
                name: unescape(cell) if isinstance(cell, str) else cell
                for name, cell in zip(names, cells, strict=False)
            }
            for place, cell in enumerate(cells[len(names) :], start=len(names) + 1):
                known[f"column {place}"] = cell
            yield Row(number=number, cells=known)
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from None


def _values(sheet: Any) -> Iterator[list[Any]]:
    """The rows of a sheet, without the empty cells at their ends."""
    sheet.reset_dimensions()  # other programs write dimensions that do not match the cells
    for values in sheet.iter_rows(values_only=True, max_col=_MAX_COLUMNS):
        cells = list(values)
        while cells and cells[-1] is None:
            cells.pop()
        yield cells


def _shared_strings(source: IO[bytes]) -> list[str]:
    strings: list[str] = []
    for _, node in iterparse(source):
        if node.tag == _STRING:
            text = Text.from_tree(node)
            strings.append(text.content if text else "")
            node.clear()
    return strings


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError.of(
        path, f"cannot be read as .xlsx ({reason}); save it again in the spreadsheet program"
    )
