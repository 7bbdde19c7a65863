"""`import` of a sheet: what people filled in is appended to the reviews of a run.

The rule: nothing that a person wrote is skipped silently. A row that cannot be used is a
failed row with its number; an edited sentence and a note without a label are reported.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from formats.forgotten import Forgotten
from formats.reviews.log import append_reviews, parse_time, time_of
from formats.sheets.columns import PERSON_COLUMNS
from formats.sheets.import_report import (
    BadRow,
    SheetRead,
    import_notes,
    kinds_of_faults,
    nothing_filled,
)
from formats.sheets.open import open_sheet
from formats.sheets.read_row import Asked, RowError, read_row
from formats.sheets.table import Table, check_columns, is_unnamed
from schemas.errors import Fault, InputError
from schemas.files.jsonl import scan_rows
from schemas.files.sidecar import make_sidecar, sidecar_path, write_sidecar
from schemas.records import Failure
from schemas.reviews import Review
from schemas.stage import StageResult, failures_path, write_failures

EDITED = "edited_text"
BAD_ROW = "bad_row"


def read_sheet(path: Path, asked: Asked, forgotten: Forgotten | None = None) -> SheetRead:
    """Read a filled sheet of any kind; raises InputError for a file that is not a sheet.

    forgotten   people whose rows, and responses about which rows, are not imported
    """
    table = open_sheet(path)
    check_columns(path, table.names)
    named = [name for name in table.foreign if not is_unnamed(name)]
    found = SheetRead(
        encoding=table.encoding,
        foreign=named,
        has_check="check" in table.names,
        has_comments=table.has_comments,
        has_merged=table.has_merged,
        missing=[name for name in PERSON_COLUMNS if name not in table.names],
    )
    _read_rows(table, asked, found, forgotten or Forgotten())
    return found


def _read_rows(table: Table, asked: Asked, found: SheetRead, forgotten: Forgotten) -> None:
    label_of: dict[tuple[object, ...], object] = {}
    for row in table.rows:
        if row.is_empty:
            continue
        try:
            read = read_row(row, asked, has_check=found.has_check)
            _refuse_forgotten(read.review, forgotten)
        except RowError as error:
            found.bad.append(BadRow(number=row.number, kind=error.kind, message=str(error)))
            continue
        if read.edited is not None:
            found.edits[row.number] = read.edited
        if read.label_edited:
            found.labels_edited.append(row.number)
        if read.is_note_only:
            found.notes_only.append(row.number)
        if read.review is not None:
            review = read.review
            found.reviews.append(review)
            if _is_in_future(review, asked):
                found.in_future.append(row.number)
            key = (review.response_id, review.start, review.end, review.who)
            if label_of.setdefault(key, review.spans[0].label) != review.spans[0].label:
                found.twice.append(row.number)
                label_of[key] = review.spans[0].label


def _is_in_future(review: Review, asked: Asked) -> bool:
    """Whether a review's time is further in the future than time zones explain."""
    now = parse_time(asked.when)
    return now is not None and time_of(review) > now + timedelta(days=1)


def _refuse_forgotten(review: Review | None, forgotten: Forgotten) -> None:
    """Raise RowError for a person or response that was forgotten."""
    why = "" if review is None else forgotten.why_refused(review.who, review.response_id)
    if why:
        raise RowError(f"forgotten:{why}", why)


def run_import_sheet(
    *,
    source: Path,
    output: Path,
    asked: Asked,
    next_command: str = "maskdpo build",
) -> StageResult:
    """Append what people filled in to the reviews `output`; bad rows become Failures.

    Raises InputError when nothing was filled in, and with every kind of fault when no row is valid.
    """
    found = read_sheet(source, asked, Forgotten.read_next_to(output))
    if not found.reviews:
        raise InputError(kinds_of_faults(source, found.bad) or [nothing_filled(source, found)])
    appended = append_reviews(output, found.reviews)
    failures = [_failure(source, bad.number, BAD_ROW, bad.message) for bad in found.bad]
    edits = [
        _failure(source, number, EDITED, f"the sentence is now: {text}")
        for number, text in found.edits.items()
    ]
    _write_failures(output, source, [*failures, *edits])
    counts = {
        "reviews": len(found.reviews),
        "new": appended.num_new,
        "known": appended.num_known,
        "changed": appended.num_changed,
        "failed": len(failures),
        "responses": len({review.response_id for review in found.reviews}),
        "people": len({review.who for review in found.reviews}),
    }
    _describe(output, source, counts)
    return StageResult(
        output=output,
        num_rows=len(found.reviews) + len(failures),
        failures=failures,
        counts=counts,
        notes=import_notes(found, appended, output, next_command),
    )


def _failure(source: Path, number: int, reason: str, detail: str) -> Failure:
    name = f"{source.name}:{number}"[-512:]
    return Failure(id=name, stage="import", reason=reason, detail=detail)


def _write_failures(output: Path, source: Path, failures: Sequence[Failure]) -> None:
    """Write failed rows and edits; those of other sheets, and earlier edits, are kept."""
    path = failures_path(output)
    kept: list[Failure] = []
    if path.exists():
        prefix = f"{source.name}:"
        for item in scan_rows(path, Failure):
            if isinstance(item, Fault):
                continue
            if item.record.reason == EDITED or not item.record.id.startswith(prefix):
                kept.append(item.record)
    known = {failure.model_dump_json() for failure in kept}
    new = [failure for failure in failures if failure.model_dump_json() not in known]
    write_failures(output, [*kept, *new])


def _describe(output: Path, source: Path, counts: dict[str, int]) -> None:
    """Write the sidecar: the sheets that were imported so far, and the counts of the last one."""
    sidecar = make_sidecar("review", config={"format": "sheet"}, inputs=[source], counts=counts)
    try:
        before = json.loads(sidecar_path(output).read_text(encoding="utf-8"))["inputs"]
    except (OSError, ValueError, KeyError, TypeError):
        before = {}
    if isinstance(before, dict):
        sidecar = sidecar.model_copy(update={"inputs": {**before, **sidecar.inputs}})
    write_sidecar(output, sidecar)
