"""One SQLite file of finished calls, for sampling, questions and judging.

The rule that makes a rerun free: a call is stored under its content key, in the same transaction
as every other call of its batch, before its result is used. A killed process therefore loses only
what was in flight, and a batch is either completely stored or not at all.

Failures are rows, too: a rerun uses them like replies, unless `retry_failed` is set. Calls under
way are leased (annotator/calls/leases.py), so that two users of a file never make the same call.
Replies are committed in groups (annotator/calls/group_commit.py). No values are kept in memory: a
store may be larger than memory.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from annotator.calls import store_tables as tables
from annotator.calls.group_commit import GroupCommit
from annotator.calls.leases import Leases
from annotator.calls.store_faults import faults_at_opening, faults_in_use
from annotator.calls.store_others import OtherStores
from schemas.errors import InputError

LEASE_S = 15.0
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


class _Process:
    """Identifies this process: a forked child has another number of forks than its parent."""

    num_forks = 0

    @classmethod
    def note_fork(cls) -> None:
        """Count one more fork, in the child."""
        cls.num_forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Process.note_fork)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The result of a claim; keys in neither field are under way elsewhere.

    mine     calls the caller must make, and then store or release
    stored   values that are stored
    """

    mine: set[str]
    stored: dict[str, dict[str, Any]]


class Store:
    """Finished calls by content key. Use it as a context manager, from any thread or event loop.

    Values are JSON objects. A stored value is never changed: the first writer of a key wins, so
    that finished rows never change. Only a failed row is replaced by a later one.

    With `retry_failed`, rows that failed before this store was opened count as absent; those that
    fail later are present, whichever process made the call. A failure has the number of the last
    run that had begun (`begin_run`); no clock decides. `first_run` is for a retry that a later
    process continues: rows that failed before the run with that number (`next_run` at the time of
    the request) count as absent.

    Without `uses_lost`, a call that got no reply counts as absent whenever it failed: each time it
    is needed it is made again. That is for a service, which never ends and so never starts again.

    `lease_s` is how many seconds others wait for the calls of this store when it is stopped or
    unreachable; those of a killed process on the same machine are released at once.

    `claim_wait_s` is how long a claim waits for another program that holds the file. Claims are
    made in event loops, which wait, too; commits of replies always wait long. None:
    as long as they.

    `also` are the stores of the run's other parts (annotator/calls/store_others.py): a call that is
    missing here and stored there is copied before anybody leases it. They may be missing, or in use
    by others, and are not changed.

    A store belongs to one process: a forked child must open its own. A pickled one opens the file
    again where it is unpickled, as another owner of the same run.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        retry_failed: bool = False,
        first_run: int = 0,
        uses_lost: bool = True,
        lease_s: float = LEASE_S,
        claim_wait_s: float | None = None,
        also: Iterable[str | Path] = (),
    ) -> None:
        if not lease_s > 0:
            raise ValueError(f"lease_s is {lease_s}; it must be a positive number of seconds")
        self.path = Path(path)
        self._file = self.path.absolute()  # even if the process changes its folder later
        self._retry_failed = retry_failed
        self._uses_lost = uses_lost
        self._lease_s = lease_s
        self._claim_wait_s = claim_wait_s
        self._others = OtherStores(self._other_files(also))
        self._searched: set[str] = set()  # by `present`, in the other stores
        self._forks = _Process.num_forks
        # One lock for all writes: threads wait here for each other, not in SQLite, which polls.
        self._lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._commits: GroupCommit[_Batch, dict[str, dict[str, Any]]] = GroupCommit(self._commit)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError.of(
                self.path.parent,
                f"cannot be made a folder ({error.strerror}); choose another",
            ) from None
        with faults_at_opening(self.path):
            self._connection = tables.connect(self._file)
            tables.prepare(self._connection, self.path)
            self._reader = tables.connect(self._file)
            self._leases = Leases(self._file, lease_s=lease_s, lock=self._lock, wait_s=claim_wait_s)
            self._first_run = first_run
            if retry_failed:  # failures up to now have lower numbers than the run that begins next
                self._first_run = tables.read_last_run(self._connection) + 1

    def __reduce__(self) -> tuple[object, ...]:
        again = partial(
            Store,
            self._file,
            retry_failed=self._retry_failed,
            uses_lost=self._uses_lost,
            lease_s=self._lease_s,
            claim_wait_s=self._claim_wait_s,
            also=self._others.paths,
        )
        return _reopen, (again, self._first_run)

    def _other_files(self, also: Iterable[str | Path]) -> Iterator[Path]:
        """The files of `also`, each once, without this store's."""
        own = self._file.resolve()
        for path in dict.fromkeys(Path(item).absolute() for item in also):
            if path.resolve() != own:
                yield path

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One thread at a time, with SQLite's errors as sentences."""
        self._check_process()
        with self._lock, faults_in_use(self.path):
            yield self._connection

    @contextmanager
    def _claiming(self) -> Iterator[None]:
        """`_writing` for claims, which wait no longer than `claim_wait_s`."""
        self._check_process()
        with faults_in_use(self.path):
            wait_s = -1 if self._claim_wait_s is None else self._claim_wait_s
            if not self._lock.acquire(timeout=wait_s):
                raise sqlite3.OperationalError("database is locked")
            try:
                yield
            finally:
                self._lock.release()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The same, without waiting for writers."""
        self._check_process()
        with self._read_lock, faults_in_use(self.path):
            yield self._reader

    def _check_process(self) -> None:
        if self._forks != _Process.num_forks:
            raise RuntimeError(
                f"the store {self.path} was opened before this process was forked; open it again "
                "in the child: a connection to SQLite cannot be shared"
            )

    def begin_run(
        self,
        stage: str,
        settings: Mapping[str, Any],
        *,
        models: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, Any] | None:
        """Record a run, its settings and its models (annotator/calls/identity.py).

        Returns the settings of the stage's last run, if any. Call it before any model call.
        """
        with self._writing() as connection, tables.transaction(connection):
            if self._others:  # whose runs search this store as well
                tables.add_key_index(connection)
            last = tables.read_last_settings(connection, stage)
            tables.insert_run(connection, stage, _to_json(settings), _to_json(models))
            return json.loads(last) if last else None

    def next_run(self) -> int:
        """The number that the next run will have."""
        with self._reading() as connection:
            return tables.read_last_run(connection) + 1

    def models_of_runs(self) -> list[list[dict[str, Any]]]:
        """What `begin_run` was given as `models`, the newest run first; runs without models are
        left out. Those of the other stores follow.

        Consecutive equal ones are returned once.
        """
        with self._reading() as connection:
            texts = dict.fromkeys(tables.read_models(connection))
        texts |= dict.fromkeys(self._others.models())
        return [json.loads(text) for text in texts]

    def has_kind(self, kind: str) -> bool:
        """Whether this store, or another one of the run, holds a call of `kind`."""
        with self._reading() as connection:
            if tables.has_kind(connection, kind):
                return True
        return self._others.has_kind(kind)

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The values of those of `keys` that are stored."""
        with self._reading() as connection:
            return self._values(connection, keys)

    def peek_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """`get_many` of this store and the run's other ones; writes nothing."""
        keys = list(keys)
        found = self.get_many(keys)
        if self._others:
            rows = self._find_elsewhere(key for key in keys if key not in found)
            found |= {row[0]: json.loads(row[2]) for row in rows}
        return found

    def _find_elsewhere(self, keys: Iterable[str]) -> list[tables.Row]:
        return self._others.find(
            keys, with_failed=not self._retry_failed, with_lost=self._uses_lost
        )

    def _values(
        self, connection: sqlite3.Connection, keys: Iterable[str]
    ) -> dict[str, dict[str, Any]]:
        found = tables.find_calls(
            connection,
            keys,
            first_run=self._first_run,
            columns="key, value",
            with_lost=self._uses_lost,
        )
        return {key: json.loads(value) for key, value in found}

    def present(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are stored, without reading their values.

        The other stores are searched for each key once; `claim_missing` searches them every time.
        """
        keys = list(keys)
        if self._others:
            self.fetch(new := [key for key in keys if key not in self._searched])
            self._searched.update(new)
        return self._present(keys)

    def _present(self, keys: Iterable[str]) -> set[str]:
        with self._reading() as connection:
            found = tables.find_calls(
                connection, keys, first_run=self._first_run, with_lost=self._uses_lost
            )
            return {key for (key,) in found}

    def fetch(self, keys: Iterable[str]) -> int:
        """Copy those of `keys` that are missing here and stored in another store of the run.

        Calls that failed there are copied, too, unless `retry_failed`. Returns how many were found.
        """
        num_found = 0
        if not self._others:
            return num_found
        for batch in tables.batches(dict.fromkeys(keys)):
            found = self._find_elsewhere(set(batch) - self._present(batch))
            if not found:
                continue
            num_found += len(found)
            with self._writing() as connection, tables.transaction(connection):
                run = max(self._first_run, tables.read_last_run(connection))
                for row in found:
                    tables.insert_call(connection, row, run)
        return num_found

    def submit(
        self,
        kind: str,
        values: Mapping[str, Mapping[str, Any]],
        *,
        failed: Collection[str] = frozenset(),
    ) -> Future[dict[str, dict[str, Any]]]:
        """Store finished calls soon, together with those of other callers; returns at once.

        The future gives the values that are stored under the keys of `values`, which may be those
        of an earlier writer, once they are safely on disk. It raises what `put_many` raises. Its
        callbacks run in the thread that commits. A cancelled future does not undo a submission.

        `kind` names the type of call, such as a policy's or a judge's; `values` maps a content
        key (64 hex digits) to a JSON object; `failed` are the keys of `values` that count as
        failures. Raises sqlite3.ProgrammingError when the store is closed.
        """
        self._check_process()
        batch = _Batch.of(kind, values, failed)
        try:
            return self._commits.submit(batch)
        except RuntimeError:
            raise sqlite3.ProgrammingError(f"the store {self.path} is closed") from None

    def put_many(
        self,
        kind: str,
        values: Mapping[str, Mapping[str, Any]],
        *,
        failed: Collection[str] = frozenset(),
    ) -> None:
        """Store finished calls in one transaction and release their leases.

        Keys already there keep their value, unless it is a failed one; `failed` names the keys
        of `values` that are failures. Raises BackendError, with nothing of `values` stored, when
        the disk is full or another process holds the file too long; InputError when the file is
        damaged.
        """
        if values:
            self._store([_Batch.of(kind, values, failed)])

    def _commit(self, batches: Sequence[_Batch]) -> list[dict[str, dict[str, Any]]]:
        texts = self._store(batches)
        with faults_in_use(self.path):
            return [{row[0]: json.loads(texts[row[0]]) for row in batch.rows} for batch in batches]

    def _store(self, batches: Sequence[_Batch]) -> dict[str, str]:
        """Commit `batches` together; returns what is stored under their keys now."""
        rows = [row for batch in batches for row in batch.rows]
        now: dict[str, str] = {}
        others: list[str] = []
        with self._writing() as connection:
            with tables.transaction(connection):
                run = max(self._first_run, tables.read_last_run(connection))
                for row in rows:
                    if tables.insert_call(connection, row, run):
                        now[row[0]] = row[2]
                    else:
                        others.append(row[0])
                now.update(tables.find_calls(connection, others, columns="key, value"))
                tables.delete_leases(connection, (row[0] for row in rows))
            self._leases.forget(row[0] for row in rows)
        return now

    def mark_failed(self, keys: Iterable[str]) -> None:
        """Count stored calls as failed: they have replies that could not be used."""
        keys = list(keys)
        if not keys:
            return
        with self._writing() as connection, tables.transaction(connection):
            run = max(self._first_run, tables.read_last_run(connection))
            tables.mark_failed(connection, keys, run)

    def mark_good(self, keys: Iterable[str]) -> None:
        """Count stored replies that were marked as failed as good: they gave a result after all.

        This happens where the reading of replies was corrected since. Calls without a reply stay
        failed.
        """
        columns = "key, failed, substr(value, 1, 10)"
        with self._reading() as connection:
            found = tables.find_calls(connection, keys, first_run=self._first_run, columns=columns)
            failed = [key for key, is_failed, begin in found if is_failed and begin != tables.LOST]
        if failed:
            with self._writing() as connection, tables.transaction(connection):
                tables.mark_good(connection, failed)

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that the caller must make; the rest are under way elsewhere.

        A key is given out once: not again to this store either, until it is stored or released.
        Pass every returned key to `submit`, `put_many` or `release`. Raises BackendError when the
        disk is full or another process holds the file too long; InputError when it is damaged.
        """
        with self._claiming():
            with self._leases.changing():
                mine = self._leases.take(keys)
            self._leases.keep(mine)
        return mine

    def claim_missing(self, keys: Iterable[str]) -> Claimed:
        """`claim` for keys that are not stored, and the values of those that are, in one step.

        Where another store held a key a moment ago, its reply is returned: it is stored before its
        lease ends. Call this again for keys in neither, a few times per second.
        """
        wanted = list(dict.fromkeys(keys))
        self.fetch(wanted)
        with self._claiming():
            with self._leases.changing() as connection:
                stored = self._values(connection, wanted)
                mine = self._leases.take(key for key in wanted if key not in stored)
            self._leases.keep(mine)
        return Claimed(mine=mine, stored=stored)

    def release(self, keys: Iterable[str]) -> None:
        """Release claimed keys whose calls were not made after all; other keys are not changed.

        A closed store has released all.
        """
        with self._writing():
            self._leases.release(list(keys))

    def count(self, kind: str, *, failed: bool | None = None) -> int:
        """How many calls of `kind` the store holds: all, the failed, or the good ones."""
        with self._reading() as connection:
            return tables.count_calls(connection, kind, failed)

    def close(self) -> None:
        """Commit what was submitted, release what was claimed, close; safe to call twice."""
        if self._forks != _Process.num_forks:
            return  # everything belongs to the parent
        self._commits.close()
        self._leases.close()
        self._others.close()
        with self._lock, self._read_lock:
            self._reader.close()
            self._connection.close()  # closed last: this safely moves the log into the file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """Calls of one submission, as rows."""

    rows: list[tables.Row]

    @classmethod
    def of(
        cls, kind: str, values: Mapping[str, Mapping[str, Any]], failed: Collection[str]
    ) -> _Batch:
        rows = [(key, kind, _to_json(value), key in failed) for key, value in values.items()]
        return cls(rows=rows)


def _reopen(again: Callable[[], Store], first_run: int) -> Store:
    """A store as it was pickled: calls that failed since the pickled store was opened are
    present."""
    store = again()
    store._first_run = first_run
    return store


def _to_json(value: object) -> str:
    text = _ENCODER.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no file in UTF-8 can hold
        return json.dumps(value, sort_keys=True)
    return text
