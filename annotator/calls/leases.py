"""Leases of calls: no call is paid for twice, even if several processes share the file of a store.

The rules:

- a call is leased before it is sent, and its lease ends when its reply is stored;
- a lease names its owner, a random token, a different one for each open store. While an owner has
  leases it counts its heartbeats in the file;
- an observer considers an owner dead when its count has not changed for the `lease_s` that the
  owner promised, by the observer's own monotonic clock, or when its lock shows that it has ended
  (annotator/calls/owner_lock.py), or when it is not in the table. Its leases are void then.

Wall clocks, process ids and host names are not used, so clock steps and other containers on the
volume do no harm. An owner that was considered dead and continues loses no reply: the first reply
stored under a key counts. Leases need not survive a power cut, so this connection does not wait for
the disk.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from annotator.calls import store_tables as tables
from annotator.calls.owner_lock import OwnerLock, has_ended, remove_lock

_BEATS_PER_LEASE = 5
# The most that one look may add to an owner's silence, as a share of its lease: an observer that
# was itself stopped for long (a paused machine stops all containers) gives the owner time for a
# heartbeat.
_MOST_PER_LOOK = 0.34


@dataclass(kw_only=True)
class _Seen:
    beats: int
    looked_s: float
    silence_s: float = 0.0


class Watch:
    """How long other owners have been silent, by this process's own clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}

    def is_silent(self, owner: str, beats: int, lease_s: float) -> bool:
        """Whether the owner's count has stayed the same for its whole lease, in several looks."""
        now = self._clock()
        seen = self._seen.get(owner)
        if seen is None or seen.beats != beats:
            self._seen[owner] = _Seen(beats=beats, looked_s=now)
            return False
        seen.silence_s += min(now - seen.looked_s, lease_s * _MOST_PER_LOOK)
        seen.looked_s = now
        return seen.silence_s >= lease_s

    def forget_all_but(self, owners: Collection[str]) -> None:
        """Keep only owners that are still there."""
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in owners}


class Leases:
    """The leases of one open store in the file at `path`, and its view of the leases of others.

    `lock` is the store's lock for all writes, `wait_s` how long to wait for other programs. Raises
    sqlite3's errors, which the store turns into sentences.
    """

    def __init__(
        self, path: Path, *, lease_s: float, lock: threading.RLock, wait_s: float | None
    ) -> None:
        self._path = path
        self._lease_s = lease_s
        self._lock = lock
        self._connection = tables.connect_unsafe(path, wait_s=wait_s)
        self._me = uuid.uuid4().hex
        self._beats = 0
        self._held: set[str] = set()
        self._watch = Watch()
        self._owner_lock: OwnerLock | None = None
        self._heart: threading.Thread | None = None
        self._closing = threading.Event()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which `take` may be called; the caller must hold the store's lock."""
        if self._heart is None and not self._closing.is_set():
            # The lock file is made before the first row: a row whose lock is free belongs to a dead
            # owner.
            self._owner_lock = OwnerLock(self._path, self._me)
            self._heart = threading.Thread(target=self._beat, name="store-heartbeat", daemon=True)
            self._heart.start()
        with tables.transaction(self._connection):
            yield self._connection

    def take(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that this store leases now; the rest are leased, here or elsewhere.

        Call `keep` with them when the transaction has been committed.
        """
        return {key for key in dict.fromkeys(keys) if key not in self._held and self._take(key)}

    def keep(self, keys: Iterable[str]) -> None:
        """Record the leases that were taken."""
        self._held.update(keys)

    def _take(self, key: str) -> bool:
        if tables.insert_lease(self._connection, key, self._me):
            return True
        if tables.read_owner(self._connection, self._me) is None:
            # The first lease, or one after others called this owner dead.
            tables.write_owner(self._connection, self._me, self._beats, self._lease_s)
        owner = tables.find_lease(self._connection, key)
        if owner is not None and owner != self._me:
            if not self._is_dead(owner):
                return False
            self._clear_away(owner)
        return owner == self._me or tables.insert_lease(self._connection, key, self._me)

    def _is_dead(self, owner: str) -> bool:
        row = tables.read_owner(self._connection, owner)
        if row is None or has_ended(self._path, owner):
            return True
        return self._watch.is_silent(owner, *row)

    def _clear_away(self, owner: str) -> None:
        tables.delete_owner(self._connection, owner)
        remove_lock(self._path, owner)

    def release(self, keys: Collection[str]) -> None:
        """Release calls that were not made after all.

        Where a full disk prevents deleting the rows, this store can still take them again.
        """
        if keys and not self._closing.is_set():
            self.forget(keys)
            with tables.transaction(self._connection):
                tables.release_leases(self._connection, keys, self._me)

    def forget(self, keys: Iterable[str]) -> None:
        """Record that the leases of `keys` were deleted when their calls were stored."""
        self._held.difference_update(keys)

    def _beat(self) -> None:
        """Count heartbeats until the store is closed, and remove dead owners."""
        while not self._closing.wait(self._lease_s / _BEATS_PER_LEASE):
            # Where it cannot be written now, the next beat may be in time.
            with suppress(sqlite3.Error), self._lock, tables.transaction(self._connection):
                self._beats += 1
                tables.write_owner(self._connection, self._me, self._beats, self._lease_s)
                others = set(tables.list_owners(self._connection)) - {self._me}
                for owner in filter(self._is_dead, others):
                    self._clear_away(owner)
                self._watch.forget_all_but(others)

    def close(self) -> None:
        """Release everything; safe to call twice."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._heart is not None:
            self._heart.join()
        with self._lock:
            # Where rows of a damaged or locked store cannot be deleted, the released lock still
            # voids them.
            with suppress(sqlite3.DatabaseError), tables.transaction(self._connection):
                tables.delete_owner(self._connection, self._me)
            self._connection.close()
        if self._owner_lock is not None:
            self._owner_lock.release()


def is_anyone_asking(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a living owner has leases in the store at `path`.

    Waits for a heartbeat, up to an owner's lease, where its lock does not show at once.
    """
    watch = Watch()
    first: dict[str, int] = {}
    while True:
        pauses = []
        for owner in tables.find_leaseholders(connection):
            row = tables.read_owner(connection, owner)
            ended = row is None or has_ended(path, owner)
            if ended is False or (row and first.setdefault(owner, row[0]) != row[0]):
                return True
            if not ended and row and not watch.is_silent(owner, *row):
                pauses.append(row[1] / _BEATS_PER_LEASE)
        if not pauses:
            return False
        time.sleep(min(pauses))
