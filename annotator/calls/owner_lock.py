"""A locked file per owner of leases: a process that can lock it knows that the owner has ended.

The rule: a free lock proves that the owner has ended; a held lock proves nothing. The operating
system releases it when a process ends, in any container, so the calls of a killed process are sent
again at once. A held lock says nothing about leases (a stopped process holds it, too, and so does a
child it forked): then the heartbeat decides (annotator/calls/leases.py). Where the file cannot be
locked, as on a file system without locks, the heartbeat decides alone.

The file has no content and is removed when its owner closes, or by the process that finds the owner
dead.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


class OwnerLock:
    """The lock that `owner` of the store at `path` holds until it ends."""

    def __init__(self, path: Path, owner: str) -> None:
        self._lock = _acquire(lock_path(path, owner))

    def release(self) -> None:
        """Remove the file and release the lock; safe to call twice."""
        if self._lock is not None:
            _remove(Path(self._lock.lock_file))  # while it is held: no one else can hold it
            self._lock.release()
            self._lock = None


def has_ended(path: Path, owner: str) -> bool | None:
    """Whether an owner has ended; None where there is no lock file."""
    file = lock_path(path, owner)
    if not file.is_file():
        return None
    lock = _acquire(file)
    if lock is None:
        return False
    lock.release()
    return True


def remove_lock(path: Path, owner: str) -> None:
    """Remove the file of an owner that was found dead."""
    _remove(lock_path(path, owner))


def lock_path(path: Path, owner: str) -> Path:
    """The file next to the store whose lock the owner holds."""
    return path.with_name(f"{path.name}-owner-{owner}.lock")


def _acquire(file: Path) -> BaseFileLock | None:
    from filelock import FileLock, Timeout

    # Used from any thread; a lock that is only an existing file would outlive its process.
    lock = FileLock(file, blocking=False, thread_local=False)
    try:
        lock.acquire()
    except (OSError, Timeout, NotImplementedError):
        return None
    return lock


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
