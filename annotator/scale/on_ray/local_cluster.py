"""A cluster of Ray on this machine that lives as long as the command.

The rule: it can be reached from this machine alone and only with its token, and nothing of it
outlives the command. Its processes end with the driver, however that ends (Linux kills them when
their parent is gone); its folder is removed at the end, and a killed driver's by the next command.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from annotator.scale.on_ray import reaper

_PREFIX = "maskdpo-ray-"
_LOCK = "driver.lock"
_LONGEST = 40  # characters of the folder's path: sockets inside it may have about 100
# For every cluster. Ray prints its messages about dead workers to standard output; the run has its
# own notes of them.
QUIET = {
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else a call after the end starts another cluster
    "RAY_DEDUP_LOGS": "1",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
# What Ray reads when it is imported or started; a user's own value has priority.
_ENVIRONMENT = {
    **QUIET,
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anyone
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one node: Ray then uses loopback addresses
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else warnings of its C++ code appear in the terminal
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",  # only the dashboard shows them
    "RAY_event_stats": "0",
    "RAY_worker_niceness": "0",  # else workers give way to everything else on the machine
}


@contextmanager
def local_folder() -> Iterator[Path]:
    """A folder for Ray's files, removed at the end; folders of killed drivers are removed now."""
    from filelock import FileLock

    parent = _short_folder()
    remove_left_folders(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with FileLock(folder / _LOCK, timeout=0, thread_local=False):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_folders(parent: Path) -> None:
    """Remove folders of drivers that were killed: their lock is free."""
    from filelock import FileLock, Timeout

    for folder in parent.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        # Without the file its driver has only just made the folder, or it is another user's.
        if not lock.is_file() or not os.access(lock, os.W_OK):
            continue
        with suppress(OSError, Timeout), FileLock(lock, timeout=0, thread_local=False):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def reaped(folder: Path) -> Iterator[Callable[[], None]]:
    """A process that cleans up if this one is killed (Linux).

    Call what it gives when the cluster has started: the processes that this one has started in
    between are the cluster's.
    """
    if not sys.platform.startswith("linux"):
        yield lambda: None
        return
    command = [sys.executable, "-I", "-S", reaper.__file__, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        pipe = process.stdin
        assert pipe is not None
        before = reaper.processes_below(os.getpid())

        def send() -> None:
            now = reaper.processes_below(os.getpid())
            began = {pid: start for pid, start in now.items() if pid not in before}
            print(json.dumps(began), file=pipe, flush=True)

        try:
            yield send
        finally:
            with suppress(OSError):
                print("end", file=pipe, flush=True)


def _short_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if len(str(folder)) <= _LONGEST else Path("/tmp")


@contextmanager
def local_environment(folder: Path) -> Iterator[None]:
    """The environment of a local cluster, while it runs; the token is in a file of this user.

    A program that imported Ray before has loaded the token of Ray's own file, and uses that one.
    """
    values = dict(_ENVIRONMENT)
    if "ray" not in sys.modules or _token.cache_info().currsize:
        path = folder / "token"
        path.touch(mode=0o600)
        path.write_text(_token(), encoding="ascii")
        values |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
    with environment(values):
        yield


@lru_cache(maxsize=1)
def _token() -> str:
    """One for this process, which reads it only once."""
    return secrets.token_hex(32)


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set those variables that are not set, and remove them at the end."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
