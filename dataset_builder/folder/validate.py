"""`validate`: all faults of a data set folder, file by file and row by row.

The rule: only the content of the files counts. It does not rely on the manifest's counts or on
`build` having written them, and it continues after a fault. Rows are counted from 0, as
`load_dataset(FOLDER)["train"][0]` counts them within a split of one file.

Rows are streamed; what is kept in memory for the whole run is in `seen_rows`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_builder.folder.row_faults import FaultKind, Row, RowFault
from dataset_builder.folder.seen_rows import OpenResponse, Place, SeenRows
from dataset_builder.folder.validate_files import (
    PAIRS,
    SENTENCES,
    Finding,
    card_faults,
    column_faults,
    data_files,
    file_faults,
    read_manifest,
    row_count_faults,
    version_faults,
)
from dataset_builder.folder.write import pair_schema, sentence_schema
from schemas.errors import InputError
from schemas.files.columnar import COLUMNAR, arrow_schema, plain_rows, scan_batches
from schemas.files.tables import Table, column_names

MAX_FINDINGS = 10_000


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The outcome for one folder.

    findings   the first MAX_FINDINGS faults, in reading order
    by_kind    number of all faults of each kind
    num_rows   rows read, by file
    notes      possible faults: topics of two splits that are nearly equal
    """

    findings: Sequence[Finding]
    by_kind: Mapping[str, int]
    num_rows: Mapping[str, int]
    notes: Sequence[str] = ()

    @property
    def num_faults(self) -> int:
        """Number of all faults, including those after the first MAX_FINDINGS."""
        return sum(self.by_kind.values())


def validate_tables(tables: Sequence[Table]) -> Validation:
    """Check the rows of a data set without manifest and card: its splits, as others open them.

    A split with a column `chosen` holds pairs, another one sentences. Raises InputError for JSON,
    which has no columns to check.
    """
    run = _Run()
    return _collect(run, run.findings_of_tables(tables))


def validate_folder(folder: str | Path) -> Validation:
    """Check a whole data set folder. Raises InputError only when there is no such folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError.of(folder, "is not a folder; maskdpo build makes a data set folder")
    run = _Run()
    return _collect(run, run.findings(folder))


def _collect(run: _Run, found: Iterable[Finding]) -> Validation:
    findings: list[Finding] = []
    by_kind: Counter[str] = Counter()
    for finding in found:
        by_kind[finding.kind] += 1
        if len(findings) < MAX_FINDINGS:
            findings.append(finding)
    return Validation(
        findings=findings,
        by_kind=dict(sorted(by_kind.items())),
        num_rows=run.rows,
        notes=run.seen.notes(),
    )


@dataclass(kw_only=True)
class _Run:
    """The checks of one validation, in order."""

    rows: dict[str, int] = field(default_factory=dict)
    seen: SeenRows = field(default_factory=SeenRows)

    def findings_of_tables(self, tables: Sequence[Table]) -> Iterator[Finding]:
        for table in tables:
            for path in table.files:
                yield from self._check_table(path, table.label(path), table.origin["split"])

    def _check_table(self, path: Path, name: str, split: str) -> Iterator[Finding]:
        if path.suffix not in COLUMNAR:
            listed = ", ".join(COLUMNAR)
            raise InputError.of(name, f"is not checked: only {listed} have columns to check")
        if "chosen" in column_names(path, name=name):
            yield from self._check_file(
                path,
                pair_schema(pieces=True),
                self.seen.check_pair,
                id_column="id",
                name=name,
                split=split,
            )
            return
        last = OpenResponse(seen=self.seen)
        yield from self._check_file(
            path,
            sentence_schema(pieces=True),
            last.check_row,
            id_column="response_id",
            name=name,
            split=split,
        )
        yield from last.close()

    def findings(self, folder: Path) -> Iterator[Finding]:
        manifest, faults = read_manifest(folder)
        yield from faults
        if any(fault.kind is FaultKind.FORMAT_VERSION for fault in faults):
            return  # in a newer format the same columns may have other meanings
        names = data_files(folder)
        yield from file_faults(folder, manifest, names)
        yield from card_faults(folder, names)
        pairs = [name for name in names if name.startswith(f"{PAIRS}/")]
        sentences = [name for name in names if name.startswith(f"{SENTENCES}/")]
        if not pairs:
            message = f"no {PAIRS}/SPLIT-*.parquet in the folder"
            yield Finding(kind=FaultKind.NO_PAIRS, file=PAIRS, message=message)
        for name in pairs:
            yield from self._check_file(
                folder / name,
                pair_schema(pieces=True),
                self.seen.check_pair,
                id_column="id",
                name=name,
                folder=folder,
            )
        for name in sentences:
            last = OpenResponse(seen=self.seen)
            yield from self._check_file(
                folder / name,
                sentence_schema(pieces=True),
                last.check_row,
                id_column="response_id",
                name=name,
                folder=folder,
            )
            yield from last.close()
        if sentences and all(name in self.rows for name in sentences):
            yield from self.seen.missing_sentences()
        yield from row_count_faults(manifest, self.rows)

    def _check_file(
        self,
        path: Path,
        schema: Any,
        check: Callable[[Row, Place], Iterable[RowFault]],
        *,
        id_column: str,
        name: str,
        split: str = "",
        folder: Path | None = None,
    ) -> Iterator[Finding]:
        split = split or PurePosixPath(name).name.split("-")[0]
        try:
            found = arrow_schema(path, name=name)
            faults = list(column_faults(name, found, schema))
            yield from faults
            if faults:
                return
            if folder is not None:
                yield from version_faults(folder, name, found)
            row = 0
            known = [column for column in schema.names if column in found.names]
            for batch in scan_batches(path, name=name, columns=known):
                for values in plain_rows(batch, path, name=name):
                    place = Place(split=split, file=name, row=row)
                    for kind, message in check(values, place):
                        identifier = values[id_column] or ""
                        yield Finding(kind=kind, file=name, row=row, id=identifier, message=message)
                    row += 1
            self.rows[name] = row
        except InputError as error:
            message = error.faults[0].message
            yield Finding(kind=FaultKind.UNREADABLE, file=name, message=message)
