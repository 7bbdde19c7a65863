"""Checks of what a caller of the Python API gives: names of files, rows, numbers, texts.

The rule: a value of a wrong type is one sentence that names the argument, the value and what is
allowed, and a value that iterates into something nobody meant (the letters of a text, the column
names of a table) is refused, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.records import Document, Response
from schemas.validation import show_value


def read_path(name: str, given: object) -> Path:
    """The name of a file. Raises ConfigError for anything else, and for a folder."""
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"{name} is {show_value(given)}, but it must be the name of a file")
    path = Path(given)
    if not str(given) or path.is_dir():
        what = "is a folder" if str(given) else "is empty"
        raise ConfigError(f"{name} is {show_value(str(given))}, which {what}; it must name a file")
    return path


def read_iterable(name: str, given: Any, *, wanted: str) -> Iterable[Any]:
    """Something whose items are meant. Raises ConfigError for everything else.

    wanted   what is allowed, for the message
    """
    refuse_table(name, given)
    if isinstance(given, str | bytes | bytearray | Mapping) or not _iterates(given):
        raise ConfigError(f"{name} is {show_value(given)}, but it must be {wanted}")
    return given  # type: ignore[no-any-return]


def refuse_table(name: str, given: object) -> None:
    """Raise ConfigError for a data frame: iterating it gives its columns, not its rows."""
    kind = type(given)
    if kind.__module__.split(".")[0] not in {"pandas", "polars", "pyarrow"}:
        return
    rows = {"pandas": 'to_dict("records")', "polars": "to_dicts()", "pyarrow": "to_pylist()"}
    if hasattr(given, "columns"):
        call = rows[kind.__module__.split(".", maxsplit=1)[0]]
        raise ConfigError(
            f"{name} is a {kind.__name__}, whose columns would be read as rows; give its rows "
            f"with .{call}, or one column as a list"
        )


def check_limit(name: str, given: object) -> None:
    """Raise ConfigError for a limit that is not None and not a number from 0."""
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if given is not None and not (is_number and given >= 0):  # type: ignore[operator]
        raise ConfigError(f"{name} is {show_value(given)}, but it must be a number from 0")


def fault_of_text(text: str) -> str:
    """What keeps a text from being written as UTF-8; '' for a text without such a fault."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"holds half a character (code U+{ord(text[error.start]):04X}) at {error.start}, which "
            "no file can hold; decode the text with errors='replace' where it is read"
        )
    return ""


def fault_of_record(record: Document | Response) -> str:
    """`fault_of_text` for the texts of a record, with the name of the first that has one."""
    named = [(name, value) for name, value in record if isinstance(value, str)]
    if isinstance(record, Response):
        named += [("prompt", message.content) for message in record.prompt]
        named += [("document_ids", name) for name in record.document_ids]
    faults = ((name, fault_of_text(text)) for name, text in named)
    return next((f"{name!r} {fault}" for name, fault in faults if fault), "")


def _iterates(given: object) -> bool:
    try:
        iter(given)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True
