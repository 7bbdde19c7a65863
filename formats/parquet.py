"""Parquet files, row by row, in row groups of one size.

The rule: the same rows and schema give the same bytes, and memory holds one row group per file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

ROWS_PER_GROUP = 1_000


def open_writer(sink: Path | IO[bytes], schema: Any) -> Any:
    """A pyarrow.parquet.ParquetWriter with the options of all our files, which decide bytes."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        sink,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
    )


class TableWriter:
    """One Parquet file, row by row, in row groups of ROWS_PER_GROUP.

    Without rows no file is written.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        self.path = path
        self.num_rows = 0
        self._schema = schema
        self._writer: Any = None
        self._rows: list[Mapping[str, Any]] = []
        self._rest: Any = None  # rows of tables that do not fill a row group yet

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; keys that the schema has no column for are not written."""
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_GROUP:
            self._flush()

    def add_table(self, rows: Any) -> None:
        """Append an Arrow table of this schema; use either this or `add` for one file."""
        import pyarrow as pa

        if self._rest is not None:
            rows = pa.concat_tables([self._rest, rows])
        whole = rows.num_rows - rows.num_rows % ROWS_PER_GROUP
        for start in range(0, whole, ROWS_PER_GROUP):
            self._write(rows.slice(start, ROWS_PER_GROUP).combine_chunks())
        self._rest = rows.slice(whole).combine_chunks()

    def close(self) -> None:
        """Write the remaining rows and the file's footer."""
        if self._rows:
            self._flush()
        if self._rest is not None and self._rest.num_rows:
            self._write(self._rest)
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        self._write(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def _write(self, rows: Any) -> None:
        """Write one row group."""
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = open_writer(self.path, self._schema)
        self._writer.write_table(rows)
        self.num_rows += rows.num_rows


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], schema: Any) -> int:
    """Write rows in row groups of ROWS_PER_GROUP; returns how many.

    Without rows no file is written.
    """
    writer = TableWriter(path, schema)
    try:
        for row in rows:
            writer.add(row)
    finally:
        writer.close()
    return writer.num_rows
