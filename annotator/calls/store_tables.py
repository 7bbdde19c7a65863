"""All SQL of a store: its tables, its statements, and the migration of older files.

The rule: a file changes its version in one transaction. If the process is killed during it, the
file still has the old version.

version 1   calls(key, kind, value, created)
version 2   `failed` of a call, and `stamp` (when, in seconds); runs; claims(key, process, started)
version 3   `failed_run` of a call instead of the clock; `models` of a run; `owner` of a claim
version 4   owners(owner, beats, lease_s) and leases(key, owner) instead of claims

Claims of versions 2 and 3 are void after migration, including those of a process that still runs: a
call it has under way may be made twice. That process may finish its work and store it: columns have
defaults, and the empty table of claims is kept for it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import InputError

SCHEMA_VERSION = 4
LOST = '{"failure"'  # how the value of a call without a reply begins (stored_calls.py)
LOCK_WAIT_S = 30.0
_KEY_INDEX = "calls_by_key"
_BATCH = 500  # below SQLite's default limit of 999 variables per statement

_TABLES = (
    "CREATE TABLE IF NOT EXISTS calls ("
    " key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    " failed INTEGER NOT NULL DEFAULT 0, failed_run INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS runs ("
    " id INTEGER PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL,"
    " models TEXT NOT NULL DEFAULT '[]', created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE IF NOT EXISTS owners ("
    " owner TEXT PRIMARY KEY, beats INTEGER NOT NULL, lease_s REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS leases (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID",
)
# What each version lacks, step by step.
_TO_VERSION: dict[int, tuple[str, ...]] = {
    2: ("ALTER TABLE calls ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",),
    3: ("ALTER TABLE calls ADD COLUMN failed_run INTEGER NOT NULL DEFAULT 0",),
}
_RUN_MODELS = "ALTER TABLE runs ADD COLUMN models TEXT NOT NULL DEFAULT '[]'"  # version 2 has runs
_VOID_CLAIMS = "DELETE FROM claims"

Row = tuple[str, str, str, bool]  # key, kind, value, failed


# --- the file ---


def connect(path: Path, *, wait_s: float | None = None) -> sqlite3.Connection:
    """A connection that several threads may use, one at a time; statements commit at once.

    `wait_s` is how many seconds a statement waits for another program's lock [LOCK_WAIT_S].
    """
    timeout = LOCK_WAIT_S if wait_s is None else wait_s
    return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)


def connect_unsafe(path: Path, *, wait_s: float | None = None) -> sqlite3.Connection:
    """A connection that does not wait for the disk: for data that a power cut may lose.

    It never moves the log into the file, since without waiting for the disk that would endanger the
    whole file.
    """
    connection = connect(path, wait_s=wait_s)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make `connection` safe against power cuts, and its file the present version.

    Raises InputError for a newer version, and sqlite3's own errors.
    """
    switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")  # a paid call survives a power cut, too
    if read_version(connection) != SCHEMA_VERSION:
        with transaction(connection):
            _make_tables(connection, path)
    # Fails where the file belongs to another program.
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
    if version == 2:
        connection.execute(_RUN_MODELS)
    if version:
        for target in range(version + 1, SCHEMA_VERSION):
            for statement in _TO_VERSION[target]:
                connection.execute(statement)
    if version in (2, 3):
        connection.execute(_VOID_CLAIMS)
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


# --- calls ---


def find_calls(
    connection: sqlite3.Connection,
    keys: Iterable[str],
    *,
    columns: str = "key",
    first_run: int = 0,
    with_lost: bool = True,
) -> Iterator[tuple[Any, ...]]:
    """Those of `keys` that are stored.

    Calls that failed before the run `first_run` are left out, and without `with_lost` all calls
    that got no reply.
    """
    lost = "" if with_lost else f" AND NOT (failed AND substr(value, 1, 10) = '{LOST}')"
    for batch in batches(keys):
        yield from connection.execute(
            f"SELECT {columns} FROM calls WHERE key IN ({','.join('?' * len(batch))})"
            f" AND (failed = 0 OR failed_run >= ?){lost}",
            [*batch, first_run],
        )


def find_rows(connection: sqlite3.Connection, keys: Sequence[str], columns: str) -> list[Any]:
    """Those of at most `_BATCH` keys that a store of any version has, failed or not."""
    marks = ",".join("?" * len(keys))
    query = f"SELECT {columns} FROM calls WHERE key IN ({marks}) AND kind <> 'verdict'"
    return connection.execute(query, keys).fetchall()


def add_key_index(connection: sqlite3.Connection) -> None:
    """Index the keys of a store that is still empty, for processes that search it often.

    The rows of `calls` are in the order of their keys together with the values, so a search reads
    many pages. Files with and without this index are of the same version.
    """
    if connection.execute("SELECT 1 FROM calls LIMIT 1").fetchone() is None:
        connection.execute(f"CREATE INDEX IF NOT EXISTS {_KEY_INDEX} ON calls (key)")


def has_key_index(connection: sqlite3.Connection) -> bool:
    """Whether `find_keys` may be called."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?"
    return connection.execute(query, (_KEY_INDEX,)).fetchone() is not None


def find_keys(connection: sqlite3.Connection, keys: Sequence[str]) -> list[str]:
    """Those of at most `_BATCH` keys that are in the index."""
    marks = ",".join("?" * len(keys))
    query = f"SELECT key FROM calls INDEXED BY {_KEY_INDEX} WHERE key IN ({marks})"
    return [key for (key,) in connection.execute(query, keys)]


def has_kind(connection: sqlite3.Connection, kind: str) -> bool:
    """Whether there is a call of a kind."""
    query = "SELECT 1 FROM calls WHERE kind = ? LIMIT 1"
    return connection.execute(query, (kind,)).fetchone() is not None


def all_calls(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Key, kind and value of each call, of a store of any version."""
    return iter(connection.execute("SELECT key, kind, value FROM calls"))


def next_calls(connection: sqlite3.Connection, after: str, limit: int, failed: str) -> list[Any]:
    """At most `limit` calls behind the key `after`, in the order of keys, of any version's file.

    Each is (key, kind, value, created, failed); `failed` is the column, or "0" where there is none.
    """
    query = (
        f"SELECT key, kind, value, created, {failed} FROM calls"
        " WHERE key > ? AND kind <> 'verdict' ORDER BY key LIMIT ?"
    )
    return connection.execute(query, (after, limit)).fetchall()


def insert_merged(connection: sqlite3.Connection, row: Row, created: str) -> bool:
    """Store a call of another store where there is none, or where it is a reply and replaces a
    failure; returns whether it was stored."""
    return bool(
        connection.execute(
            "INSERT INTO calls (key, kind, value, failed, created) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, failed = 0"
            " WHERE calls.failed AND NOT excluded.failed",
            (*row, created),
        ).rowcount
    )


def insert_call(connection: sqlite3.Connection, row: Row, run: int) -> bool:
    """Store a call unless its key has a call that did not fail; returns whether it was stored."""
    return bool(
        connection.execute(
            "INSERT INTO calls (key, kind, value, failed, failed_run) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
            " failed = excluded.failed, failed_run = excluded.failed_run WHERE calls.failed",
            (*row, run),
        ).rowcount
    )


def mark_failed(connection: sqlite3.Connection, keys: Iterable[str], run: int) -> None:
    """Count stored calls as failed in `run`."""
    connection.executemany(
        "UPDATE calls SET failed = 1, failed_run = ? WHERE key = ? AND NOT failed",
        [(run, key) for key in keys],
    )


def mark_good(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Count stored calls as good."""
    connection.executemany("UPDATE calls SET failed = 0 WHERE key = ?", [(key,) for key in keys])


def count_calls(connection: sqlite3.Connection, kind: str, failed: bool | None) -> int:
    """How many calls of a kind there are: all, the failed, or the good ones."""
    query = "SELECT count(*) FROM calls WHERE kind = ? AND failed = coalesce(?, failed)"
    return int(connection.execute(query, (kind, failed)).fetchone()[0])


def delete_calls(connection: sqlite3.Connection, keys: Iterable[str]) -> int:
    """Delete calls and overwrite their pages, in one transaction; returns how many."""
    connection.execute("PRAGMA secure_delete = ON")
    count = 0
    with transaction(connection):
        for batch in batches(keys):
            marks = ",".join("?" * len(batch))
            count += connection.execute(f"DELETE FROM calls WHERE key IN ({marks})", batch).rowcount
    return count


def empty_log(connection: sqlite3.Connection) -> bool:
    """Move all of the write-ahead log into the file and empty it; False where somebody reads it."""
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(connection: sqlite3.Connection) -> None:
    """Rewrite the whole file, without what was deleted."""
    connection.execute("VACUUM")


# --- runs ---


def read_last_run(connection: sqlite3.Connection) -> int:
    """The number of the last run that was begun; 0 without any."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()[0])


def read_last_settings(connection: sqlite3.Connection, stage: str) -> str | None:
    """The settings of the stage's last run."""
    query = "SELECT settings FROM runs WHERE stage = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (stage,)).fetchone()
    return None if row is None else str(row[0])


def read_models(connection: sqlite3.Connection) -> list[str]:
    """The models of each run that recorded any, the newest run first."""
    query = "SELECT models FROM runs WHERE models <> '[]' ORDER BY id DESC"
    return [models for (models,) in connection.execute(query)]


def read_last_runs(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """(stage, settings, models, created) of the last run of each stage, in their order."""
    query = (
        "SELECT stage, settings, models, created FROM runs"
        " WHERE id IN (SELECT max(id) FROM runs GROUP BY stage) ORDER BY id"
    )
    return connection.execute(query).fetchall()


def delete_runs(connection: sqlite3.Connection, stage: str) -> None:
    """Delete the runs of a stage."""
    connection.execute("DELETE FROM runs WHERE stage = ?", (stage,))


def insert_run(
    connection: sqlite3.Connection, stage: str, settings: str, models: str = "[]"
) -> None:
    """Record a run; its number is one more than the last one's."""
    query = "INSERT INTO runs (stage, settings, models) VALUES (?, ?, ?)"
    connection.execute(query, (stage, settings, models))


def has_run(connection: sqlite3.Connection, stage: str, settings: str) -> bool:
    """Whether a run of that stage with exactly those settings is recorded."""
    query = "SELECT 1 FROM main.runs WHERE stage = ? AND settings = ?"
    return connection.execute(query, (stage, settings)).fetchone() is not None


# --- owners and leases ---


def has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has a table of calls: False while it is being made, or for another file."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'calls'"
    return connection.execute(query).fetchone() is not None


def has_leases(connection: sqlite3.Connection) -> bool:
    """Whether the file is of a version with leases."""
    return read_version(connection) >= 4


def insert_lease(connection: sqlite3.Connection, key: str, owner: str) -> bool:
    """Lease `key`; False where it is leased, or where `owner` is not in the table of owners."""
    query = (
        "INSERT INTO leases (key, owner) SELECT ?, owner FROM owners WHERE owner = ?"
        " ON CONFLICT DO NOTHING"
    )
    return bool(connection.execute(query, (key, owner)).rowcount)


def find_lease(connection: sqlite3.Connection, key: str) -> str | None:
    """The owner of the lease of `key`."""
    row = connection.execute("SELECT owner FROM leases WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def find_leaseholders(connection: sqlite3.Connection) -> list[str]:
    """The owners that have leases."""
    return [owner for (owner,) in connection.execute("SELECT DISTINCT owner FROM leases")]


def delete_leases(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """Delete the leases of `keys` of any owner."""
    connection.executemany("DELETE FROM leases WHERE key = ?", [(key,) for key in keys])


def release_leases(connection: sqlite3.Connection, keys: Iterable[str], owner: str) -> None:
    """Delete those leases of `keys` that are the owner's."""
    query = "DELETE FROM leases WHERE key = ? AND owner = ?"
    connection.executemany(query, [(key, owner) for key in keys])


def list_owners(connection: sqlite3.Connection) -> list[str]:
    """All owners."""
    return [owner for (owner,) in connection.execute("SELECT owner FROM owners")]


def read_owner(connection: sqlite3.Connection, owner: str) -> tuple[int, float] | None:
    """The number of heartbeats of an owner, and how long its leases last without one, in
    seconds."""
    query = "SELECT beats, lease_s FROM owners WHERE owner = ?"
    row = connection.execute(query, (owner,)).fetchone()
    return None if row is None else (int(row[0]), float(row[1]))


def write_owner(connection: sqlite3.Connection, owner: str, beats: int, lease_s: float) -> None:
    """Write the heartbeats of an owner, who need not be in the table."""
    query = "INSERT OR REPLACE INTO owners (owner, beats, lease_s) VALUES (?, ?, ?)"
    connection.execute(query, (owner, beats, lease_s))


def delete_owner(connection: sqlite3.Connection, owner: str) -> None:
    """Delete an owner with all of its leases."""
    connection.execute("DELETE FROM leases WHERE owner = ?", (owner,))
    connection.execute("DELETE FROM owners WHERE owner = ?", (owner,))


# --- another store ---


@contextmanager
def attached(connection: sqlite3.Connection, place: str) -> Iterator[int]:
    """The store at the URI `place` as `former`; yields its version."""
    connection.execute("ATTACH ? AS former", (place,))
    try:
        yield read_version(connection, "former")
    finally:
        connection.execute("DETACH former")


def copy_former(connection: sqlite3.Connection, version: int) -> int:
    """Copy the calls of `former` that are missing here, and its runs; returns how many calls."""
    failed = "failed" if version >= 2 else "0"
    count = connection.execute(
        "INSERT INTO main.calls (key, kind, value, created, failed)"
        f" SELECT key, kind, value, created, {failed} FROM former.calls"
        " WHERE kind <> 'verdict'"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, failed = 0"
        " WHERE calls.failed AND NOT excluded.failed"
    ).rowcount
    if version >= 3:  # the models that gave those replies
        connection.execute(
            "INSERT INTO main.runs (stage, settings, models, created)"
            " SELECT stage, settings, models, created FROM former.runs ORDER BY id"
        )
    return count


def batches(items: Iterable[str]) -> Iterator[Sequence[str]]:
    """`items` in lists short enough for one statement."""
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
