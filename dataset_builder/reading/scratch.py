"""The scratch database of a build: what is too large for memory, on disk next to the output.

The rule: one process fills it, and only after it has called `share` do other processes read it. So
no lock and no journal are needed, and the file is removed with its folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from schemas.errors import BackendError

_CACHE_KB = 32_768
_READER_CACHE_KB = 8_192
_Value = str | int | float | bytes | None


class Scratch:
    """A connection to the database; a pickled one opens it again, for reading only."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        mode = "mode=ro&immutable=1" if read_only else "mode=rwc"
        self._connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None
        )
        folder = str(path.parent).replace("'", "''")
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            f"PRAGMA cache_size=-{_READER_CACHE_KB if read_only else _CACHE_KB}",
            "PRAGMA temp_store=FILE",
            f"PRAGMA temp_store_directory='{folder}'",
            *(() if read_only else ("BEGIN",)),  # one transaction until `share`
        ):
            self._connection.execute(statement)

    @property
    def folder(self) -> Path:
        """The folder of the database, for other files of the same life."""
        return self._path.parent

    def __reduce__(self) -> tuple[object, ...]:
        return _open_read_only, (self._path,)

    def execute(self, statement: str, values: Sequence[_Value] = ()) -> sqlite3.Cursor:
        """Run one statement. Raises BackendError when the disk is full or fails."""
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise self._explain(error) from None

    def add_all(self, statement: str, rows: Iterable[Sequence[_Value]]) -> None:
        """Run a statement for each row of values. Raises as `execute`."""
        try:
            self._connection.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            raise self._explain(error) from None

    def share(self) -> None:
        """Write everything to the file, so that other processes can read it; add nothing later."""
        if self._connection.in_transaction:
            self.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _explain(self, error: sqlite3.OperationalError) -> Exception:
        """One sentence on a disk that is full or fails; any other error is a fault of the code."""
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            return error
        return BackendError(
            f"the scratch file {self._path} cannot be written: {error}; it needs room for the "
            "positions of the input's rows and for their prompts. Make room on this disk, or name "
            "an output on another, and run the command again"
        )


def _open_read_only(path: Path) -> Scratch:
    return Scratch(path, read_only=True)
