"""The tables of a store, and how a file of an older version becomes one of today.

The rule: a file changes its version in one transaction. Killed half way, it still is the old one.

version 1   calls(key, kind, value, created)
version 2   `failed` of a call, and `stamp` (when, in seconds); runs; claims(key, process, started)
version 3   `failed_run` of a call instead of the clock; `models` of a run; `owner` of a claim
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import InputError

SCHEMA_VERSION = 3
LOCK_WAIT_S = 30.0

_TABLES = (
    "CREATE TABLE IF NOT EXISTS calls ("
    " key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    " failed INTEGER NOT NULL DEFAULT 0, failed_run INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS runs ("
    " id INTEGER PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL,"
    " models TEXT NOT NULL DEFAULT '[]', created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE IF NOT EXISTS claims ("
    " key TEXT PRIMARY KEY, process INTEGER NOT NULL, started REAL NOT NULL,"
    " owner TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
)
# What each version lacks; columns have defaults, so that a process of version 2 that has the file
# open may finish its work.
_FROM_VERSION: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE calls ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",),
    2: (
        "ALTER TABLE runs ADD COLUMN models TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE claims ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    ),
}
_FAILED_RUN = "ALTER TABLE calls ADD COLUMN failed_run INTEGER NOT NULL DEFAULT 0"


def connect(path: Path) -> sqlite3.Connection:
    """A connection that several threads may use, one at a time; statements commit at once."""
    return sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make `connection` safe against power cuts, and its file one of this version.

    Raises InputError for a newer version, and sqlite3's own errors.
    """
    switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")  # a paid call survives a power cut, too
    if read_version(connection) != SCHEMA_VERSION:
        with transaction(connection):
            _make_tables(connection, path)
    # Fails where the file is another program's.
    connection.execute("SELECT key, kind, value, failed, failed_run FROM calls LIMIT 0")


def switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite does not wait for a lock here, so this does."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    version = read_version(connection)  # again: another process may have been quicker
    check_version(version, path)
    if version == SCHEMA_VERSION:
        return
    for statement in _FROM_VERSION.get(version, ()):
        connection.execute(statement)
    if version:
        connection.execute(_FAILED_RUN)
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def read_version(connection: sqlite3.Connection, schema: str = "main") -> int:
    """The version of a file; 0 for one without tables."""
    return int(connection.execute(f"PRAGMA {schema}.user_version").fetchone()[0])


def check_version(version: int, path: Path) -> None:
    """Raise InputError for a file that a newer maskdpo wrote."""
    if version > SCHEMA_VERSION:
        raise InputError.of(
            path,
            f"has store version {version}, newer than the {SCHEMA_VERSION} this maskdpo reads; "
            "upgrade maskdpo",
        )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements of the block, or none; waits for other writers."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has already rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
