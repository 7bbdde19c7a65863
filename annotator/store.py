"""One SQLite file of finished calls, for sampling, questions and judging alike.

The rule that makes a rerun free: a call is stored under its content key, in the same transaction
as every other call of its batch, before anyone sees its result. A killed process therefore loses
what was in flight and nothing else, and a batch is either wholly there or wholly absent.

Failures are rows, too: a rerun serves them as it serves replies, until `retry_failed` is asked
for. What is under way is claimed (annotator/claims.py), so that two processes on one store never
ask the same. Nothing is held in memory: a store may grow past it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from annotator.claims import Claims
from schemas.errors import BackendError, InputError

# 1: calls(key, kind, value, created). 2: `failed` and `stamp` (when, in seconds); runs; claims.
SCHEMA_VERSION = 2
_LOCK_WAIT_S = 30.0
_LOOKUP_BATCH = 500  # below SQLite's default limit of 999 variables a statement

_TABLES = (
    "CREATE TABLE IF NOT EXISTS calls ("
    " key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,"
    " failed INTEGER NOT NULL DEFAULT 0, stamp REAL NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS runs ("
    " id INTEGER PRIMARY KEY, stage TEXT NOT NULL, settings TEXT NOT NULL,"
    " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE IF NOT EXISTS claims ("
    " key TEXT PRIMARY KEY, process INTEGER NOT NULL, started REAL NOT NULL) WITHOUT ROWID",
)
_FROM_VERSION_1 = (
    "ALTER TABLE calls ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE calls ADD COLUMN stamp REAL NOT NULL DEFAULT 0",
)


class Store:
    """Finished calls by content key. Use it as a context manager.

    Values are JSON objects. A stored value is never changed: the first writer of a key wins, so
    that finished rows stay what they were. Only a failed row gives way to a later one.

    With `retry_failed`, rows that failed before this store was opened count as absent; those that
    fail from then on are there, whichever process asked.
    """

    def __init__(self, path: str | Path, *, retry_failed: bool = False) -> None:
        self.path = Path(path)
        self._retry_failed = retry_failed
        self._began = time.time()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError.of(
                self.path.parent,
                f"cannot be made a folder ({error.strerror}); choose another",
            ) from None
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=_LOCK_WAIT_S, isolation_level=None
            )
            self._prepare()
            self._claims = Claims(self.path)
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise BackendError(
                    f"{self.path}: another process holds it ({error}); wait, then rerun"
                ) from None
            raise InputError.of(
                self.path,
                f"is no store that maskdpo can open ({error}); move it away",
            ) from None

    def _prepare(self) -> None:
        run = self._connection.execute
        self._switch_to_wal()
        run("PRAGMA synchronous=FULL")  # a paid call survives a power cut, not only a kill
        if self._version() != SCHEMA_VERSION:
            with self._transaction():
                self._make_tables()
        run("SELECT key, kind, value, failed, stamp FROM calls LIMIT 0")  # or it is none of ours

    def _switch_to_wal(self) -> None:
        """Turn the write-ahead log on; SQLite does not wait for a lock here, so this does."""
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _make_tables(self) -> None:
        run = self._connection.execute
        version = self._version()  # again: another process may have been quicker
        if version > SCHEMA_VERSION:
            raise InputError.of(
                self.path,
                f"has store version {version}, newer than the {SCHEMA_VERSION} this maskdpo "
                "reads; upgrade maskdpo",
            )
        for statement in _FROM_VERSION_1 if version == 1 else ():
            run(statement)
        for statement in _TABLES:
            run(statement)
        run(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def begin_run(self, stage: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Note a run and its settings; answers the settings of the stage's last run, if any."""
        with self._faults_said(), self._transaction():
            last = self._connection.execute(
                "SELECT settings FROM runs WHERE stage = ? ORDER BY id DESC LIMIT 1", (stage,)
            ).fetchone()
            self._connection.execute(
                "INSERT INTO runs (stage, settings) VALUES (?, ?)",
                (stage, json.dumps(settings, ensure_ascii=False, sort_keys=True)),
            )
        return json.loads(last[0]) if last else None

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The stored values of those keys that are there."""
        with self._faults_said():
            return {key: json.loads(value) for key, value in self._lookup("key, value", keys)}

    def present(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are stored, without reading their values."""
        with self._faults_said():
            return {key for (key,) in self._lookup("key", keys)}

    def _lookup(self, columns: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        valid = "AND (failed = 0 OR stamp >= ?)" if self._retry_failed else ""
        extra = [self._began] if self._retry_failed else []
        for batch in _batches(keys, _LOOKUP_BATCH):
            marks = ",".join("?" * len(batch))
            yield from self._connection.execute(
                f"SELECT {columns} FROM calls WHERE key IN ({marks}) {valid}", [*batch, *extra]
            )

    def put_many(
        self,
        kind: str,
        values: Mapping[str, Mapping[str, Any]],
        *,
        failed: Collection[str] = frozenset(),
    ) -> None:
        """Store finished calls in one transaction and let go of their claims.

        Keys already there keep their value, unless it is a failed one; `failed` names the keys
        of `values` that are failures. Raises BackendError, with nothing of `values` stored, when
        the disk is full or another process holds the file for long; InputError when the file is
        damaged.
        """
        now = time.time()
        rows = [
            (
                key,
                kind,
                json.dumps(value, ensure_ascii=False, sort_keys=True),
                int(key in failed),
                now,
            )
            for key, value in values.items()
        ]
        if not rows:
            return
        with self._faults_said(), self._transaction():
            self._connection.executemany(
                "INSERT INTO calls (key, kind, value, failed, stamp) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
                " failed = excluded.failed, stamp = excluded.stamp WHERE calls.failed",
                rows,
            )
            self._connection.executemany(
                "DELETE FROM claims WHERE key = ?", [(row[0],) for row in rows]
            )

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are this process's to ask; the others are under way elsewhere."""
        with self._faults_said():
            return self._claims.claim(keys)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of claims whose calls were not made after all."""
        with self._faults_said():
            self._claims.release(keys)

    def mark_failed(self, keys: Iterable[str]) -> None:
        """Count stored calls as failed: their replies came, and were of no use."""
        rows = [(time.time(), key) for key in keys]
        if not rows:
            return
        with self._faults_said(), self._transaction():
            self._connection.executemany(
                "UPDATE calls SET failed = 1, stamp = ? WHERE key = ? AND NOT failed", rows
            )

    @contextmanager
    def _faults_said(self) -> Iterator[None]:
        """SQLite's errors as sentences: what can pass (a lock, a full disk), and damage."""
        try:
            yield
        except (sqlite3.DatabaseError, ValueError) as error:
            # Text that is no UTF-8 is an OperationalError too, one without SQLite's own code.
            may_pass = isinstance(error, sqlite3.OperationalError) and "decode" not in str(error)
            if may_pass:
                raise BackendError(
                    f"{self.path}: finished calls cannot be stored or read ({error}); free the "
                    "disk or the lock, and rerun to continue"
                ) from None
            raise InputError.of(
                self.path,
                f"is damaged ({error}); move it away to start anew (files already "
                "written stay valid, and sqlite3's .recover may save its rows)",
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # A full disk has already rolled back by itself.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def count(self, kind: str, *, failed: bool | None = None) -> int:
        """How many calls of `kind` the store holds: all, the failed, or the good ones."""
        query = "SELECT count(*) FROM calls WHERE kind = ?"
        if failed is not None:
            query += " AND failed = 1" if failed else " AND failed = 0"
        with self._faults_said():
            return int(self._connection.execute(query, (kind,)).fetchone()[0])

    def close(self) -> None:
        """Close the file and let go of what was claimed; safe to call twice."""
        self._claims.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
