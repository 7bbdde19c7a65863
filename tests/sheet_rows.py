"""What the tests of sheets share: export, fill in as a person would, import."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from build_rows import write_annotations

from formats.sheets.export import run_export_sheet
from formats.sheets.imports import run_import_sheet
from formats.sheets.read_row import Asked
from schemas.files.jsonl import read_records
from schemas.reviews import Review
from schemas.stage import StageResult

SET = "2026-02-01"


def export(
    tmp_path: Path, rows: list[dict[str, Any]], format_name: str = "csv", **options: Any
) -> Path:
    """A sheet of `rows`."""
    source = write_annotations(tmp_path / "annotations.jsonl", rows)
    path = tmp_path / f"sheet.{format_name}"
    run_export_sheet(source=source, output=path, format_name=format_name, **options)
    return path


def bring_back(
    path: Path, *, who: str = "A", when: str = SET, round_number: int = 1
) -> tuple[list[Review], StageResult]:
    """The reviews after an import of a sheet, and what the import reported."""
    output = path.with_name("reviews.jsonl")
    asked = Asked(who=who, when=when, round=round_number)
    result = run_import_sheet(source=path, output=output, asked=asked)
    return read_records(output, Review), result


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def save_csv(
    path: Path,
    rows: list[dict[str, str]],
    *,
    encoding: str = "utf-8",
    separator: str = ",",
    head: str = "",
    errors: str = "strict",
) -> None:
    """Save a table as a spreadsheet program would."""
    with path.open("w", encoding=encoding, newline="", errors=errors) as handle:
        handle.write(head)
        writer = csv.DictWriter(handle, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)


def fill_csv(path: Path, changes: dict[int, dict[str, str]], **saving: Any) -> None:
    """Fill in rows, by their number from 0."""
    rows = read_csv(path)
    for index, change in changes.items():
        rows[index].update(change)
    save_csv(path, rows, **saving)
