"""One SQLite file of finished calls, for sampling, questions and judging alike.

The rule that makes a rerun free: a call is stored under its content key, in the same transaction
as every other call of its batch, before anyone sees its result. A killed process therefore loses
what was in flight and nothing else, and a batch is either wholly there or wholly absent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from schemas.errors import BackendError, InputError

SCHEMA_VERSION = 1
_LOOKUP_BATCH = 500  # below SQLite's default limit of 999 variables a statement


class Store:
    """Finished calls by content key. Use it as a context manager.

    Values are JSON objects. A stored value is never changed: the first writer of a key wins,
    so that finished rows stay what they were.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError.of(
                self.path.parent,
                f"cannot be made a folder ({error.strerror}); choose another",
            ) from None
        try:
            self._connection = sqlite3.connect(self.path, timeout=30.0, isolation_level=None)
            self._prepare()
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
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=FULL")  # a paid call survives a power cut, not only a kill
        version = run("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise InputError.of(
                self.path,
                f"has store version {version}, newer than the {SCHEMA_VERSION} this maskdpo "
                "reads; upgrade maskdpo",
            )
        run(
            "CREATE TABLE IF NOT EXISTS calls ("
            " key TEXT PRIMARY KEY, kind TEXT NOT NULL, value TEXT NOT NULL,"
            " created TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) WITHOUT ROWID"
        )
        run(f"PRAGMA user_version={SCHEMA_VERSION}")

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The stored values of those keys that are there."""
        found: dict[str, dict[str, Any]] = {}
        with self._faults_said():
            for batch in _batches(keys, _LOOKUP_BATCH):
                marks = ",".join("?" * len(batch))
                rows = self._connection.execute(
                    f"SELECT key, value FROM calls WHERE key IN ({marks})", batch
                )
                found.update((key, json.loads(value)) for key, value in rows)
        return found

    def present(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are stored, without reading their values."""
        found: set[str] = set()
        with self._faults_said():
            for batch in _batches(keys, _LOOKUP_BATCH):
                marks = ",".join("?" * len(batch))
                rows = self._connection.execute(
                    f"SELECT key FROM calls WHERE key IN ({marks})", batch
                )
                found.update(key for (key,) in rows)
        return found

    def put_many(self, kind: str, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Store finished calls in one transaction; keys already there keep their value.

        Raises BackendError, with nothing of `values` stored, when the disk is full or another
        process holds the file for long; InputError when the file is damaged.
        """
        rows = [
            (key, kind, json.dumps(value, ensure_ascii=False, sort_keys=True))
            for key, value in values.items()
        ]
        if not rows:
            return
        with self._faults_said(), self._transaction():
            self._connection.executemany(
                "INSERT OR IGNORE INTO calls (key, kind, value) VALUES (?, ?, ?)", rows
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

    def count(self, kind: str) -> int:
        """How many finished calls of `kind` the store holds."""
        query = "SELECT count(*) FROM calls WHERE kind = ?"
        with self._faults_said():
            return int(self._connection.execute(query, (kind,)).fetchone()[0])

    def close(self) -> None:
        """Close the file; safe to call twice."""
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
