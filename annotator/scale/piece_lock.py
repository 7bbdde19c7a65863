"""One worker at a time writes a piece: a locked file next to its output.

The rule: the operating system releases the lock when its holder ends, however it ends. So a worker
that a killed driver left behind, and a run that was started twice, never write one file at once;
and that of a dead worker causes no delay. The file stays: removing it while another waits for it
would allow two holders. Where files cannot be locked (some network file systems), there is no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import BackendError

WAIT_S = 120.0


def lock_path(output: Path) -> Path:
    """The file whose lock the worker of the piece `output` holds."""
    return output.with_name(f"{output.name}.lock")


@contextmanager
def only_writer(output: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock of a piece; its folder is made if it is missing.

    Raises BackendError where another process still holds it after `wait_s` seconds.
    """
    from filelock import FileLock, Timeout

    path = lock_path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=wait_s, thread_local=False)
    is_locked = True
    try:
        lock.acquire()
    except Timeout:
        raise BackendError(
            f"{output} is being written by another process (it holds {path}); end the other run, "
            "or wait for it, then run the same command"
        ) from None
    except (OSError, NotImplementedError):
        is_locked = False
    try:
        yield
    finally:
        if is_locked:
            lock.release()
