"""`import` of a sheet: what people filled in is appended to the reviews of a run.

The rule: nothing that a person wrote is passed over in silence. A row that cannot be used is a
failed row with its number; an edited sentence and a note without a label are reported.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dataset_builder.formats.sheets.read_row import Asked, RowError, read_row
from dataset_builder.formats.sheets.table import Table, check_columns, open_sheet
from dataset_builder.reviews.log import Appended, append_reviews
from schemas.errors import Fault, InputError
from schemas.files import scan_rows
from schemas.records import Failure
from schemas.reviews import Review
from schemas.sidecar import make_sidecar, sidecar_path, write_sidecar
from schemas.stage import StageResult, failures_path, write_failures

_ROWS_NAMED = 5
_KINDS_NAMED = 8
EDITED = "edited_text"
BAD_ROW = "bad_row"


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """A row that was filled in and cannot be used."""

    number: int
    kind: str
    message: str


@dataclass(kw_only=True)
class SheetRead:
    """What a sheet holds.

    edits       the sentence as it is now, by row, where its words were changed
    notes_only  rows with a note and no label; labels_edited: rows whose judge's label was changed
    twice       rows that give one person's sentence another label than a row before
    """

    encoding: str = ""
    reviews: list[Review] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    edits: dict[int, str] = field(default_factory=dict)
    notes_only: list[int] = field(default_factory=list)
    labels_edited: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)


def read_sheet(path: Path, asked: Asked) -> SheetRead:
    """Read a filled sheet of any kind; raises InputError for a file that is none."""
    table = open_sheet(path)
    check_columns(path, table.names)
    found = SheetRead(encoding=table.encoding)
    _read_rows(table, asked, found)
    return found


def _read_rows(table: Table, asked: Asked, found: SheetRead) -> None:
    has_check = "check" in table.names
    label_of: dict[tuple[object, ...], object] = {}
    for row in table.rows:
        if row.is_empty:
            continue
        try:
            read = read_row(row, asked, has_check=has_check)
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
            key = (review.response_id, review.start, review.end, review.who)
            if label_of.setdefault(key, review.spans[0].label) != review.spans[0].label:
                found.twice.append(row.number)
                label_of[key] = review.spans[0].label


def run_import_sheet(
    *,
    source: Path,
    output: Path,
    asked: Asked,
    next_command: str = "maskdpo build",
) -> StageResult:
    """Append what people filled in to the reviews `output`; bad rows become Failures.

    Raises InputError when nothing was filled in, and with every kind of fault when no row is sound.
    """
    found = read_sheet(source, asked)
    if not found.reviews:
        raise InputError(_faults(source, found.bad) or [_nothing(source, found)])
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
        notes=_notes(found, appended, output, next_command),
    )


def _nothing(source: Path, found: SheetRead) -> Fault:
    message = "holds no row with a 'person_label'; there is nothing to import"
    for rows, what in ((found.notes_only, "a note and no label"), (found.edits, "edited text")):
        if rows:
            message += f" ({_name_rows(list(rows))} {_have(rows)} {what})"
    return Fault(path=str(source), line=None, message=message)


def _notes(found: SheetRead, appended: Appended, output: Path, next_command: str) -> list[str]:
    """Sentences the person who imports should read."""
    notes = [_name_fault(same) for same in _by_kind(found.bad)[:_KINDS_NAMED]]
    if found.encoding:
        notes.append(f"the sheet is not in UTF-8; it was read as {found.encoding}")
    if found.edits:
        lost = (
            ""
            if not found.encoding
            else (", or the encoding of the sheet does not have its characters")
        )
        notes.append(
            f"{_name_rows(list(found.edits))}: the sentence was edited{lost}. Labels are imported, "
            f"edits are not; they are in {failures_path(output)}"
        )
    if found.labels_edited:
        notes.append(
            f"{_name_rows(found.labels_edited)}: the judge's column 'label' was changed; only "
            "'person_label' is read"
        )
    if found.notes_only:
        notes.append(
            f"{_name_rows(found.notes_only)}: a note without a 'person_label' is not imported"
        )
    if found.twice:
        notes.append(
            f"{_name_rows(found.twice)}: the same person gave this sentence another label in a row "
            "above; the later row counts"
        )
    if appended.num_disagreeing:
        notes.append(
            f"on {appended.num_disagreeing:,} sentences another person decided otherwise; build "
            "lists them, and build.conflicts says what counts"
        )
    notes.append(
        "names of people stay on this machine: they are replaced by pseudonyms in data sets unless "
        "build.publish_names=true"
    )
    notes.append(f"next: {next_command}")
    return notes


def _name_rows(numbers: Sequence[int]) -> str:
    """`row 3`, or `rows 1, 2, 3, 4, 5 and 76 more`."""
    numbers = list(dict.fromkeys(numbers))
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    shown = ", ".join(map(str, numbers[:_ROWS_NAMED]))
    more = len(numbers) - _ROWS_NAMED
    return f"rows {shown}" + (f" and {more:,} more" if more > 0 else "")


def _have(rows: Sequence[int] | dict[int, str]) -> str:
    return "has" if len(rows) == 1 else "have"


def _by_kind(bad: Sequence[BadRow]) -> list[list[BadRow]]:
    kinds: defaultdict[str, list[BadRow]] = defaultdict(list)
    for item in bad:
        kinds[item.kind].append(item)
    return list(kinds.values())


def _name_fault(same: Sequence[BadRow]) -> str:
    """One sentence for all rows with one kind of fault."""
    return f"{_name_rows([item.number for item in same])} not imported: {same[0].message}"


def _faults(source: Path, bad: Sequence[BadRow]) -> list[Fault]:
    """One fault for all rows with one kind of fault, with their number."""
    faults = []
    for same in _by_kind(bad):
        first = same[0]
        fault = Fault(path=str(source), line=first.number, message=first.message)
        if len(same) > 1:
            others = _name_rows([item.number for item in same[1:]])
            more = f"{first.message} (and {len(same) - 1:,} more rows: {others.split(' ', 1)[1]})"
            fault = replace(fault, message=more)
        faults.append(fault)
    return faults


def _failure(source: Path, number: int, reason: str, detail: str) -> Failure:
    name = f"{source.name}:{number}"[-512:]
    return Failure(id=name, stage="import", reason=reason, detail=detail)


def _write_failures(output: Path, source: Path, failures: Sequence[Failure]) -> None:
    """Write failed rows and edits; those of other sheets, and earlier edits, stay."""
    path = failures_path(output)
    kept: list[Failure] = []
    if path.exists():
        prefix = f"{source.name}:"
        for item in scan_rows(path, Failure):
            if isinstance(item, Fault):
                continue
            if item.record.reason == EDITED or not item.record.id.startswith(prefix):
                kept.append(item.record)
    new = [failure for failure in failures if failure not in kept]
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
