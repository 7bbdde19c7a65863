"""What a file, a folder or a data set on the Hub holds that can be shown, and its rows.

The rule: rows are streamed, and a row that cannot be read is a `Fault` next to the others. What a
file holds is decided by its sidecar, else by the keys of its first row that is a JSON object; what
cannot be shown is refused with one sentence that names what can, and the command that makes it.
Pairs are read as `train` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

from maskdpo.data_sets.hub import is_hub_id
from maskdpo.data_sets.opening import refuse_part_of_file
from maskdpo.data_sets.training import find_pairs
from schemas.errors import Fault, InputError
from schemas.files import columnar, tables
from schemas.files.jsonl import read_lines, scan_rows
from schemas.files.other_formats import advise_on_format
from schemas.files.parquet_lines import is_parquet
from schemas.files.row_folder import find_row_files, list_row_files
from schemas.files.sidecar import FORMAT_PREFIX, check_sidecar, read_sidecar_values
from schemas.files.writing import is_special_file
from schemas.preference_rows import SIDES
from schemas.records import Annotation, Pair, Response
from trainer.data import PairFiles, scan_pairs

SHOWN = (
    "annotations and responses (.jsonl or .parquet, or a folder of parts), pairs (.jsonl, .json, "
    ".parquet or .arrow), data set folders, and data sets on the Hub (ORG/NAME)"
)
_STAGE_FILES = ("annotations.jsonl", "dataset", "responses.jsonl")
_PUBLISHED = {"chosen_item", "rejected_item"}
_ARRAY = b"[{"  # how a JSON array of rows begins
_MAX_BROKEN_ROWS = 20  # read at the start of a file for one that decides its kind


class Kind(StrEnum):
    """What the rows of a source are."""

    ANNOTATIONS = "annotations"
    RESPONSES = "responses"
    PAIRS = "pairs"


# What else a first row may be, by keys that only such rows have: its name, and what to do.
_OTHER_ROWS: Sequence[tuple[frozenset[str], str]] = (
    (
        frozenset({"response", "sentences"}),
        "labels of people in their own format; convert them with: maskdpo import {path} "
        "--output annotations.jsonl --documents-output documents.jsonl",
    ),
    (frozenset({"stage", "reason"}), "rows that failed, with the reason of each; read it as text"),
    (frozenset({"response_id", "action"}), "reviews of people; show the annotations"),
    (frozenset({"chosen_sha256", "action"}), "decisions of people about pairs; show the pairs"),
    (frozenset({"messages"}), "questions; show the responses that maskdpo sample makes of them"),
    (frozenset({"question"}), "questions; show the responses that maskdpo sample makes of them"),
    (frozenset({"text"}), "documents; they are shown next to annotations, with --documents {path}"),
)


# Which command writes a file with the name that it has in a run.
_MADE_BY = {"responses.jsonl": "sample", "annotations.jsonl": "annotate"}


@dataclass(frozen=True, kw_only=True)
class ShownFile:
    """A file with the name that messages give it, and its split, '' for none."""

    path: Path
    label: str
    split: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What can be shown, under the name that the user gave it.

    notes   sentences on what of it is not shown
    """

    name: str
    kind: Kind
    files: Sequence[ShownFile]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A row with its place in its file, from 1; `split` of a data set, '' elsewhere."""

    record: Annotation | Response | Pair
    row: int
    split: str = ""


def find_source(name: str, *, split: str | None = None, config_name: str | None = None) -> Source:
    """What `name` is: a file, a folder, or ORG/NAME[@REVISION] on the Hub; a path wins.

    split, config_name   of a data set: show this part alone

    Raises InputError with what can be shown, where this cannot; BackendError where the Hub does
    not answer.
    """
    path = Path(name)
    if path.is_dir() or (not path.exists() and is_hub_id(name)):
        _refuse_run_folder(path)
        if path.is_dir() and _is_folder_of_rows(path):
            return _find_rows(name, split or config_name)
        pairs, notes = find_pairs(name, split=split, config_name=config_name)
        files = _files_of(pairs)
        notes = [*notes, *_published_notes(files[0])]
        return Source(name=name, kind=Kind.PAIRS, files=files, notes=notes)
    if not path.exists():
        raise InputError.of(path, _why_not_there(path))
    if is_special_file(path):
        raise InputError.of(path, "is a device or a pipe, and what is shown must be a file")
    if split or config_name:
        refuse_part_of_file(path)
    kind = _kind_of_file(path)
    if kind is not Kind.PAIRS:
        check_sidecar(path, "Annotation" if kind is Kind.ANNOTATIONS else "Response")
    file = ShownFile(path=path, label=str(path))
    notes = _published_notes(file) if kind is Kind.PAIRS else ()
    return Source(name=name, kind=kind, files=[file], notes=notes)


def _is_folder_of_rows(folder: Path) -> bool:
    """Whether the files in a folder, not below it, are annotations or responses."""
    files = [] if (folder / "manifest.json").exists() else find_row_files(folder)
    return bool(files) and not set(SIDES) <= set(tables.column_names(files[0]))


def _find_rows(name: str, part: str | None) -> Source:
    """The annotations or responses of a folder, in the order of its files."""
    files = list_row_files(Path(name))
    if part:
        refuse_part_of_file(files[0])
    kinds = {path: _kind_of_file(path) for path in files}
    kind = kinds[files[0]]
    for path in files:
        if kinds[path] is not kind:
            raise InputError.of(path, f"holds {kinds[path]}, and {files[0].name} holds {kind}")
        check_sidecar(path, "Annotation" if kind is Kind.ANNOTATIONS else "Response")
    shown = [ShownFile(path=path, label=str(path)) for path in files]
    return Source(name=name, kind=kind, files=shown)


def count_rows(source: Source) -> int:
    """How many rows there are, good or bad, counted without reading them as records."""
    return sum(tables.count_rows(file.path, name=file.label) for file in source.files)


def read_source(source: Source) -> Iterator[Shown | Fault]:
    """The rows of a source in their order, and a Fault for each that cannot be read."""
    if source.kind is Kind.PAIRS:
        return chain.from_iterable(map(_read_pairs, source.files))
    model = Annotation if source.kind is Kind.ANNOTATIONS else Response
    found = chain.from_iterable(scan_rows(file.path, model) for file in source.files)
    return (
        item if isinstance(item, Fault) else Shown(record=item.record, row=item.line)
        for item in found
    )


def _read_pairs(file: ShownFile) -> Iterator[Shown | Fault]:
    for row in scan_pairs(file.path, name=file.label):
        if row.pair is None:
            yield Fault(path=file.label, line=row.number, message=row.fault)
        else:
            yield Shown(record=row.pair, row=row.number, split=file.split)


def _why_not_there(path: Path) -> str:
    """The command that writes a file of this name, else what could be shown."""
    made_by = _MADE_BY.get(path.name)
    if made_by is None:
        return f"not found; it can be: {SHOWN}"
    return f"not found; make it with: maskdpo {made_by}"


def _files_of(pairs: PairFiles) -> list[ShownFile]:
    return [
        ShownFile(
            path=path,
            label=pairs.labels.get(path, str(path)),
            split=pairs.origin.get(f"{split}_split", split),
        )
        for split, paths in (("train", pairs.train), ("test", pairs.test))
        for path in paths
    ]


def _published_notes(file: ShownFile) -> list[str]:
    """A note on sentence labels in a form that is neither shown nor trained on."""
    if not set(tables.column_names(file.path, name=file.label)) >= _PUBLISHED:
        return []
    return [
        f"{file.label} has sentence labels in the published form (chosen_item, rejected_item), "
        "which are not shown and not used by maskdpo train; read them with: maskdpo import "
        "--format published"
    ]


def _refuse_run_folder(folder: Path) -> None:
    stages = [name for name in _STAGE_FILES if (folder / name).exists()]
    if stages and not (folder / "manifest.json").exists():
        listed = ", ".join(str(folder / name) for name in stages)
        raise InputError.of(folder, f"is the folder of a run; name what to show in it: {listed}")


def _kind_of_file(path: Path) -> Kind:
    if path.suffix in columnar.COLUMNAR:
        if is_parquet(path) and {"id", "question_id", "text"} <= set(tables.column_names(path)):
            has_verdicts = "sentences" in tables.column_names(path)
            return Kind.ANNOTATIONS if has_verdicts else Kind.RESPONSES
        hint = "; show the annotations they were built from"
        advice = hint if "response_id" in tables.column_names(path) else ""
        tables.require_columns(path, SIDES, what="pairs", advice=advice)
        return Kind.PAIRS
    known = {
        f"{FORMAT_PREFIX}annotation": Kind.ANNOTATIONS,
        f"{FORMAT_PREFIX}response": Kind.RESPONSES,
    }
    by_sidecar = known.get(str(read_sidecar_values(path).get("format")))
    if by_sidecar is not None:
        return by_sidecar
    line, row = _first_row(path)
    kind = _kind_of_row(path, row, line)
    if kind is not Kind.PAIRS and tables.is_array(path):
        raise InputError.of(path, advise_on_format(path, _ARRAY))
    return kind


def _first_row(path: Path) -> tuple[int, Mapping[str, object]]:
    """The first object of a file of JSON lines, or of one JSON array, with its number."""
    rows = list(islice(tables.scan_values(path), _MAX_BROKEN_ROWS))
    if not rows:
        raise InputError.of(path, f"holds no rows; it can be: {SHOWN}")
    line, row = rows[0]
    advice = "" if isinstance(row, dict) or tables.is_array(path) else _advice(path)
    for number, row in [] if advice else rows:
        if isinstance(row, dict):
            return number, row
    advice = advice or "its first lines are not JSON objects"
    raise InputError.of(path, f"{advice}. It can be: {SHOWN}", line=line)


def _advice(path: Path) -> str:
    """What the first line shows of another format; empty for JSON lines."""
    return advise_on_format(path, next(text for _, text in read_lines(path)))


def _kind_of_row(path: Path, row: Mapping[str, object], line: int) -> Kind:
    if row.keys() >= set(SIDES):
        return Kind.PAIRS
    if {"text", "sentences"} <= row.keys():
        return Kind.ANNOTATIONS
    if {"text", "question_id"} <= row.keys():
        return Kind.RESPONSES
    what = next((words for keys, words in _OTHER_ROWS if keys <= row.keys()), None)
    if what is None:
        listed = ", ".join(map(repr, sorted(row)[:8])) or "none"
        message = f"cannot be shown: the first row has the keys {listed}. It can be: {SHOWN}"
        raise InputError.of(path, message, line=line)
    raise InputError.of(path, f"holds {what.format(path=path)}", line=line)
