"""The rows of several Parquet files in the order of their questions, as Arrow tables.

The rule: each file has its questions in order, and a question is in one file. So all rows up to the
least of the last questions that were read are complete but for the rest of that question, which
comes next; memory holds one batch per file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from schemas.files.columnar import scan_batches

_KEY = "question_id"


def merge_tables(paths: Sequence[Path], schema: Any) -> Iterator[Any]:
    """Tables with the columns of `schema`; their rows are those of the files, by question id.

    A column that a file lacks is null.
    """
    import pyarrow as pa

    streams = [_Stream(path, schema) for path in paths]
    while streams := [stream for stream in streams if stream.fill()]:
        bound = min(stream.last for stream in streams)
        rows = pa.concat_tables([stream.take(bound) for stream in streams])
        # sort_by is not documented as stable, and the rows of a question must keep their order.
        place = pa.array(range(rows.num_rows), pa.int64())
        order = pa.table({_KEY: rows[_KEY], "place": place}).sort_by(
            [(_KEY, "ascending"), ("place", "ascending")]
        )
        yield rows.take(order["place"])


class _Stream:
    """The rows of one file that are not taken yet."""

    def __init__(self, path: Path, schema: Any) -> None:
        self._batches = scan_batches(path)
        self._schema = schema
        self._rows: Any = None
        self.last = ""

    def fill(self) -> bool:
        """Read until there are rows; False at the end of the file."""
        while self._rows is None or not self._rows.num_rows:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self._rows = _fit(batch, self._schema)
            self.last = self._rows[_KEY][-1].as_py() if self._rows.num_rows else ""
        return True

    def take(self, bound: str) -> Any:
        """Remove and return the rows up to a question, with it."""
        import pyarrow.compute as pc

        num = pc.sum(pc.less_equal(self._rows[_KEY], bound)).as_py()
        taken, self._rows = self._rows.slice(0, num), self._rows.slice(num)
        return taken


def _fit(batch: Any, schema: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_arrays(
        [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
