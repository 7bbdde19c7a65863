"""What an import of a sheet reports: one sentence for each kind of fault, with its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from formats.reviews.log import Appended
from schemas.errors import Fault
from schemas.reviews import Review
from schemas.stage import failures_path

_ROWS_NAMED = 5
_KINDS_NAMED = 8


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
    foreign     columns that no export writes, which are not read
    in_future   rows whose 'when' is more than a day after the import
    twice       rows that give a sentence another label than an earlier row of the same person
    has_check   whether the sheet has the column `check`; has_comments, has_merged: as in `Table`
    missing     columns to fill in that the sheet does not have
    """

    encoding: str = ""
    foreign: Sequence[str] = ()
    reviews: list[Review] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    edits: dict[int, str] = field(default_factory=dict)
    notes_only: list[int] = field(default_factory=list)
    labels_edited: list[int] = field(default_factory=list)
    in_future: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    has_check: bool = True
    has_comments: bool = False
    has_merged: bool = False
    missing: Sequence[str] = ()


def nothing_filled(source: Path, found: SheetRead) -> Fault:
    """The fault of a sheet in which nobody filled in a label."""
    message = "holds no row with a 'person_label'; there is nothing to import"
    for rows, what in (
        (found.notes_only, "a note and no label"),
        (found.edits, "edited text"),
        (found.labels_edited, "another 'label' than the judge's, which is not read"),
    ):
        if rows:
            message += f" ({_name_rows(list(rows))} {_have(rows)} {what})"
    return Fault(path=str(source), line=None, message=message)


def import_notes(
    found: SheetRead, appended: Appended, output: Path, next_command: str
) -> list[str]:
    """Notes that the person who imports should read."""
    notes = [_name_fault(same) for same in _by_kind(found.bad)[:_KINDS_NAMED]]
    if found.encoding:
        notes.append(f"the sheet is not in UTF-8; it was read as {found.encoding}")
    notes += [*_notes_on_rows(found, output), *_notes_on_sheet(found), *_notes_on_reviews(appended)]
    notes.append(
        "names of people stay on this machine: they are replaced by pseudonyms in data sets unless "
        "build.publish_names=true"
    )
    notes.append(f"next: {next_command}")
    return notes


def _notes_on_rows(found: SheetRead, output: Path) -> list[str]:
    notes: list[str] = []
    if found.edits:
        lost = (
            ", or the encoding of the sheet does not have its characters"
            if any("?" in text or "\ufffd" in text for text in found.edits.values())
            else ""
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
    if found.in_future:
        notes.append(
            f"{_name_rows(found.in_future)}: 'when' is in the future. The label replaces all that "
            "this person decides before that time; if it is a typing error, import the "
            "corrected sheet with a higher --round"
        )
    if found.twice:
        notes.append(
            f"{_name_rows(found.twice)}: the same person gave this sentence another label in a row "
            "above; the one with the later 'when' counts; at equal times, the later row"
        )
    return notes


def _notes_on_sheet(found: SheetRead) -> list[str]:
    notes: list[str] = []
    if found.foreign:
        notes.append(
            f"columns that do not belong to the sheet are not read: {', '.join(found.foreign)}"
        )
    if not found.has_check:
        notes.append(
            "the sheet has no column 'check', so its ids and offsets are not verified and its "
            "reviews are not marked as blind; if it was deleted, copy it back and import again"
        )
    if found.missing:
        whose = ", so every row is treated as given by --who" if "who" in found.missing else ""
        notes.append(
            f"the sheet has no column {', '.join(map(repr, found.missing))}{whose}; if it was "
            "renamed, restore its name and import again"
        )
    if found.has_merged:
        notes.append(
            "the sheet has merged cells: only the first row of a merged cell has its label. "
            "Separate them, fill in each row and import again"
        )
    if found.has_comments:
        notes.append(
            "comments on cells are not read; write what you want to keep into the column 'note'"
        )
    return notes


def _notes_on_reviews(appended: Appended) -> list[str]:
    notes: list[str] = []
    if appended.num_back:
        notes.append(
            "labels that the person had given before and then changed or withdrew: "
            f"{appended.num_back:,}; they count again. If this is an old sheet, import the newer "
            "one after it"
        )
    if appended.num_outdated:
        notes.append(
            f"reviews that do not count: {appended.num_outdated:,}. The same person decided "
            "differently in a later round or at a later time ('when'); where the new labels are "
            "right, leave 'when' empty, or import with a higher --round"
        )
    if appended.num_disagreeing:
        notes.append(
            "sentences for which another person decided differently: "
            f"{appended.num_disagreeing:,}; build lists them, and build.conflicts decides which "
            "label counts"
        )
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


def kinds_of_faults(source: Path, bad: Sequence[BadRow]) -> list[Fault]:
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
