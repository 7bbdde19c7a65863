"""Write a sheet: CSV, .xlsx or Parquet; rows are streamed, and the file appears only when it is
complete.

The rule: a text that is longer than a cell is split over further columns, `answer (2)` and so on,
in CSV and .xlsx. Nothing is cut off.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from formats.sheets.cells import defuse, escape, split_cell
from formats.sheets.columns import WHOLE_NUMBERS
from formats.sheets.labels import LABEL_WORDS, Language
from formats.sheets.table import part_name
from schemas.files.writing import atomic_writer, follow_umask

SENTENCES, LABELS = "sentences", "labels"
_WIDTHS = {
    "question": 30,
    "answer": 60,
    "text": 50,
    "evidence": 40,
    "passage": 60,
    "document": 24,
    "note": 30,
    "person_label": 18,
    "wrong_words": 30,
    "reason": 40,
}
_WIDTH = 14
_ROW_HEIGHT_POINTS = 90
_LABEL_TITLES = {"en": ("label", "meaning"), "zh": ("标签", "含义")}


def expand_columns(columns: Sequence[str], parts: Mapping[str, int]) -> list[str]:
    """The columns, with those for further parts.

    `parts` is the largest number of parts by column.
    """
    return [
        part_name(name, number) for name in columns for number in range(1, parts.get(name, 1) + 1)
    ]


def write_csv(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    parts: Mapping[str, int],
) -> int:
    """Write rows as CSV with a byte-order mark, by which Excel detects UTF-8; returns how many."""
    count = 0
    with atomic_writer(path) as handle:
        handle.write("\ufeff")
        writer = csv.writer(handle, lineterminator="\r\n")
        writer.writerow(expand_columns(columns, parts))
        for row in rows:
            cells = _cells(row, columns, parts)
            writer.writerow([defuse(cell) if isinstance(cell, str) else cell for cell in cells])
            count += 1
    return count


def write_xlsx(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    parts: Mapping[str, int],
    *,
    language: Language,
) -> int:
    """Write rows as .xlsx with a drop-down of labels in `language`; returns how many."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet(SENTENCES)
    names = expand_columns(columns, parts)
    _lay_out(sheet, names)
    make_row = _row_maker(sheet, len(names))
    sheet.append(make_row(names, is_head=True))
    count = 0
    for row in rows:
        sheet.append(make_row(_cells(row, columns, parts)))
        count += 1
    _add_drop_down(sheet, names.index("person_label") + 1, count)
    _add_labels(book, language)
    with whole_file(path) as temporary:
        book.save(temporary)
    return count


def write_parquet_sheet(
    path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]
) -> int:
    """Write rows as Parquet, every text unchanged; returns how many."""
    import pyarrow as pa

    from formats.parquet import write_parquet

    types = {**dict.fromkeys(WHOLE_NUMBERS, pa.int64()), "confidence": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
    with whole_file(path) as temporary:
        return write_parquet(temporary, rows, schema)


class whole_file:
    """A temporary path that becomes `path` when the block ends well, for writers by name."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))  # a symbolic link is written through
        self._temporary = self._path.with_name(f".{path.name}.new")

    def __enter__(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._temporary.exists():
            follow_umask(self._temporary)
            self._temporary.replace(self._path)
        self._temporary.unlink(missing_ok=True)


def _cells(
    row: Mapping[str, Any], columns: Sequence[str], parts: Mapping[str, int]
) -> Iterator[Any]:
    """The cells of a row; a long text fills all columns for its parts."""
    for name in columns:
        value = row[name]
        if name not in parts:
            yield value
            continue
        pieces = split_cell(value)
        yield from pieces
        yield from [""] * (parts[name] - len(pieces))


def _row_maker(sheet: Any, width: int) -> Any:
    """A function that returns the styled cells of a row; the next row reuses them."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, Font

    def make(bold: bool) -> Any:
        cell = WriteOnlyCell(sheet)
        cell.number_format = "@"
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        cell.font = Font(bold=bold)
        return cell

    heads = [make(True) for _ in range(width)]
    bodies = [make(False) for _ in range(width)]

    def fill(values: Iterable[Any], *, is_head: bool = False) -> list[Any]:
        cells = heads if is_head else bodies
        for cell, value in zip(cells, values, strict=True):
            if isinstance(value, str):
                cell.value = escape(value)
                cell.data_type = "s"  # also where openpyxl sees a formula
            else:
                cell.value = value
        return cells

    return fill


def _lay_out(sheet: Any, names: Sequence[str]) -> None:
    from openpyxl.utils import get_column_letter

    for number, name in enumerate(names, start=1):
        width = _WIDTHS.get(name.split(" (")[0], _WIDTH)
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = "A2"
    sheet.sheet_format.defaultRowHeight = _ROW_HEIGHT_POINTS
    sheet.sheet_format.customHeight = True


def _add_drop_down(sheet: Any, column: int, num_rows: int) -> None:
    """The labels to choose from; other words may still be typed."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    letter = get_column_letter(column)
    choice = DataValidation(
        type="list",
        formula1=f"{LABELS}!$A$2:$A${len(LABEL_WORDS) + 1}",
        allow_blank=True,
        showErrorMessage=False,
    )
    choice.add(f"{letter}2:{letter}{max(num_rows, 1) + 1}")
    sheet.data_validations.append(choice)


def _add_labels(book: Any, language: Language) -> None:
    """The second sheet: what each label means."""
    sheet = book.create_sheet(LABELS)
    for letter, width in (("A", 22), ("B", 90)):
        sheet.column_dimensions[letter].width = width
    make_row = _row_maker(sheet, 2)
    sheet.append(make_row(_LABEL_TITLES[language], is_head=True))
    for item in LABEL_WORDS:
        sheet.append(make_row((item.name(language), item.meaning(language))))
