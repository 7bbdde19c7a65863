"""One SQLite file of finished calls, for sampling, questions and judging alike.

The rule that makes a rerun free: a call is stored under its content key, in the same transaction
as every other call of its batch, before anyone sees its result. A killed process therefore loses
what was in flight and nothing else, and a batch is either wholly there or wholly absent.

Failures are rows, too: a rerun serves them as it serves replies, until `retry_failed` is asked
for. What is under way is claimed (annotator/calls/claims.py), so that two stores on one file never
ask the same. Nothing is held in memory: a store may grow past it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from annotator.calls.claims import Claims
from annotator.calls.store_faults import faults_at_opening, faults_in_use
from annotator.calls.store_tables import connect, prepare, transaction
from schemas.errors import InputError

_FAILURE = '{"failure"'  # how the value of a call without a reply begins (stored_calls.py)
_LOOKUP_BATCH = 500  # below SQLite's default limit of 999 variables per statement
_LAST_RUN = "(SELECT coalesce(max(id), 0) FROM runs)"


class Store:
    """Finished calls by content key. Use it as a context manager, from any thread.

    Values are JSON objects. A stored value is never changed: the first writer of a key wins, so
    that finished rows stay what they were. Only a failed row gives way to a later one.

    With `retry_failed`, rows that failed before this store was opened count as absent; those that
    fail from then on are there, whichever process asked. A failure has the number of the last run
    that had begun (`begin_run`); no clock decides.
    """

    def __init__(self, path: str | Path, *, retry_failed: bool = False) -> None:
        self.path = Path(path)
        self._retry_failed = retry_failed
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError.of(
                self.path.parent,
                f"cannot be made a folder ({error.strerror}); choose another",
            ) from None
        with faults_at_opening(self.path):
            self._connection = connect(self.path)
            prepare(self._connection, self.path)
            self._claims = Claims(self.path)
            self._first_run = self._next_run() if retry_failed else 0

    def _next_run(self) -> int:
        """The number of the run that begins next: failures up to now have lower ones."""
        return int(self._connection.execute(f"SELECT {_LAST_RUN}").fetchone()[0]) + 1

    @contextmanager
    def _using(self) -> Iterator[None]:
        """One thread at a time, with SQLite's errors as sentences."""
        with self._lock, faults_in_use(self.path):
            yield

    def begin_run(
        self,
        stage: str,
        settings: Mapping[str, Any],
        *,
        models: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any] | None:
        """Record a run, its settings and what its models were (annotator/calls/identity.py).

        Returns the settings of the stage's last run, if any. Call it before anything is asked.
        """
        with self._using(), transaction(self._connection):
            last = self._connection.execute(
                "SELECT settings FROM runs WHERE stage = ? ORDER BY id DESC LIMIT 1", (stage,)
            ).fetchone()
            self._connection.execute(
                "INSERT INTO runs (stage, settings, models) VALUES (?, ?, ?)",
                (stage, _to_json(settings), _to_json(models)),
            )
            return json.loads(last[0]) if last else None

    def models_of_runs(self) -> list[list[dict[str, Any]]]:
        """What `begin_run` was given as `models`, the newest run first; runs without any left out.

        Equal ones in a row are one.
        """
        with self._using():
            rows = self._connection.execute(
                "SELECT models FROM runs WHERE models <> '[]' ORDER BY id DESC"
            ).fetchall()
            texts = dict.fromkeys(text for (text,) in rows)
            return [json.loads(text) for text in texts]

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The stored values of those keys that are there."""
        with self._using():
            return {key: json.loads(value) for key, value in self._lookup("key, value", keys)}

    def present(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are stored, without reading their values."""
        with self._using():
            return {key for (key,) in self._lookup("key", keys)}

    def _lookup(
        self, columns: str, keys: Iterable[str], condition: str = ""
    ) -> Iterator[tuple[Any, ...]]:
        valid = "AND (failed = 0 OR failed_run >= ?)" if self._retry_failed else ""
        extra = [self._first_run] if self._retry_failed else []
        for batch in _batches(keys, _LOOKUP_BATCH):
            marks = ",".join("?" * len(batch))
            yield from self._connection.execute(
                f"SELECT {columns} FROM calls WHERE key IN ({marks}) {valid} {condition}",
                [*batch, *extra],
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
        rows = [
            (key, kind, _to_json(value), int(key in failed), self._first_run)
            for key, value in values.items()
        ]
        if not rows:
            return
        with self._using(), transaction(self._connection):
            self._connection.executemany(
                "INSERT INTO calls (key, kind, value, failed, failed_run)"
                f" VALUES (?, ?, ?, ?, max(?, {_LAST_RUN}))"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value,"
                " failed = excluded.failed, failed_run = excluded.failed_run WHERE calls.failed",
                rows,
            )
            self._connection.executemany(
                "DELETE FROM claims WHERE key = ?", [(row[0],) for row in rows]
            )

    def submit(
        self,
        kind: str,
        values: Mapping[str, Mapping[str, Any]],
        *,
        failed: Collection[str] = frozenset(),
    ) -> Future[dict[str, dict[str, Any]]]:
        """TEMPORARY"""
        future: Future[dict[str, dict[str, Any]]] = Future()
        try:
            self.put_many(kind, values, failed=failed)
            future.set_result(self.get_many(values))
        except Exception as error:
            future.set_exception(error)
        return future

    def mark_failed(self, keys: Iterable[str]) -> None:
        """Count stored calls as failed: their replies came, and were of no use."""
        rows = [(self._first_run, key) for key in keys]
        if not rows:
            return
        with self._using(), transaction(self._connection):
            self._connection.executemany(
                f"UPDATE calls SET failed = 1, failed_run = max(?, {_LAST_RUN})"
                " WHERE key = ? AND NOT failed",
                rows,
            )

    def mark_good(self, keys: Iterable[str]) -> None:
        """Count stored replies as good that were marked as failed: they came to a result after all.

        So it is where reading was corrected since. Calls without a reply stay failed.
        """
        with self._using():
            failed = [
                key
                for key, begin in self._lookup("key, substr(value, 1, 10)", keys, "AND failed = 1")
                if begin != _FAILURE
            ]
            if failed:
                with transaction(self._connection):
                    self._connection.executemany(
                        "UPDATE calls SET failed = 0 WHERE key = ?", [(key,) for key in failed]
                    )

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are this store's to ask; the rest are under way elsewhere."""
        with self._using():
            return self._claims.claim(keys)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of claims whose calls were not made after all."""
        with self._using():
            self._claims.release(keys)

    def count(self, kind: str, *, failed: bool | None = None) -> int:
        """How many calls of `kind` the store holds: all, the failed, or the good ones."""
        query = "SELECT count(*) FROM calls WHERE kind = ?"
        if failed is not None:
            query += " AND failed = 1" if failed else " AND failed = 0"
        with self._using():
            return int(self._connection.execute(query, (kind,)).fetchone()[0])

    def close(self) -> None:
        """Close the file and let go of what was claimed; safe to call twice."""
        with self._lock:
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


def _to_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no file in UTF-8 can hold
        return json.dumps(value, sort_keys=True)
    return text


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
