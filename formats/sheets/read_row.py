"""From a row of a sheet to a review: which sentence it is about, who decided what and when.

The rule: a row whose place does not fit its `check` cell is refused, and its place is never
guessed. Rows of sheets without `check` are read unverified, and `build` refuses those that fit no
response.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time

from formats.forgotten import same_name
from formats.sheets.check import Check, Place, read_check
from formats.sheets.labels import allowed_words, read_label
from formats.sheets.table import Row, as_text
from formats.sheets.times import read_when
from schemas.labels import Label
from schemas.reviews import Review, make_review
from schemas.validation import show_value

_WHOLE = re.compile(r"'?\s*([0-9]{1,15})(?:[.,]0+)?\s*")
_HEX_DIGITS = frozenset("0123456789abcdef")
_DATE_LIKE = re.compile(
    r"\d{1,4}[./-]\d{1,2}([./-]\d{1,4})?( \d{1,2}:\d\d(:\d\d)?)?|\d{1,2}:\d\d(:\d\d)?|"
    r"\d{0,2}[-. ]*[^\W\d_]{3,9}[-. ]+\d{1,4}|\d{1,2}[-. ]+[^\W\d_]{3,9}|\d+月\d+日"
)
_NUMBER_LIKE = re.compile(r"[+-]?[0-9.,]+(E[+-]?[0-9]+)?%?", re.I)
_HOW_TO_FIX = (
    "copy 'response_id', 'start', 'end', 'text_sha256' and 'check' of this row from the sheet that "
    "was exported, or export again as .xlsx and fill the row in there"
)


class RowError(ValueError):
    """Why a row is refused; `kind` is the same for rows with the same kind of fault."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Defaults of the import, for rows without these cells: who decided, when, and in which
    round."""

    who: str = ""
    when: str = ""
    round: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRead:
    """What a row holds.

    review        None where nobody filled in a label
    edited        the sentence as it is now, where its words were changed
    label_edited  whether the judge's label was changed, which is not read
    is_note_only  whether there is a note without a label
    """

    review: Review | None = None
    edited: str | None = None
    label_edited: bool = False
    is_note_only: bool = False


def read_row(row: Row, asked: Asked, *, has_check: bool) -> RowRead:
    """Read one row; raises RowError for a row that was filled in and cannot be used."""
    check = read_check(as_text(row.raw("check"))) if has_check else None
    word = row.typed("person_label")
    edited = find_edit(row, check)
    label_edited = is_label_edited(row, check)
    if not word:
        is_note_only = bool(row.typed("note"))
        return RowRead(edited=edited, label_edited=label_edited, is_note_only=is_note_only)
    label = _read_label(word)
    who, when = _who(row, asked), _when(row, asked)
    if has_check and check is None:
        shown = show_value(as_text(row.raw("check")))
        raise RowError(
            "check", f"'check' is {shown}, which is not what was exported; {_HOW_TO_FIX}"
        )
    place = _place(row, check)
    is_blind = check is not None and check.blind
    review = make_review(
        response_id=place[0],
        text_sha256=place[1],
        start=place[2],
        end=place[3],
        action="agree" if _agrees(row, check, label) else "label",
        spans=[{"start": place[2], "end": place[3], "label": label}],
        blind=is_blind,
        round=asked.round,
        who=who,
        when=when,
        note=row.typed("note"),
    )
    return RowRead(review=review, edited=edited, label_edited=label_edited)


def find_place(row: Row, check: Check) -> Place | None:
    """The id, digest and offsets of a row as they were exported; None where none fit `check`."""
    digest = _digest(row)
    try:
        start, end = _number(row, "start"), _number(row, "end")
    except RowError:
        return None
    for name in _ids(row):
        if check.fits_place((name, digest, start, end)):
            return (name, digest, start, end)
    return None


def _ids(row: Row) -> Iterator[str]:
    """What the id may have been before a spreadsheet program saved it."""
    cell, without = row.forms("response_id")
    seen: set[str] = set()
    for name in (without, cell, f"'{cell}"):
        for form in (
            name,
            name.strip(),
            name.replace("\r\n", "\n"),
            name.replace("\r\n", "\n").replace("\n", "\r\n"),
            name.removesuffix(".0"),
            unicodedata.normalize("NFC", name),
            unicodedata.normalize("NFD", name),
        ):
            if form not in seen:
                seen.add(form)
                yield form


def _place(row: Row, check: Check | None) -> Place:
    """Where the row belongs; raises RowError where that is not certain."""
    digest = _digest(row)
    start, end = _number(row, "start"), _number(row, "end")
    if not 0 <= start < end:
        message = f"[{start}, {end}) is not a sentence; 0 <= start < end is needed"
        raise RowError("offsets", message)
    if len(digest) != 64 or set(digest) - _HEX_DIGITS:
        message = f"'text_sha256' is {show_value(digest)}, must be 64 hex digits"
        raise RowError("text_sha256", message)
    if not as_text(row.raw("response_id")).strip():
        raise RowError("empty_id", "'response_id' is empty")
    if check is None:
        return (row.written("response_id").strip(), digest, start, end)
    found = find_place(row, check)
    if found is None:
        kind, what = _explain(row)
        raise RowError(f"place:{kind}", f"{what}; {_HOW_TO_FIX}")
    return found


def _explain(row: Row) -> tuple[str, str]:
    """What is probably wrong with a place that does not fit its `check` cell."""
    value = row.raw("response_id")
    text = as_text(value).strip()
    made = "that a spreadsheet program has made of the id"
    if isinstance(value, date | time):
        return "date", f"'response_id' is the date {text!r} {made}"
    if isinstance(value, int | float):
        return "number", f"'response_id' is the number {text} {made}"
    if "?" in text or "\ufffd" in text:
        return (
            "characters",
            f"'response_id' is {show_value(text)}: the encoding that the sheet was saved in does "
            "not have its characters; save it as .xlsx or as 'CSV UTF-8'",
        )
    if _DATE_LIKE.fullmatch(text):
        return "date", f"'response_id' is {show_value(text)}, which looks like a date {made}"
    if _NUMBER_LIKE.fullmatch(text):
        return "number", f"'response_id' is {show_value(text)}, which looks like a number {made}"
    return (
        "changed",
        f"'response_id' ({show_value(text)}), 'start', 'end' or 'text_sha256' is not what was "
        "exported with this 'check'",
    )


def _read_label(word: str) -> Label:
    label = read_label(word)
    if label is None:
        shown = show_value(word)
        message = f"'person_label' is {shown}, must be one of {allowed_words()}"
        raise RowError(f"label:{shown}", message)
    return label


def _who(row: Row, asked: Asked) -> str:
    who = same_name(row.typed("who")) or same_name(asked.who)
    if not who:
        gone = "" if "who" in row.cells else " (the sheet has no column 'who')"
        message = f"nobody is named in 'who'{gone}; fill it in, or give --who NAME"
        raise RowError("who", message)
    return who


def _when(row: Row, asked: Asked) -> str:
    value = row.raw("when")
    if isinstance(value, str) or value is None:
        value = row.typed("when") or asked.when
    when = read_when(value)
    if when is None:
        shown = show_value(as_text(value))
        message = (
            f"'when' is {shown}, but it must look like 2026-01-31T12:00Z, 2026-01-31, 2026/1/31 or "
            "31.1.2026"
        )
        raise RowError("when", message)
    return when


def _agrees(row: Row, check: Check | None, label: Label) -> bool:
    """Whether the person saw the judge's label and gave the same one."""
    if check is not None:
        return not check.blind and check.fits_label(label.value)
    return read_label(row.written("label")) is label


def find_edit(row: Row, check: Check | None) -> str | None:
    """The sentence as it is now, where its words were changed; None where they were not."""
    if check is None or "text" not in row.cells:
        return None
    is_same = any(check.fits_text(text) for text in row.forms("text"))
    return None if is_same else row.written("text")


def is_label_edited(row: Row, check: Check | None) -> bool:
    """Whether the judge's label is no longer the one that was written."""
    if check is None or check.blind or "label" not in row.cells:
        return False
    label = row.written("label").strip()
    return not check.fits_label(label) and not check.fits_label(label.lower())


def _digest(row: Row) -> str:
    return row.written("text_sha256").strip().lower().removeprefix("'")


def _number(row: Row, name: str) -> int:
    """A whole number, also where a spreadsheet program made `12.0` of it."""
    text = as_text(row.raw(name))
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise RowError(name, f"{name!r} is {show_value(text)}, must be a whole number")
    return int(match[1])
