"""SQLite's errors as sentences: temporary ones, and ones that the user must fix.

The rule: only an error that proves damage is reported as damage, since the advice is then to move
the file away. A programming error (a closed store, a wrong number of values) is raised unchanged.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import BackendError, InputError, MaskDpoError


class StoreError(BackendError):
    """A store cannot be used now: its file is locked, or its disk is full. Names the file."""


_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_NO_ACCESS = frozenset(
    {
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
    }
)


@contextmanager
def faults_in_use(path: Path) -> Iterator[None]:
    """Errors of an open store: BackendError for temporary errors, InputError for damage."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise
    except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
        if _is_damage(error):
            raise _damaged(path, error) from None
        raise StoreError(
            f"{path}: finished calls cannot be stored or read ({error}); free the "
            "disk or the lock, and rerun to continue"
        ) from None


@contextmanager
def faults_at_opening(path: Path) -> Iterator[None]:
    """Errors of opening a store: not a store, locked, or not writable."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _explain_opening(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError.of(
        path,
        f"is damaged ({error}); move it away to start a new one (files already "
        "written stay valid, and sqlite3's .recover may save its rows)",
    )


def _explain_opening(path: Path, error: sqlite3.DatabaseError) -> MaskDpoError:
    if "locked" in str(error):
        return StoreError(f"{path}: another process holds it ({error}); wait, then rerun")
    if _code(error) in _NO_ACCESS and not path.is_dir():
        return StoreError(
            f"{path}: cannot be opened for writing ({error}); check the permissions and the free "
            "space of its folder, or name another store with --store FILE"
        )
    if _code(error) == sqlite3.SQLITE_CORRUPT:
        return _damaged(path, error)
    return InputError.of(path, f"is not a store that maskdpo can open ({error}); move it away")


def _is_damage(error: Exception) -> bool:
    # Text that is not UTF-8 gives an OperationalError without an SQLite error code.
    return (
        isinstance(error, json.JSONDecodeError) or _code(error) in _DAMAGE or "decode" in str(error)
    )


def _code(error: Exception) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
