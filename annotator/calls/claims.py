"""Who is asking what: so that two stores on one file never pay for one call twice.

A call is claimed before it is asked and let go when it is stored. A claim names its owner by
process id, start time and a token that each open store has for itself. The claim of a process
that has ended, or of a store that was closed, is void. SQLite's write-ahead log works
on one machine only, so process ids are enough. Claims need no power-cut safety, so this connection
does not wait for the disk.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterable
from pathlib import Path

from annotator.calls.store_tables import connect, transaction

_START_TOLERANCE_S = 1.0  # clocks are read in ticks
# Tokens of this process's open stores. Adding and discarding are atomic in CPython.
_OPEN: set[str] = set()

Owner = tuple[int, float, str]


class Claims:
    """The claims of one open store in the file at `path`, and those of others.

    The table is the store's (annotator/calls/store_tables.py). Raises sqlite3's own errors, which
    the store turns into sentences.
    """

    def __init__(self, path: Path) -> None:
        import psutil

        self._connection = connect(path)
        self._connection.execute("PRAGMA synchronous=OFF")
        self._me: Owner = (os.getpid(), psutil.Process().create_time(), uuid.uuid4().hex)
        _OPEN.add(self._me[2])

    def claim(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that are this store's to ask; the rest are under way elsewhere."""
        wanted = list(keys)
        holds: dict[Owner, bool] = {self._me: False}
        with transaction(self._connection):
            return {key for key in wanted if self._claim_one(key, holds)}

    def _claim_one(self, key: str, holds: dict[Owner, bool]) -> bool:
        """Take one; `holds` remembers which other owners are there to hold a claim."""
        owner = self._connection.execute(
            "SELECT process, started, owner FROM claims WHERE key = ?", (key,)
        ).fetchone()
        if owner is not None and owner not in holds:
            holds[owner] = self._is_held(owner)
        if owner is not None and holds[owner]:
            return False
        self._connection.execute(
            "INSERT OR REPLACE INTO claims (key, process, started, owner) VALUES (?, ?, ?, ?)",
            (key, *self._me),
        )
        return True

    def _is_held(self, owner: Owner) -> bool:
        process, started, token = owner
        if process == self._me[0] and abs(started - self._me[1]) < _START_TOLERANCE_S:
            return token in _OPEN
        return is_alive(process, started)

    def release(self, keys: Iterable[str]) -> None:
        """Let go of calls that were not made after all."""
        rows = [(key, self._me[2]) for key in keys]
        if rows:
            with transaction(self._connection):
                self._connection.executemany("DELETE FROM claims WHERE key = ? AND owner = ?", rows)

    def close(self) -> None:
        """Let go of everything; safe to call twice."""
        token = self._me[2]
        if token not in _OPEN:
            return
        _OPEN.discard(token)
        try:
            self._connection.execute("DELETE FROM claims WHERE owner = ?", (token,))
        except sqlite3.DatabaseError:
            # A damaged or locked store: its claims end with this store anyway.
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
