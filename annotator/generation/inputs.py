"""What is checked of files before a model is asked: ids with room for a number, outputs apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import ConfigError, Fault, InputError
from schemas.files import Row
from schemas.records import Document, Question

MAX_ID_CHARS = 512


def check_ids(
    path: Path, rows: Sequence[Row[Question]] | Sequence[Row[Document]], suffix: str, *, made: str
) -> None:
    """Raise InputError where an id leaves no room for `suffix`, which makes `made` ids of it."""
    longest = MAX_ID_CHARS - len(suffix)
    faults = [
        Fault(
            path=str(path),
            line=row.line,
            message=f"'id' has {len(row.record.id)} characters, but {longest} are allowed here: "
            f"{made} ids are made of it",
        )
        for row in rows
        if len(row.record.id) > longest
    ]
    if faults:
        raise InputError(faults)


def check_output(output: Path, source: Path, store: Path, *, what: str) -> None:
    """Raise ConfigError when `output` cannot become a file; `source` is the file of `what`."""
    if store.resolve() in (output.resolve(), source.resolve()):
        raise ConfigError(f"store {str(store)!r} is also the output or the {what} file")
    if output.is_dir():
        raise ConfigError(f"output {str(output)!r} is a folder; name a file in it")
    if output.exists() and source.exists() and output.samefile(source):
        raise ConfigError(f"output {str(output)!r} is the {what} file; name another file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output {str(output)!r} cannot be made: {error.strerror}") from None
