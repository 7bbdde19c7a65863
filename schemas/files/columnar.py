"""Record batches of Parquet and Arrow files, in bounded memory.

The rule: a file that cannot be read is an InputError with its name and reason, and a batch is
checked before its values are used. Nothing in a file is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import InputError

COLUMNAR = (".parquet", ".arrow")
ROWS_A_BATCH = 1_024


def scan_batches(
    path: Path,
    *,
    name: str = "",
    columns: Sequence[str] | None = None,
    num_rows: int | None = None,
) -> Iterator[Any]:
    """Record batches of a Parquet or Arrow file, all columns or some.

    A batch has at most `num_rows` rows (None: ROWS_A_BATCH).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = num_rows or ROWS_A_BATCH
    with readable(path, name=name):
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=size, columns=columns)
            return
        with pa.memory_map(str(path)) as source:
            for batch in arrow_batches(source):
                chosen = batch if columns is None else batch.select(columns)
                for start in range(0, chosen.num_rows, size):
                    yield chosen.slice(start, size)


def plain_rows(batch: Any, path: Path, *, name: str = "") -> list[Any]:
    """The rows of a batch as plain values.

    Checked first: in a damaged file, an offset may point outside the memory, and a text may not be
    UTF-8. Raises InputError.
    """
    import pyarrow as pa

    with readable(path, name=name):
        batch.validate(full=True)
        try:
            return batch.to_pylist()  # type: ignore[no-any-return]
        except (ValueError, OverflowError) as error:  # a time that Python cannot hold
            raise pa.ArrowInvalid(str(error)) from None


def arrow_schema(path: Path, *, name: str = "") -> Any:
    """The Arrow schema of a Parquet or Arrow file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(path, name=name):
        if path.suffix == ".parquet":
            return pq.read_schema(path)
        with pa.memory_map(str(path)) as source:
            return _open_arrow(source).schema


def arrow_batches(source: Any) -> Iterator[Any]:
    """The batches of an open Arrow file, in order."""
    reader = _open_arrow(source)
    if hasattr(reader, "num_record_batches"):
        yield from (reader.get_batch(index) for index in range(reader.num_record_batches))
    else:
        yield from reader


def _open_arrow(source: Any) -> Any:
    """A reader of either layout: a stream, as `save_to_disk` writes it, or a file."""
    from pyarrow import ipc

    is_file = source.read(6) == b"ARROW1"
    source.seek(0)
    return ipc.open_file(source) if is_file else ipc.open_stream(source)


@contextmanager
def readable(path: Path, *, name: str = "") -> Iterator[None]:
    """Raise InputError for a Parquet or Arrow file that cannot be read, with its reason."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        kind = "Parquet" if path.suffix == ".parquet" else "Arrow"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError.of(name or path, f"cannot be read as {kind}: {reason}") from None
