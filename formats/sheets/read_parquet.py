"""Read a sheet in Parquet: cells have the types of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from formats.sheets.table import Row, Table, clean_head
from schemas.errors import InputError
from schemas.files.columnar import plain_rows

ROWS_PER_BATCH = 1_000


def open_parquet(path: Path) -> Table:
    """Open a Parquet file as a sheet; raises InputError for one that cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            given = list(file.schema_arrow.names)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    names = clean_head(path, given)
    return Table(kind="parquet", names=names, rows=_rows(path, given, names))


def _rows(path: Path, given: list[str], names: list[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
                for values in plain_rows(batch, path):
                    number += 1
                    cells = {name: values[old] for old, name in zip(given, names, strict=True)}
                    yield Row(number=number, cells=cells)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError.of(path, f"cannot be read as Parquet: {str(error).splitlines()[0]}")
