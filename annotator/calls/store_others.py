"""The stores of a run's other parts, searched for calls before this part makes them.

The rule: a store of another part is only read, and what it lacks now it may have a moment later. A
file that is missing, locked or being made counts as empty for a second; a damaged one is an error,
since calls that were paid for would be made again.

SQLite lets only one machine at a time use a file with a write-ahead log. On a network file system a
store with a log may belong to another machine, so it is left out until its owner has closed it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from annotator.calls import store_tables as tables
from annotator.calls.store_faults import faults_in_use
from schemas.errors import InputError

_ResultT = TypeVar("_ResultT")
RETRY_S = 1.0  # between attempts to open a file
_WAIT_S = 1.0  # for a file that is locked
_CACHE_KIB = 256  # of a file's pages in memory
FILES_EACH = 3  # that SQLite opens for a store
_FILES_LEFT = 512  # for everything else in this process
_MOUNTS = Path("/proc/self/mounts")
# File systems that several machines may mount, by the beginning of their name in the mount table.
_NETWORK = (
    "nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "gluster", "afs", "panfs",
    "wekafs", "orangefs", "ocfs2", "gfs2", "fuse.",
)  # fmt: skip


class OtherStores:
    """The stores at `paths`, in that order. Safe to use from several threads."""

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        known = list(paths)
        stays_open = make_room(FILES_EACH * len(known))
        self._stores = [_OtherStore(path, stays_open=stays_open) for path in known]
        self._lock = threading.Lock()

    @property
    def paths(self) -> Sequence[Path]:
        """The files."""
        return [store.path for store in self._stores]

    def __bool__(self) -> bool:
        return bool(self._stores)

    def find(self, keys: Iterable[str], *, with_failed: bool, with_lost: bool) -> list[tables.Row]:
        """The calls of `keys` that a store has, each once: a reply before a failure.

        Without `with_failed` failures are left out, and without `with_lost` calls without a reply.
        """
        owed = set(keys)
        failed: dict[str, tables.Row] = {}
        found: list[tables.Row] = []
        with self._lock:
            for store in self._stores:
                for row in store.find(owed):
                    if not row[3]:
                        found.append(row)
                        owed.discard(row[0])
                    elif with_failed and (with_lost or not row[2].startswith(tables.LOST)):
                        failed.setdefault(row[0], row)
                if not owed:
                    break
        return [*found, *(row for key, row in failed.items() if key in owed)]

    def has_kind(self, kind: str) -> bool:
        """Whether a store holds a call of that kind."""
        with self._lock:
            return any(store.has_kind(kind) for store in self._stores)

    def models(self) -> Iterator[str]:
        """The models of runs, as JSON: of each store, the newest run first."""
        with self._lock:
            for store in self._stores:
                yield from store.models()

    def close(self) -> None:
        """Close the files; safe to call twice."""
        with self._lock:
            for store in self._stores:
                store.close()


class _OtherStore:
    """One file, opened when it can be and is needed; closed after each use without `stays_open`."""

    def __init__(self, path: Path, *, stays_open: bool) -> None:
        self.path = path
        self._stays_open = stays_open
        self._connection: sqlite3.Connection | None = None
        self._failed = "0"  # the column, which version 1 does not have
        self._is_indexed = False
        self._tried_s = -RETRY_S
        self._is_network = is_on_network(path)

    def find(self, keys: Iterable[str]) -> list[tables.Row]:
        """The calls of `keys` in this file."""

        def look(connection: sqlite3.Connection) -> list[tables.Row]:
            columns = f"key, kind, value, {self._failed}"
            rows: list[tables.Row] = []
            for batch in tables.batches(keys):
                if self._is_indexed and not (batch := tables.find_keys(connection, batch)):
                    continue
                rows += tables.find_rows(connection, batch, columns)
            return rows

        return self._ask(look) or []

    def has_kind(self, kind: str) -> bool:
        return self._ask(lambda connection: tables.has_kind(connection, kind)) or False

    def models(self) -> list[str]:
        return self._ask(tables.read_models) or []

    def _ask(self, ask: Callable[[sqlite3.Connection], _ResultT]) -> _ResultT | None:
        """The result of `ask`; None where the file cannot be read now."""
        if self._connection is None:
            self._open()
        if self._connection is None:
            return None
        try:
            return ask(self._connection)
        except sqlite3.OperationalError:  # locked, or without tables; damage is another error
            self.close()
            return None
        except sqlite3.DatabaseError:
            with faults_in_use(self.path):
                raise
        finally:
            if not self._stays_open:
                self.close()
                self._tried_s = -RETRY_S

    def _open(self) -> None:
        if time.monotonic() - self._tried_s < RETRY_S:
            return
        self._tried_s = time.monotonic()
        if not self.path.is_file() or (self._is_network and _has_log(self.path)):
            return
        try:
            connection = open_to_read(self.path, is_closed=self._is_network)
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            with faults_in_use(self.path):
                raise
        try:
            with faults_in_use(self.path):
                version = tables.read_version(connection)
                tables.check_version(version, self.path)
        except InputError:
            connection.close()
            raise
        self._failed = "failed" if version >= 2 else "0"
        self._is_indexed = tables.has_key_index(connection)
        self._connection = connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def open_to_read(path: Path, *, is_closed: bool = False) -> sqlite3.Connection:
    """A connection that changes no data of the store at `path`.

    `is_closed` is for a file that nobody has open: then no other file is made next to it. Else the
    last connection to close moves the log into the file, as for every store, so that no log is
    left. Where the file may only be read, it is.
    """
    place = path.resolve().as_uri()
    modes = ("immutable=1",) if is_closed else ("mode=rw", "mode=ro")
    for mode in modes:
        with suppress(sqlite3.OperationalError):
            connection = sqlite3.connect(
                f"{place}?{mode}",
                uri=True,
                timeout=_WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA query_only = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            return connection
    raise sqlite3.OperationalError(f"unable to open {path}")


def make_room(num_files: int) -> bool:
    """Allow this process that many more open files; False where the system does not permit it."""
    try:
        import resource
    except ImportError:  # not on Windows, where the limit is high
        return True
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = num_files + _FILES_LEFT
    if soft in (resource.RLIM_INFINITY, -1) or soft >= wanted:
        return True
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return True
    return False


def is_on_network(path: Path) -> bool:
    """Whether `path` is on a file system that other machines may mount, where that is known."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return _kind_of_mount(lines, path.resolve()).startswith(_NETWORK)


def _kind_of_mount(lines: Iterable[str], path: Path) -> str:
    """The type of the file system of `path`, by the deepest mount above it; "" for none."""
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        place = Path(fields[1].replace("\\040", " "))
        if path.is_relative_to(place) and len(place.parts) >= best:
            best, kind = len(place.parts), fields[2]
    return kind


def _has_log(path: Path) -> bool:
    return path.with_name(path.name + "-wal").exists()
