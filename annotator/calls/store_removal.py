"""Removing calls from a store so that their bytes are gone, not only unreachable.

The rule: a call is removed when its key is named, or when its value contains one of the given
texts, with any escaping. Deleted pages are overwritten, the write-ahead log is emptied, and the
file is rewritten, so neither the file nor its `-wal` contains the text afterwards. The next removal
finishes a killed one, since it does all three again.

Files of every store version can be processed: only `calls(key, kind, value)` is used.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annotator.calls import store_tables as tables
from annotator.calls.leases import is_anyone_asking
from annotator.calls.store_faults import faults_in_use
from annotator.calls.store_tables import LOCK_WAIT_S
from schemas.errors import BackendError, MaskDpoError
from schemas.text.plain_text import plain

_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\(.)", re.S)


@dataclass(frozen=True, kw_only=True)
class Traces:
    """The calls to remove, by key, and their number by kind of call.

    keys      of the calls that are in the store
    by_kind   number of calls
    """

    keys: frozenset[str] = frozenset()
    by_kind: Mapping[str, int] = field(default_factory=dict)


def find_traces(
    path: Path, *, keys: Collection[str], texts: Collection[str], passages: Collection[str]
) -> Traces:
    """The calls of the store at `path` that hold something to be removed. Changes nothing.

    keys       of calls, stored or not
    texts      whole replies: a call whose reply is one of them
    passages   texts as `plain` makes them: a call whose value contains one of them anywhere

    Raises BackendError and InputError as a store does.
    """
    found: set[str] = set()
    by_kind: Counter[str] = Counter()
    with _connected(path, read_only=True) as connection:
        for key, kind, value in tables.all_calls(connection):
            if key in keys or _holds(value, texts, passages):
                found.add(key)
                by_kind[kind] += 1
    return Traces(keys=frozenset(found), by_kind=dict(sorted(by_kind.items())))


def remove_calls(path: Path, keys: Collection[str]) -> int:
    """Remove calls, and every byte of calls removed earlier; returns how many.

    Raises BackendError where another process makes calls or holds the file: repeat the removal
    later.
    """
    with _connected(path) as connection:
        _refuse_while_asked(path, connection)
        count = tables.delete_calls(connection, sorted(keys))
        _empty_log(path, connection)
        tables.rewrite(connection)
        _empty_log(path, connection)
    return count


def is_store(path: Path) -> bool:
    """Whether a file is a store of any version."""
    try:
        with path.open("rb") as handle:
            if handle.read(15) != b"SQLite format 3":
                return False
        with _connected(path, read_only=True) as connection:
            next(tables.all_calls(connection), None)
    except (OSError, MaskDpoError):
        return False
    return True


@contextmanager
def _connected(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    mode = "mode=rw"
    if read_only:
        # Without a log nobody is writing; opened this way, SQLite creates no file next to it.
        has_log = path.with_name(path.name + "-wal").exists()
        mode = "mode=ro" if has_log else "immutable=1"
    place = f"{path.resolve().as_uri()}?{mode}"
    with faults_in_use(path):
        connection = sqlite3.connect(place, uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()


def _refuse_while_asked(path: Path, connection: sqlite3.Connection) -> None:
    """Raise BackendError where a call is under way: its owner would store it again.

    The claims of versions 2 and 3 do not count, since nothing shows whether they are still valid.
    """
    if tables.has_leases(connection) and is_anyone_asking(connection, path):
        raise BackendError(
            f"another program is calling models and stores their replies in {path}; end it or "
            "wait, then run the same command again"
        )


def _empty_log(path: Path, connection: sqlite3.Connection) -> None:
    """Move all of the write-ahead log into the file, and make it empty."""
    if not tables.empty_log(connection):
        raise BackendError(
            f"another process reads {path}, so its log cannot be emptied; end it, then run the "
            "same command again"
        )


def _holds(value: str, texts: Collection[str], passages: Collection[str]) -> bool:
    content = json.loads(value)
    if isinstance(content, dict) and content.get("text") in texts:
        return True
    if not passages:
        return False
    return any(
        passage in form
        for text in _strings(content)
        for form in (plain(text), plain(_unescape(text)))
        for passage in passages
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _unescape(text: str) -> str:
    r"""The text that a reply in JSON encodes: `\"` is a quotation mark, `\n` a break."""
    if "\\" not in text:
        return text

    def resolve(match: re.Match[str]) -> str:
        if match[1] is None:
            return str(json.loads(f'"{match[0]}"'))
        return " " if match[1] in "nrtbf" else match[1]

    return _ESCAPE.sub(resolve, text)
