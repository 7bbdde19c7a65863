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
)
from dataset_builder.folder.write import pair_schema, sentence_schema
from schemas.errors import InputError

MAX_FINDINGS = 10_000
ROWS_A_BATCH = 1_024


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


def validate_folder(folder: str | Path) -> Validation:
    """Check a whole data set folder. Raises InputError only when there is no such folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError.of(folder, "is not a folder; maskdpo build makes a data set folder")
    run = _Run(folder=folder)
    findings: list[Finding] = []
    by_kind: Counter[str] = Counter()
    for finding in run.findings():
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

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    seen: SeenRows = field(default_factory=SeenRows)

    def findings(self) -> Iterator[Finding]:
        manifest, faults = read_manifest(self.folder)
        yield from faults
        if any(fault.kind is FaultKind.FORMAT_VERSION for fault in faults):
            return  # in a newer format the same columns may have other meanings
        names = data_files(self.folder)
        yield from file_faults(self.folder, manifest, names)
        yield from card_faults(self.folder, names)
        pairs = [name for name in names if name.startswith(f"{PAIRS}/")]
        sentences = [name for name in names if name.startswith(f"{SENTENCES}/")]
        if not pairs:
            message = f"no {PAIRS}/SPLIT-*.parquet in the folder"
            yield Finding(kind=FaultKind.NO_PAIRS, file=PAIRS, message=message)
        for name in pairs:
            yield from self._check_file(name, pair_schema(), self.seen.check_pair, id_column="id")
        for name in sentences:
            last = OpenResponse(seen=self.seen)
            yield from self._check_file(
                name, sentence_schema(), last.check_row, id_column="response_id"
            )
            yield from last.close()
        if sentences and all(name in self.rows for name in sentences):
            yield from self.seen.missing_sentences()
        yield from row_count_faults(manifest, self.rows)

    def _check_file(
        self,
        name: str,
        schema: Any,
        check: Callable[[Row, Place], Iterable[RowFault]],
        *,
        id_column: str,
    ) -> Iterator[Finding]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        split = PurePosixPath(name).name.split("-")[0]
        try:
            with pq.ParquetFile(self.folder / name) as file:
                faults = list(column_faults(name, file.schema_arrow, schema))
                yield from faults
                if faults:
                    return
                row = 0
                known = [column for column in schema.names if column in file.schema_arrow.names]
                for batch in file.iter_batches(batch_size=ROWS_A_BATCH, columns=known):
                    for values in batch.to_pylist():
                        place = Place(split=split, file=name, row=row)
                        for kind, message in check(values, place):
                            identifier = values[id_column] or ""
                            yield Finding(
                                kind=kind, file=name, row=row, id=identifier, message=message
                            )
                        row += 1
                self.rows[name] = row
        except (OSError, pa.ArrowException) as error:
            message = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            yield Finding(kind=FaultKind.UNREADABLE, file=name, message=message)
