"""Records in Parquet files as lines of JSON, so that one reader checks the rows of both formats.

The rule: row N of the file (from 1) is line N, the JSON object with the row's values
(`schemas.files.arrow_json`). The columns are the fields of the record: an unknown or missing one
is a fault of the file, as an unknown or missing key is one of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.errors import InputError, nearest
from schemas.files.arrow_json import json_rows
from schemas.files.columnar import arrow_schema, readable, scan_batches

SUFFIX = ".parquet"


def is_parquet(path: Path) -> bool:
    """Whether a file is read as Parquet, by the end of its name."""
    return path.suffix == SUFFIX


def read_parquet_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The rows with their numbers from 1, in batches. Raises InputError for an unreadable file."""
    number = 0
    for batch in scan_batches(path):
        for text in batch_lines(path, batch):
            number += 1
            yield number, text


def batch_lines(path: Path, batch: Any) -> list[bytes]:
    """The rows of one record batch of a file, each as the text of a JSON object."""
    with readable(path):
        batch.validate(full=True)  # as `plain_rows` does: a damaged file may hold anything
        try:
            return [text.encode() for text in json_rows(batch)]
        except ValueError as error:
            raise InputError.of(path, str(error)) from None


def fault_of_columns(path: Path, model: type[BaseModel]) -> str:
    """What is wrong with the columns of a file of records; '' where nothing is.

    Raises InputError for an unreadable file.
    """
    names: list[str] = arrow_schema(path).names
    short = getattr(model, "SHORTHANDS", {})
    known = [*model.model_fields, *dict.fromkeys(getattr(model, "ALSO_ACCEPTED", {}).values())]
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    missing = [name for name in needed if name not in names and name not in short]
    if missing:
        return (
            f"has no column {missing[0]!r}, so it holds no {model.__name__} rows; the columns are "
            f"the keys of a row (maskdpo schema {model.__name__.lower()})"
        )
    for place, name in enumerate(names):
        if name not in known:
            return f"unknown column {name!r}; {nearest(name, known)}"
        if name in names[:place]:
            return f"column {name!r} is there twice"
    return ""
