"""The table of jobs in the file of the store: all its SQL.

The rule: a change names the states, and where it matters the owner, that it starts from, in the
same statement; so two processes never both make it. The version of the store does not change:
an earlier maskdpo reads the store and ignores this table.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from annotator.calls import store_tables
from annotator.calls.store_faults import faults_at_opening, faults_in_use
from annotator.service.config import CLAIM_WAIT_S
from annotator.service.jobs.job import OPEN, Job, Progress, Spent, State, Wanted

_CREATE = (
    "CREATE TABLE IF NOT EXISTS jobs ("
    " number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,"
    " wanted TEXT NOT NULL, owner TEXT NOT NULL, request TEXT NOT NULL, progress TEXT NOT NULL,"
    " spent TEXT NOT NULL, reserved TEXT, outcome TEXT NOT NULL, created REAL NOT NULL,"
    " started REAL, ended REAL, expires REAL, retry_at REAL, attempts INTEGER NOT NULL,"
    " waits INTEGER NOT NULL, first_run INTEGER NOT NULL,"
    " idempotency_key TEXT UNIQUE, digest TEXT NOT NULL)"
)
_INDEX = "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state)"
_COLUMNS = tuple(Job.model_fields)
_JSON = ("request", "progress", "spent", "reserved", "outcome")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
Values = Mapping[str, Any]


class JobTable:
    """The rows of all jobs in the store at `path`, which must exist. Safe to use from threads.

    Raises BackendError where the file is locked too long or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read_lock = threading.Lock()
        with faults_at_opening(path):
            self._connection = store_tables.connect(path)
            store_tables.switch_to_wal(self._connection)
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_CREATE)
            self._connection.execute(_INDEX)
            self._reader = store_tables.connect(path)
            # Progress and reservations survive a killed process, and may be lost in a power cut.
            self._quick = store_tables.connect_unsafe(path, wait_s=CLAIM_WAIT_S)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        with self._lock, self._read_lock:
            for connection in (self._quick, self._reader, self._connection):
                connection.close()

    @contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with self._lock, faults_in_use(self._path):
            yield connection

    def _read(self, query: str, values: Collection[Any] = ()) -> list[tuple[Any, ...]]:
        with self._read_lock, faults_in_use(self._path):
            return self._reader.execute(query, tuple(values)).fetchall()

    # --- reading ---

    def get(self, job_id: str) -> Job | None:
        """The job with that id."""
        rows = self._read(f"{_SELECT} WHERE id = ?", [job_id])
        return _job(rows[0]) if rows else None

    def find_key(self, key: str) -> tuple[Job, str] | None:
        """The job that was created with an idempotency key, and the digest of its request."""
        query = _SELECT.replace(" FROM", ", digest FROM") + " WHERE idempotency_key = ?"
        rows = self._read(query, [key])
        return (_job(rows[0][:-1]), rows[0][-1]) if rows else None

    def newest(self, state: State | None, limit: int) -> list[Job]:
        """At most `limit` jobs (in a state), the newest first."""
        query = f"{_SELECT} WHERE state = coalesce(?, state) ORDER BY number DESC LIMIT ?"
        return [_job(row) for row in self._read(query, [state, limit])]

    def open_jobs(self, *, most_queued: int) -> list[Job]:
        """Jobs that run or wait, and of those in the queue the first ones; the oldest first."""
        first = "SELECT number FROM jobs WHERE state = 'queued' ORDER BY number LIMIT ?"
        query = (
            f"{_SELECT} WHERE state IN ({_marks(OPEN)})"
            f" AND (state <> 'queued' OR wanted <> 'run' OR number IN ({first})) ORDER BY number"
        )
        return [_job(row) for row in self._read(query, [*OPEN, most_queued])]

    def count(self) -> dict[str, int]:
        """The number of jobs by state."""
        return dict(self._read("SELECT state, count(*) FROM jobs GROUP BY state"))

    def expired(self) -> set[str]:
        """The ids of jobs whose files are to be removed, or were."""
        return {name for (name,) in self._read("SELECT id FROM jobs WHERE state = 'expired'")}

    # --- changes ---

    def insert(self, job: Job, *, key: str | None, digest: str) -> bool:
        """Add a job; False where its idempotency key is taken."""
        columns = (*_COLUMNS, "idempotency_key", "digest")
        values = [_to_column(getattr(job, name)) for name in _COLUMNS]
        query = (
            f"INSERT INTO jobs ({', '.join(columns)}) VALUES ({_marks(columns)})"
            " ON CONFLICT (idempotency_key) DO NOTHING"
        )
        with self._writing(self._connection) as connection:
            return bool(connection.execute(query, [*values, key, digest]).rowcount)

    def change(
        self, job_id: str, values: Values, *, states: Collection[State], owner: str | None = None
    ) -> bool:
        """Set `values` of a job that is in one of `states` (and has that owner)."""
        names = ", ".join(f"{name} = ?" for name in values)
        query = (
            f"UPDATE jobs SET {names} WHERE id = ? AND state IN ({_marks(states)})"
            " AND owner = coalesce(?, owner)"
        )
        given = [*map(_to_column, values.values()), job_id, *states, owner]
        with self._writing(self._connection) as connection:
            return bool(connection.execute(query, given).rowcount)

    def want(self, job_id: str, wanted: Wanted) -> bool:
        """Have a running job paused or cancelled; a pause does not undo a cancel."""
        query = (
            "UPDATE jobs SET wanted = ? WHERE id = ? AND state = 'running'"
            " AND wanted IN ('run', 'pause', ?)"
        )
        with self._writing(self._connection) as connection:
            return bool(connection.execute(query, [wanted, job_id, wanted]).rowcount)

    def take(self, job_id: str, owner: str, now: float) -> Job | None:
        """Make `owner` run a job whose lease it holds; None where it is not to be run any more."""
        query = (
            "UPDATE jobs SET state = 'running', owner = ?, attempts = attempts + 1,"
            " started = coalesce(started, ?), retry_at = NULL"
            " WHERE id = ? AND wanted = 'run' AND (state IN ('queued', 'running')"
            " OR (state = 'waiting' AND retry_at <= ?))"
        )
        with self._writing(self._connection) as connection:
            if not connection.execute(query, [owner, now, job_id, now]).rowcount:
                return None
        return self.get(job_id)

    def report(self, job_id: str, owner: str, *, progress: Progress, spent: Spent) -> Wanted | None:
        """Write how far an attempt is; returns what is wanted, or None where it lost the job."""
        query = "UPDATE jobs SET progress = ?, spent = ? WHERE id = ? AND owner = ?"
        values = [_to_column(progress), _to_column(spent), job_id, owner]
        with self._writing(self._quick) as connection:
            connection.execute(query, values)
        return self.wanted(job_id, owner)

    def wanted(self, job_id: str, owner: str) -> Wanted | None:
        """What is wanted of an attempt; None where it lost the job."""
        query = "SELECT wanted FROM jobs WHERE id = ? AND owner = ? AND state = 'running'"
        rows = self._read(query, [job_id, owner])
        return rows[0][0] if rows else None

    def reserve(self, job_id: str, owner: str, reserved: Spent) -> bool:
        """Record the most that may be spent now; False where the attempt lost the job."""
        query = "UPDATE jobs SET reserved = ? WHERE id = ? AND owner = ?"
        with self._writing(self._quick) as connection:
            done = connection.execute(query, [_to_column(reserved), job_id, owner]).rowcount
        return bool(done)

    def expire(self, now: float) -> None:
        """Let jobs that have ended expire when their time is over."""
        query = "UPDATE jobs SET state = 'expired' WHERE expires <= ? AND state <> 'expired'"
        with self._writing(self._connection) as connection:
            connection.execute(query, [now])

    def delete(self, job_id: str) -> None:
        """Remove the row of a job that has expired."""
        with self._writing(self._connection) as connection:
            connection.execute("DELETE FROM jobs WHERE id = ? AND state = 'expired'", [job_id])


def _marks(items: Collection[object]) -> str:
    return ", ".join("?" * len(items))


def _to_column(value: Any) -> Any:
    return value.model_dump_json() if isinstance(value, BaseModel) else value


def _job(row: tuple[Any, ...]) -> Job:
    values = dict(zip(_COLUMNS, row, strict=True))
    parts = {name: json.loads(values[name]) for name in _JSON if values[name] is not None}
    return Job.model_validate(values | parts)
