"""`export` of a sheet: reads annotations, writes a table for people to fill in.

The rule: what people filled in is never overwritten (`guard.py`). The annotations are read twice,
so that memory grows with the number of sentences and not with their texts; Parquet and the parts of
a folder are first copied to one file of JSON Lines, since the second reading seeks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from pydantic import ValidationError

from formats.reviews.log import read_reviews
from formats.reviews.standing import standing
from formats.sheets.cells import split_cell
from formats.sheets.columns import (
    LONG_COLUMNS,
    columns_of,
    last_question,
    sheet_rows,
)
from formats.sheets.evidence import Search, show_documents
from formats.sheets.guard import check_output, import_command
from formats.sheets.labels import Language, is_chinese
from formats.sheets.select import Answer, Answers, Choice, Selected
from formats.sheets.write import write_csv, write_parquet_sheet, write_xlsx
from schemas.errors import Fault, InputError
from schemas.files.jsonl import read_lines, read_places, scan_rows
from schemas.files.parquet_lines import is_parquet
from schemas.files.row_folder import list_row_files
from schemas.files.sidecar import check_sidecar
from schemas.records import Annotation, Document
from schemas.reviews import Review
from schemas.stage import StageResult


@dataclass(frozen=True, kw_only=True)
class Material:
    """The documents of a sheet, by id, and the search in them; None without documents."""

    documents: Mapping[str, Document]
    search: Search


@dataclass(kw_only=True)
class _Survey:
    """The result of the first reading."""

    answers: Answers
    parts: dict[str, int]
    num_responses: int = 0
    num_chinese: int = 0
    has_wrong_words: bool = False


def run_export_sheet(
    *,
    source: Path,
    output: Path,
    format_name: str,
    choice: Choice | None = None,
    blind: bool = False,
    language: Language | None = None,
    material: Material | None = None,
    reviews: Sequence[Path] = (),
    run_options: str = "",
) -> StageResult:
    """Write the sentences of `source` as a sheet (csv, xlsx or parquet).

    blind     leave out everything from the judge
    language  of the drop-down list; None: zh where most responses are Chinese
    material  documents to show passages from
    reviews   existing files of reviews, to choose what is not reviewed
    run_options  options of the command line that name the run; for the commands that are printed

    Raises InputError where the annotations or reviews cannot be read, where nothing is left to
    show, and where `output` holds what people filled in.
    """
    chosen = choice or Choice()
    check_output(output, format_name, run_options)
    with _as_lines(source) as lines:
        survey = _survey(source, lines)
        known = [entry.review for path in reviews for entry in standing(read_reviews(path))]
        selected = survey.answers.select(chosen, known, by_seed=blind)
        if not selected:
            raise InputError.of(source, _nothing_left(chosen, survey, known))
        spoken = language or ("zh" if survey.num_chinese * 2 > survey.num_responses else "en")
        columns = columns_of(blind=blind, has_wrong_words=survey.has_wrong_words)
        parts = {name: number for name, number in survey.parts.items() if name in columns}
        rows = _rows(source, lines, selected, blind=blind, material=material)
        if format_name == "csv":
            num_rows = write_csv(output, rows, columns, parts)
        elif format_name == "xlsx":
            num_rows = write_xlsx(output, rows, columns, parts, language=spoken)
        else:
            num_rows = write_parquet_sheet(output, rows, columns)
    counts = {
        "responses": len(selected),
        "sentences": num_rows,
        "copies_left_out": survey.answers.num_copies,
    }
    return StageResult(
        output=output,
        num_rows=len(selected),
        counts=counts,
        notes=_notes(
            chosen, survey, import_command(output, run_options), blind=blind, material=material
        ),
    )


@contextmanager
def _as_lines(source: Path) -> Iterator[Path]:
    """The annotations as one file of JSON Lines: `source` itself, or a copy that is removed."""
    files = list_row_files(source)
    for path in files:
        check_sidecar(path, Annotation.__name__)
    if files == [source] and not is_parquet(source):
        yield source
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "annotations.jsonl"
        with copy.open("wb") as handle:
            for path in files:
                handle.writelines(text.rstrip(b"\n") + b"\n" for _, text in read_lines(path))
        yield copy


def _survey(source: Path, lines: Path) -> _Survey:
    survey = _Survey(answers=Answers(), parts={})
    for _, offset, text in read_places(lines):
        annotation = _parse(source, text)
        survey.num_responses += 1
        survey.num_chinese += is_chinese(annotation.language, annotation.text)
        survey.has_wrong_words |= any(item.verdict.error_spans for item in annotation.sentences)
        survey.answers.add(Answer.of(annotation, offset))
        # The texts of an annotation in the form of the sheet, whichever sentences it will show.
        for row in sheet_rows(annotation) if _is_long(annotation) else ():
            for name in LONG_COLUMNS:
                number = len(split_cell(row[name]))
                if number > survey.parts.get(name, 1):
                    survey.parts[name] = number
    if not survey.num_responses:
        raise InputError.of(source, "holds no rows; it should hold one Annotation per line")
    return survey


def _parse(source: Path, text: bytes) -> Annotation:
    try:
        return Annotation.model_validate_json(text)
    except ValidationError:
        # The first fault of the files is this row's, with its line and what to do.
        rows = chain.from_iterable(scan_rows(path, Annotation) for path in list_row_files(source))
        raise InputError([item for item in rows if isinstance(item, Fault)][:1]) from None


def _is_long(annotation: Annotation) -> bool:
    """Whether a cell could be too small for one of its texts."""
    texts = (
        annotation.text,
        annotation.topic,
        annotation.language,
        last_question(annotation),
        *(item.verdict.rationale + (item.verdict.reason or "") for item in annotation.sentences),
        *(item.verdict.judge for item in annotation.sentences),
    )
    return any(len(split_cell(text)) > 1 or len(text) > 4_000 for text in texts)


def _rows(
    source: Path,
    lines: Path,
    selected: Sequence[Selected],
    *,
    blind: bool,
    material: Material | None,
) -> Iterator[dict[str, Any]]:
    with lines.open("rb") as handle:
        for item in selected:
            annotation = _read_again(source, handle, item.answer)
            shown = (
                show_documents(annotation, material.documents, material.search, blind=blind)
                if material
                else ()
            )
            wanted = set(item.sentences)
            rows = sheet_rows(annotation, blind=blind, copies=item.copies, shown=shown)
            yield from (row for number, row in enumerate(rows) if number in wanted)


def _read_again(source: Path, handle: BinaryIO, answer: Answer) -> Annotation:
    handle.seek(answer.offset)
    try:
        annotation = Annotation.model_validate_json(handle.readline())
        if annotation.id == answer.id:
            return annotation
    except ValidationError:
        pass
    raise InputError.of(source, "was changed while it was read; export again")


def _nothing_left(choice: Choice, survey: _Survey, reviews: Sequence[Review]) -> str:
    """Why no sentence is left, and what to change."""
    asked = [f"--only {label}" for label in sorted(choice.labels)]
    if choice.unreviewed:
        by = f" --who {choice.who}" if choice.who else ""
        asked.append(f"--only unreviewed{by} ({len(reviews):,} reviews are known)")
    if not asked:
        return f"its {survey.num_responses:,} responses hold no sentence"
    return f"no sentence is left under {' and '.join(asked)}; nothing is written"


def _notes(
    choice: Choice, survey: _Survey, import_it: str, *, blind: bool, material: Material | None
) -> list[str]:
    notes: list[str] = []
    if survey.answers.num_copies:
        notes.append(
            "responses left out because they repeat another answer to their question: "
            f"{survey.answers.num_copies:,}; the column 'copies' counts them, and a label counts "
            "for all of them"
        )
    if material is None:
        notes.append(
            "no documents, so the columns 'passage' and 'document' are empty; name them with: "
            "--documents FILE"
        )
    if blind and choice.labels:
        notes.append(
            "--blind with --only "
            + ", ".join(sorted(choice.labels))
            + ": the selection reveals the judge's label"
        )
    if survey.has_wrong_words:
        where = "are not shown" if blind else "are in the column 'wrong_words', to read only"
        notes.append(
            f"wrong words (error spans) {where}; a label from a sheet is for the whole sentence, "
            "and only a person who gives the judge's own label in a sheet that shows it keeps them"
        )
    notes.append(f"fill in person_label, who, when and note, then: {import_it}")
    return notes
