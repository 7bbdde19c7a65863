"""`export`: files of maskdpo into other formats.

    trl, published       a data set folder -> a folder with SPLIT.jsonl
    human_labels         annotations (a file, or a folder of parts) -> one JSONL file

The rule: nothing is lost silently. A row that the format cannot represent becomes a `Failure` with
its reason next to the output, the rest are written, and a lossy export must be requested (`lossy`).
Rows are streamed. Sheets for people are in `formats/sheets/`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from formats.export_human_labels import human_row
from formats.published import published_row
from formats.trl import trl_row
from schemas.error_spans import group_pieces
from schemas.errors import ConfigError, Fault, InputError
from schemas.files.jsonl import read_records, scan_rows
from schemas.files.own_files import WRITTEN, refuse_to_replace, seal
from schemas.files.row_folder import list_row_files
from schemas.files.sidecar import (
    check_data_set,
    check_sidecar,
    make_sidecar,
    read_sidecar_values,
    write_sidecar,
)
from schemas.files.tables import scan_values
from schemas.files.writing import atomic_writer
from schemas.records import Annotation, Document, Failure, Pair
from schemas.stage import StageResult, write_failures
from schemas.text.counted import count_of
from schemas.validation import describe_errors


class ExportFormat(StrEnum):
    """A format for programs that `export` writes."""

    TRL = "trl"
    PUBLISHED = "published"
    HUMAN_LABELS = "human_labels"


# Not rows, but what their sentences lost; only where they are not 0.
_JOINED, _WORDS = _LOST = ("sentences_without_pieces", "wrong_words_left_out")
OF_PAIRS = frozenset({ExportFormat.TRL, ExportFormat.PUBLISHED})
MADE_FOR = {
    ExportFormat.TRL: "a DPO trainer that reads prompt, chosen and rejected",
    ExportFormat.PUBLISHED: "the published Mask-DPO code",
    ExportFormat.HUMAN_LABELS: "maskdpo import and maskdpo agreement",
}


def run_export(
    *,
    source: Path,
    output: Path,
    format_name: ExportFormat,
    documents: Path | None = None,
    lossy: bool = False,
) -> StageResult:
    """Write `source` in another format; the module's docstring says which of them is a file or a
    folder.

    documents   texts for the rows of human labels

    Raises InputError for a source that cannot be read, ConfigError for an output that must not be
    replaced.
    """
    refused: list[Failure] = []
    if format_name in OF_PAIRS:
        counts = _export_pairs(source, output, format_name, refused, lossy=lossy)
    else:
        counts = _export_human_labels(source, output, documents, refused, lossy=lossy)
    write_failures(output, refused)
    splits = [number for name, number in counts.items() if name not in _LOST]
    num_rows = sum(splits) if format_name in OF_PAIRS else counts["responses"]
    return StageResult(
        output=output,
        num_rows=num_rows + len(refused),
        failures=refused,
        counts=counts,
        notes=[f"for {MADE_FOR[format_name]}", *_notes(counts)],
    )


def _notes(counts: Mapping[str, int]) -> list[str]:
    if not counts.get(_JOINED):
        return []
    return [
        f"the wrong words of {count_of(counts[_JOINED], 'sentence')} "
        f"({count_of(counts[_WORDS], 'place')}) are not in this format, and the published code "
        "trains these sentences as a whole; --format trl keeps the places"
    ]


def _refuse(refused: list[Failure], identifier: str, detail: str) -> None:
    """Record a row that the format cannot represent."""
    refused.append(Failure(id=identifier, stage="export", reason="cannot_be_said", detail=detail))


def _pair_writer(format_name: ExportFormat, lossy: bool) -> Callable[[Pair], dict[str, Any]]:
    if format_name is ExportFormat.TRL:
        return trl_row
    return lambda pair: published_row(pair, lossy=lossy)


def _export_pairs(
    folder: Path,
    output: Path,
    format_name: ExportFormat,
    refused: list[Failure],
    *,
    lossy: bool,
) -> dict[str, int]:
    """Write one SPLIT.jsonl per split; returns the number of rows of each, and what was lost.

    A split that an earlier export wrote and the data set no longer has is removed: its rows may
    be in another split now.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output {output} is a file, but a folder of splits is written")
    make_row = _pair_writer(format_name, lossy)
    of_split = _files_of_splits(folder)
    written = {split: output / f"{split}.jsonl" for split in of_split}
    former = [path for path in _former_files(output) if path not in written.values()]
    for path in (*written.values(), *former):
        _refuse_others(path, sidecar_of=output)
    counts: dict[str, int] = {}
    lost: Counter[str] = Counter()
    for split, paths in of_split.items():
        with atomic_writer(written[split]) as handle:
            counts[split] = 0
            for pair in _read_pairs(paths):
                try:
                    row = make_row(pair)
                except ValueError as error:
                    _refuse(refused, pair.id, str(error))
                    continue
                handle.write(json.dumps(row, ensure_ascii=False) + "\n")
                counts[split] += 1
                lost.update(_count_lost(pair) if format_name is ExportFormat.PUBLISHED else {})
    if lost[_JOINED]:
        counts |= lost
    for path in former:
        path.unlink()
    _write_sidecar(output, format_name, written.values(), counts)
    return counts


def _count_lost(pair: Pair) -> dict[str, int]:
    """The sentences of a pair that were pieces, and the places of wrong words in them."""
    sides = (pair.chosen_spans or (), pair.rejected_spans or ())
    sentences = [pieces for spans in sides for pieces in group_pieces(spans) if pieces[0].part]
    words = sum(piece.part == "error" for pieces in sentences for piece in pieces)
    return {_JOINED: len(sentences), _WORDS: words}


def _former_files(output: Path) -> list[Path]:
    """The splits in the folder `output` that an earlier export wrote, according to its sidecar."""
    values = read_sidecar_values(output)
    names = values.get(WRITTEN) if values.get("format") == "maskdpo.export" else None
    own = [name for name in names or () if Path(name).name == name and name.endswith(".jsonl")]
    return [output / name for name in own if (output / name).is_file()]


def _files_of_splits(folder: Path) -> dict[str, list[Path]]:
    """The files of the pairs by split, in reading order; InputError for a newer format."""
    check_data_set(folder)
    paths = sorted((folder / "pairs").glob("*.parquet"))
    if not paths:
        raise InputError.of(folder, "holds no pairs/SPLIT-*.parquet; maskdpo build makes them")
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.name.split("-")[0], []).append(path)
    return found


def _refuse_others(path: Path, *, sidecar_of: Path) -> None:
    """Raise ConfigError where `path` exists and is not the unchanged output of an export."""
    refuse_to_replace(
        path,
        lambda values: values.get("format") == "maskdpo.export",
        what="rows",
        by="maskdpo export",
        sidecar_of=sidecar_of,
    )


def _write_sidecar(
    output: Path, format_name: ExportFormat, written: Iterable[Path], counts: Mapping[str, int]
) -> None:
    """The sidecar of a file or folder, with the hashes that a rerun compares before it writes."""
    config = {"format": format_name.value}
    sidecar = make_sidecar("export", config=config, inputs=[], counts=counts)
    write_sidecar(output, seal(sidecar, written))


def _read_pairs(paths: list[Path]) -> Iterator[Pair]:
    for path in paths:
        for number, values in scan_values(path):
            assert isinstance(values, dict)  # as all rows of Parquet
            known = {
                name: values[name] for name in Pair.model_fields if values.get(name) is not None
            }
            try:
                yield Pair.model_validate_json(json.dumps(known))
            except ValidationError as error:
                fault = describe_errors(error, Pair)[0]
                message = f"row {number - 1}: {fault} (see maskdpo validate)"
                raise InputError.of(path, message) from None


def _export_human_labels(
    source: Path, output: Path, documents: Path | None, refused: list[Failure], *, lossy: bool
) -> dict[str, int]:
    _refuse_others(output, sidecar_of=output)
    texts: Mapping[str, str] = (
        {row.id: row.text for row in read_records(documents, Document)} if documents else {}
    )
    counts = {"responses": 0, "sentences": 0, "documents_left_out": 0}
    with atomic_writer(output) as handle:
        for annotation in _annotations(source):
            try:
                row = human_row(annotation, texts, lossy=lossy)
            except ValueError as error:
                _refuse(refused, annotation.id, str(error))
                continue
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            counts["responses"] += 1
            counts["sentences"] += len(annotation.sentences)
            if "spans" in row:
                counts["spans"] = counts.get("spans", 0) + len(row["spans"])
            counts["documents_left_out"] += sum(
                name not in texts for name in annotation.document_ids
            )
    _write_sidecar(output, ExportFormat.HUMAN_LABELS, [output], counts)
    return counts


def _annotations(source: Path) -> Iterator[Annotation]:
    """The annotations of a file or folder, streamed; on a fault nothing is written."""
    count = 0
    for path in list_row_files(source):
        check_sidecar(path, Annotation.__name__)
        for item in scan_rows(path, Annotation):
            if isinstance(item, Fault):
                raise InputError([item])
            count += 1
            yield item.record
    if not count:
        raise InputError.of(source, "holds no rows; it should hold one Annotation per line")
