"""Sentences as a table for people (CSV or Parquet), and what they wrote in it as corrections.

A row a sentence. Whoever checks them fills in `person_label` (and `note`), and leaves the other
columns alone; rows without a `person_label` say nothing. The rule that makes the way back safe:
only the ids, offsets and the text's SHA-256 are read back, never the text, so whatever a
spreadsheet program does to it cannot reach the data; `build` refuses a correction whose text is
another by then.

A cell of CSV that begins like a formula gets an apostrophe in front, so that no program runs what
a model wrote, and loses it again on the way in.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_builder.reviews.log import append_reviews, parse_time
from schemas.errors import Fault, InputError
from schemas.labels import Label
from schemas.records import Annotation, Failure
from schemas.reviews import Review, ReviewSpan, make_review
from schemas.sidecar import make_sidecar, write_sidecar
from schemas.stage import StageResult, write_failures
from schemas.validation import show_value
from schemas.writing import atomic_writer

TEXT_COLUMNS = ("response_id", "question_id", "topic", "language", "question")
PERSON_COLUMNS = ("person_label", "who", "when", "note")
COLUMNS = (
    *TEXT_COLUMNS,
    "sentence",
    "start",
    "end",
    "text",
    "label",
    "reason",
    "confidence",
    "source",
    "judge",
    *PERSON_COLUMNS,
    "text_sha256",
)
NEEDED = ("response_id", "start", "end", "person_label", "text_sha256")
_WHOLE = ("sentence", "start", "end")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
_MAX_CELL = 1 << 30
ROWS_PER_GROUP = 1_000


def sheet_rows(annotation: Annotation) -> Iterator[dict[str, Any]]:
    """One row a sentence, the columns those of COLUMNS; the person's are empty."""
    questions = [message.content for message in annotation.prompt if message.role == "user"]
    digest = text_sha256(annotation.text)
    for index, sentence in enumerate(annotation.sentences):
        verdict = sentence.verdict
        yield {
            "response_id": annotation.id,
            "question_id": annotation.question_id,
            "topic": annotation.topic,
            "language": annotation.language,
            "question": questions[-1] if questions else "",
            "sentence": index,
            "start": sentence.start,
            "end": sentence.end,
            "text": annotation.text[sentence.start : sentence.end],
            "label": verdict.label.value,
            "reason": verdict.reason or "",
            "confidence": verdict.confidence,
            "source": verdict.source,
            "judge": verdict.judge,
            **dict.fromkeys(PERSON_COLUMNS, ""),
            "text_sha256": digest,
        }


def text_sha256(text: str) -> str:
    """What ties a correction to the text it was made for: SHA-256 (hex) of its UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as CSV with a byte-order mark, by which Excel knows UTF-8; answers how many."""
    count = 0
    with atomic_writer(path) as handle:
        handle.write("\ufeff")
        writer = csv.DictWriter(handle, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _defuse(value) for name, value in row.items()})
            count += 1
    return count


def write_sheet_parquet(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows as Parquet, text as it is; answers how many."""
    import pyarrow as pa

    from dataset_builder.write import write_parquet

    types = {**dict.fromkeys(_WHOLE, pa.int64()), "confidence": pa.float64()}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])
    temporary = path.with_name(f".{path.name}.new")
    try:
        count = write_parquet(temporary, rows, schema)
        if count:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def read_corrections(path: Path, *, who: str = "", when: str = "") -> Iterator[Review | Fault]:
    """What people wrote in a sheet (.csv or .parquet); rows count from 1 below the head.

    who, when   for rows that do not say it themselves

    Raises InputError for a file that cannot be read or lacks a column.
    """
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    for number, row in rows:
        label = _text(row.get("person_label")).strip().lower().replace(" ", "_")
        if not label:
            continue
        try:
            yield _correction(row, label, who=who, when=when)
        except ValueError as error:
            yield Fault(path=str(path), line=number, message=str(error))


def run_import_corrections(*, source: Path, output: Path, who: str, when: str) -> StageResult:
    """Write what people filled in as corrections.jsonl, with a sidecar; bad rows become Failures.

    Raises InputError when nothing was filled in, and with every fault when no row is sound.
    """
    found: list[Review] = []
    faults: list[Fault] = []
    for item in read_corrections(source, who=who, when=when):
        if isinstance(item, Fault):
            faults.append(item)
        else:
            found.append(item)
    if not found:
        nothing = "holds no row with a 'person_label'; there is nothing to correct"
        raise InputError(_once(faults) or [Fault(path=str(source), line=None, message=nothing)])
    failures = [
        Failure(
            id=f"{source.name}:{fault.line}"[:512],
            stage="import",
            reason="bad_row",
            detail=fault.message,
        )
        for fault in faults
    ]
    counts = {
        "corrections": len(found),
        "failed": len(failures),
        "responses": len({row.response_id for row in found}),
    }
    append_reviews(output, found)
    write_failures(output, failures)
    settings = {"format": source.suffix.removeprefix(".")}
    write_sidecar(output, make_sidecar("review", config=settings, inputs=[source], counts=counts))
    return StageResult(
        output=output,
        num_rows=len(found) + len(failures),
        failures=failures,
        counts=counts,
        notes=[f"use them with: maskdpo build --reviews {output}"],
    )


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """Faults with the same message as one, with the number of its rows."""
    rows: dict[str, list[Fault]] = {}
    for fault in faults:
        rows.setdefault(fault.message, []).append(fault)
    return [
        replace(same[0], message=f"{message} (and {len(same) - 1:,} more rows)")
        if len(same) > 1
        else same[0]
        for message, same in rows.items()
    ]


def _correction(row: Mapping[str, Any], label: str, *, who: str, when: str) -> Review:
    if label not in set(Label):
        raise ValueError(
            f"'person_label' is {show_value(label)}, must be one of {', '.join(Label)}"
        )
    person, day = _text(row.get("who")) or who, _text(row.get("when")) or when
    if not person:
        raise ValueError("nobody is named in 'who'; fill it in, or give --who NAME")
    if parse_time(day) is None:
        raise ValueError(f"'when' is {show_value(day)}, but it must look like 2026-01-31T12:00Z")
    start, end = _number(row, "start"), _number(row, "end")
    if not 0 <= start < end:
        raise ValueError(f"[{start}, {end}) is no sentence; 0 <= start < end is needed")
    digest = _text(row["text_sha256"])
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError(f"'text_sha256' is {show_value(digest)}, must be 64 hex digits")
    if not _text(row["response_id"]):
        raise ValueError("'response_id' is empty")
    return make_review(
        response_id=_text(row["response_id"]),
        text_sha256=digest,
        start=start,
        end=end,
        spans=[ReviewSpan(start=start, end=end, label=Label(label))],
        who=person,
        when=day,
        note=_text(row.get("note")),
    )


def _read_csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(_MAX_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, dialect=_dialect(handle.readline()))
            handle.seek(0)
            _check_columns(path, reader.fieldnames or [])
            for number, row in enumerate(reader, start=1):
                yield number, {name: _restore(value) for name, value in row.items() if name}
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        message = (
            f"is not a CSV in UTF-8 ({error}); save it again in the spreadsheet program as "
            "'CSV UTF-8 (comma delimited)'"
        )
        raise InputError.of(path, message) from None


def _dialect(head: str) -> type[csv.Dialect]:
    """Comma, or what a spreadsheet of another country writes: semicolon or tab."""
    separator = max(",;\t", key=head.count)

    class _Separated(csv.excel):
        delimiter = separator

    return _Separated


def _read_parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (OSError, pa.ArrowException) as error:
        message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise InputError.of(path, message) from None


def _check_columns(path: Path, names: Iterable[str]) -> None:
    missing = [name for name in NEEDED if name not in set(names)]
    if missing:
        raise InputError.of(
            path,
            f"has no column {missing[0]!r}; a sheet of maskdpo export has {', '.join(COLUMNS)}",
        )


def _defuse(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _restore(value: object) -> object:
    return value[1:] if isinstance(value, str) and value.startswith("'") else value


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _number(row: Mapping[str, Any], name: str) -> int:
    """A whole number, also where a spreadsheet made `12.0` of it."""
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        raise ValueError(f"{name!r} is {show_value(row[name])}, must be a whole number") from None
    if value != int(value):
        raise ValueError(f"{name!r} is {show_value(row[name])}, must be a whole number")
    return int(value)
