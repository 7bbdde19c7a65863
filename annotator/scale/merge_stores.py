"""Joins the stores of the parts of a run into one store.

The rule: of each key the first reply is kept, and a reply is kept rather than a failure; nothing in
the target is lost. The sources are read side by side in the order of their keys, so the target is
written once from its beginning to its end, however many sources there are. A batch is stored
completely or not at all, together with how far the merge has come: a merge that was stopped
continues there.

The sources are not changed, and may be in use: what they store later is merged the next time.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotator.calls import store_tables as tables
from annotator.calls.store_faults import faults_at_opening, faults_in_use
from annotator.calls.store_others import FILES_EACH, is_on_network, make_room, open_to_read
from annotator.calls.store_takeover import describe_store
from schemas.errors import Fault, InputError
from schemas.events import Advanced, Ended, OnEvent, Started, ignore

STAGE = "merge stores"
_STAGE_OF_MARK = "merged"  # the name under which a merge is recorded among the target's runs
_READ_ROWS = 50  # of one source at a time, at most
_MOST_ROWS = 20_000  # of all sources in memory
_MOST_OPEN = 512  # sources that stay open: each needs memory and three files
_BATCH_BYTES = 8 << 20  # of values in one transaction

_Call = tuple[str, bool, int, str, str, str]  # key, failed, place of the source, kind, value, time


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedStores:
    """What a merge did: calls of the sources that were read, and those that the target lacked."""

    num_read: int = 0
    num_new: int = 0


def merge_stores(
    target: Path, sources: Sequence[Path], *, on_event: OnEvent = ignore
) -> MergedStores:
    """Copy into the store `target` all calls of `sources` that it lacks, and their last runs.

    Leases are not copied, nor verdicts that early versions stored. Sources that have not changed
    since they were merged into `target` are not read again. Raises InputError for a source that is
    missing, damaged or newer, BackendError for a full disk or a file that another process holds too
    long: then all batches before are stored.
    """
    sources = _without(target, sources)
    target.parent.mkdir(parents=True, exist_ok=True)
    with faults_at_opening(target):
        connection = tables.connect(target)
    with closing(connection):
        with faults_at_opening(target):
            tables.prepare(connection, target)
        with ExitStack() as stack:
            reads = _Reads.of(len(sources))
            readers = [_Reader(path, place, reads, stack) for place, path in enumerate(sources)]
            return _Merge(connection, target, readers, on_event).run()


def _without(target: Path, sources: Sequence[Path]) -> list[Path]:
    found = {path.resolve(): path for path in sources}
    found.pop(target.resolve(), None)
    if missing := [path for path in found.values() if not path.is_file()]:
        raise InputError(
            [Fault(path=str(path), line=None, message="not found") for path in missing]
        )
    return list(found.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reads:
    """How many rows are read of a source at once, and whether it stays open between two reads."""

    rows: int
    stay_open: bool

    @classmethod
    def of(cls, num_sources: int) -> _Reads:
        return cls(
            rows=max(1, min(_READ_ROWS, _MOST_ROWS // max(num_sources, 1))),
            stay_open=num_sources <= _MOST_OPEN and make_room(FILES_EACH * num_sources),
        )


class _Reader:
    """The calls of one source in the order of their keys, without a lock between two reads."""

    def __init__(self, path: Path, place: int, reads: _Reads, stack: ExitStack) -> None:
        self.path = path
        self._place = place
        self._reads = reads
        self._kept: sqlite3.Connection | None = None
        self.described = json.dumps(describe_store(path))
        self._is_shared = is_on_network(path)
        if self._is_shared and path.with_name(path.name + "-wal").exists():
            raise InputError.of(
                path,
                "is in use, or its last run was killed (it has a log, NAME-wal), and is on a "
                "network file system; wait for its run, or run its part again on one machine",
            )
        with self._opened() as connection, faults_at_opening(path):
            version = tables.read_version(connection)
            tables.check_version(version, path)
            if version == 0 or not tables.has_tables(connection):
                raise InputError.of(path, "is not a store of maskdpo; leave it out")
        self._failed = "failed" if version >= 2 else "0"
        self._has_runs = version >= 3
        if reads.stay_open:
            self._kept = stack.enter_context(closing(self._open()))

    def _open(self) -> sqlite3.Connection:
        with faults_at_opening(self.path):
            return open_to_read(self.path, is_closed=self._is_shared)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self._kept is not None:
            yield self._kept
            return
        with closing(self._open()) as connection:
            yield connection

    def calls(self, after: str) -> Iterator[_Call]:
        """The calls with keys behind `after`."""
        limit = self._reads.rows
        while True:
            with self._opened() as connection, faults_in_use(self.path):
                rows = tables.next_calls(connection, after, limit, self._failed)
            for key, kind, value, created, failed in rows:
                yield key, bool(failed), self._place, kind, value, created
            if len(rows) < limit:
                return
            after = rows[-1][0]

    def last_runs(self) -> list[tuple[str, str, str, str]]:
        """(stage, settings, models, time) of the last run of each stage."""
        if not self._has_runs:
            return []
        with self._opened() as connection, faults_in_use(self.path):
            return tables.read_last_runs(connection)


class _Merge:
    """One merge of `readers` into the store that `connection` has open."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        target: Path,
        readers: Sequence[_Reader],
        on_event: OnEvent,
    ) -> None:
        self._connection = connection
        self._target = target
        self._readers = [reader for reader in readers if not self._is_merged(reader)]
        self._on_event = on_event
        self._num_read = self._num_new = 0
        # What is merged, by name and state: a merge of the same files continues an earlier one.
        self._state = json.dumps(sorted(reader.described for reader in self._readers))

    def run(self) -> MergedStores:
        """Merge, and record it."""
        if not self._readers:
            return MergedStores()
        self._on_event(Started(stage=STAGE, total=None, unit="call"))
        try:
            after = self._continued()
            calls = heapq.merge(*(reader.calls(after) for reader in self._readers))
            for batch in _batches(calls):
                with faults_in_use(self._target), tables.transaction(self._connection):
                    for row in batch:
                        self._num_new += self._store(row)
                    self._mark(batch[-1][0])
                self._num_read += len(batch)
                self._on_event(Advanced(stage=STAGE, count=len(batch)))
            self._end()
        finally:
            self._on_event(Ended(stage=STAGE))
        return MergedStores(num_read=self._num_read, num_new=self._num_new)

    def _store(self, call: _Call) -> bool:
        key, failed, _, kind, value, created = call
        return tables.insert_merged(self._connection, (key, kind, value, failed), created)

    def _is_merged(self, reader: _Reader) -> bool:
        return tables.has_run(self._connection, _STAGE_OF_MARK, reader.described)

    def _continued(self) -> str:
        """The last key of an earlier merge of the same files that was stopped; "" for none."""
        with faults_in_use(self._target):
            text = tables.read_last_settings(self._connection, STAGE)
        values = json.loads(text) if text else {}
        return str(values["after"]) if values.get("of") == self._state else ""

    def _mark(self, key: str) -> None:
        """Record how far the merge has come, in the transaction of the batch."""
        tables.delete_runs(self._connection, STAGE)
        settings = json.dumps({"of": self._state, "after": key})
        tables.insert_run(self._connection, STAGE, settings)

    def _end(self) -> None:
        """Record the sources as merged, and their last runs as runs of the target."""
        runs = sorted(
            {run for reader in self._readers for run in reader.last_runs()},
            key=lambda run: (run[3], run),
        )
        with faults_in_use(self._target), tables.transaction(self._connection):
            tables.delete_runs(self._connection, STAGE)
            newest_first = dict.fromkeys(run[:3] for run in reversed(runs))
            for stage, settings, models in reversed(newest_first):
                if stage != _STAGE_OF_MARK:
                    tables.insert_run(self._connection, stage, settings, models)
            for reader in self._readers:
                tables.insert_run(self._connection, _STAGE_OF_MARK, reader.described)


def _batches(calls: Iterable[_Call]) -> Iterator[list[_Call]]:
    """Calls in groups of about `_BATCH_BYTES`; of each key the best comes first."""
    batch: list[_Call] = []
    size = 0
    for call in calls:
        batch.append(call)
        size += len(call[4]) + len(call[0])
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
