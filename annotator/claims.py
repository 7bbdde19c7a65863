"""Which process is asking what: so that two runs on one store never pay for one call twice.

A call is claimed before it is asked and let go when it is stored. The claim of a process that is
no more counts for nothing: a claim names its owner by process id and start time, which SQLite's
write-ahead log makes enough, since it works on one machine only. Claims need no power-cut
safety, so this connection does not wait for the disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

_START_TOLERANCE_S = 1.0  # clocks are read in ticks


class Claims:
    """The claims of this process in the store at `path`, and those of others.

    The table is the store's (annotator/store.py). Raises sqlite3's own errors, which the store
    says as sentences.
    """

    def __init__(self, path: Path) -> None:
        import psutil

        self._connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=OFF")
        self._process = os.getpid()
        self._started = psutil.Process().create_time()
        self._is_open = True

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are this process's to ask; the others are under way elsewhere."""
        wanted = list(keys)
        alive: dict[tuple[int, float], bool] = {(self._process, self._started): False}
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            mine = {key for key in wanted if self._claim_one(key, alive)}
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
        return mine

    def _claim_one(self, key: str, alive: dict[tuple[int, float], bool]) -> bool:
        """Take one; `alive` remembers which other owners were found alive."""
        owner = self._connection.execute(
            "SELECT process, started FROM claims WHERE key = ?", (key,)
        ).fetchone()
        if owner is not None and owner not in alive:
            alive[owner] = is_alive(*owner)
        if owner is not None and alive[owner]:
            return False
        self._connection.execute(
            "INSERT OR REPLACE INTO claims (key, process, started) VALUES (?, ?, ?)",
            (key, self._process, self._started),
        )
        return True

    def release(self, keys: Iterable[str]) -> None:
        """Let go of calls that were not made after all."""
        self._connection.executemany(
            "DELETE FROM claims WHERE key = ? AND process = ? AND started = ?",
            [(key, self._process, self._started) for key in keys],
        )

    def close(self) -> None:
        """Let go of everything; safe to call twice."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._connection.execute(
                "DELETE FROM claims WHERE process = ? AND started = ?",
                (self._process, self._started),
            )
        except sqlite3.DatabaseError:
            # A damaged or locked store: its claims end with this process anyway.
            pass
        finally:
            self._connection.close()


def is_alive(process: int, started: float) -> bool:
    """Whether the process of that id that started at that time still runs."""
    import psutil

    try:
        found = psutil.Process(process)
        dead = found.status() == psutil.STATUS_ZOMBIE
        return not dead and abs(found.create_time() - started) < _START_TOLERANCE_S
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
