"""Calls of a store elsewhere, copied into the store of a run directory.

Earlier versions kept a store next to each output. The rule: the run directory uses the calls paid
for there, too, and the former file is not changed. Verdicts that earlier versions stored are not
copied; they are derived now.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotator.calls import store_tables as tables
from annotator.calls.store_faults import faults_at_opening
from annotator.calls.store_tables import LOCK_WAIT_S, check_version, prepare, read_version

_STAGE = "taken over"


def take_over(store: Path, former: Path) -> int:
    """Copy into `store` the calls of `former` that it lacks, and return how many.

    A file that was copied before and has not changed is not read again. Raises InputError where
    either is not a store or has a newer version, BackendError where one cannot be opened.
    """
    store.parent.mkdir(parents=True, exist_ok=True)
    with faults_at_opening(store):
        connection = sqlite3.connect(store, timeout=LOCK_WAIT_S, isolation_level=None, uri=True)
    try:
        with faults_at_opening(store):
            prepare(connection, store)
        mark = json.dumps(describe_store(former))
        with faults_at_opening(former), _attached(connection, former) as version:
            return 0 if _find_mark(connection, mark) else _copy(connection, version, mark)
    finally:
        connection.close()


def is_taken_over(store: Path, former: Path) -> bool:
    """Whether `store` has all calls of `former` in its present state; opens neither for writing."""
    if not store.exists():
        return False
    with faults_at_opening(store):
        connection = sqlite3.connect(store.resolve().as_uri() + "?mode=ro", uri=True)
        try:
            if read_version(connection) < 2:
                return False
            return _find_mark(connection, json.dumps(describe_store(former)))
        finally:
            connection.close()


def mark_taken_over(store: Path, former: Path) -> None:
    """Record that `store` has all calls of `former` in its present state, where calls were removed
    there.

    Without this the former file would count as changed, and be copied again.
    """
    with faults_at_opening(store):
        connection = sqlite3.connect(store, timeout=LOCK_WAIT_S, isolation_level=None)
        try:
            prepare(connection, store)
            settings = json.dumps(describe_store(former))
            tables.insert_run(connection, _STAGE, settings)
        finally:
            connection.close()


def _find_mark(connection: sqlite3.Connection, mark: str) -> bool:
    return tables.has_run(connection, _STAGE, mark)


@contextmanager
def _attached(connection: sqlite3.Connection, former: Path) -> Iterator[int]:
    """The former file as `former`, for reading only; yields its version."""
    # Without a log nobody is writing; opened this way, SQLite creates no file next to it.
    has_log = former.with_name(former.name + "-wal").exists()
    place = f"{former.resolve().as_uri()}?{'mode=ro' if has_log else 'immutable=1'}"
    with tables.attached(connection, place) as version:
        check_version(version, former)
        yield version


def _copy(connection: sqlite3.Connection, version: int, mark: str) -> int:
    with tables.transaction(connection):
        count = tables.copy_former(connection, version)
        tables.insert_run(connection, _STAGE, mark)
    return count


def describe_store(path: Path) -> dict[str, object]:
    """The facts that identify an unchanged store: its path, size and modification time."""
    facts = path.stat()
    log = path.with_name(path.name + "-wal")
    return {
        "file": str(path.resolve()),
        "bytes": facts.st_size,
        "changed_ns": facts.st_mtime_ns,
        "log_bytes": log.stat().st_size if log.exists() else 0,
    }
