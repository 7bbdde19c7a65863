"""The files of an index: where they are, when they are made again, and how they are opened.

The rule: the name of an index file contains the state of the files it was made from, and a file is
only ever renamed to a name that nobody has open. So a desk that runs while annotations change keeps
its own file, which is removed a day after its last change, and two desks that start together make
one. An index that a killed process or a disk damaged is made again.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from maskdpo.desk.index.build import build_index
from maskdpo.desk.index.marks import mark_of
from schemas.errors import InputError
from schemas.events import OnEvent

FOLDER = ".review"
LOCK_WAIT_S = 1_800.0  # another process is making the same index
_IN_USE_S = 86_400.0  # a desk on earlier annotations may still write to their index
_PART_OF_MARK = 16  # characters of its hash
_NAME = re.compile(rf"(.+)\.[0-9a-f]{{{_PART_OF_MARK}}}\.sqlite(-journal|(\.[0-9a-f]+)?\.part)?")


def choose_folder(annotations: Path) -> tuple[Path, bool]:
    """A folder that can be written, and whether it is a temporary one, which the caller removes."""
    folder = annotations.parent / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        descriptor, probe = tempfile.mkstemp(prefix=".try-", dir=folder)
        os.close(descriptor)
        Path(probe).unlink()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="maskdpo-review-")), True
    return folder, False


def open_index_file(
    folder: Path, annotations: Path, documents: Path | None, on_event: OnEvent
) -> sqlite3.Connection:
    """The index of the present state of the files, made where there is none or a damaged one."""
    mark = mark_of(annotations, documents)
    digest = hashlib.sha256(mark.encode()).hexdigest()[:_PART_OF_MARK]
    target = folder / f"{annotations.name}.{digest}.sqlite"
    with _locked(folder / f".{annotations.name}.lock"):
        if not _is_sound(target, mark):
            for path in folder.iterdir():
                is_former = name_of(path) == annotations.name
                if is_former and (path.name.startswith(target.name) or _is_left_over(path)):
                    with suppress(OSError):  # open elsewhere, on systems that mind
                        path.unlink()
            build_index(target, annotations, documents, mark, on_event)
        return _connect(target)


def name_of(path: Path) -> str | None:
    """The name of the annotations that an index file is of, also one that was left by a process
    that was killed; None for other files."""
    found = _NAME.fullmatch(path.name)
    return None if found is None else found[1]


def _is_left_over(path: Path) -> bool:
    """Whether nobody needs a file of an earlier state any more: SQLite writes to no file that was
    removed, so an index that a desk may have open stays for a day."""
    return path.suffix == ".part" or time.time() - path.stat().st_mtime > _IN_USE_S


def _connect(target: Path) -> sqlite3.Connection:
    """An index to read and to change.

    A journal on the disk, so that a process that is killed in the middle of a change leaves an
    index that can be read; without waiting for the disk, as all of it can be made again.
    """
    connection = sqlite3.connect(target, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = DELETE")
    return connection


def _is_sound(target: Path, mark: str) -> bool:
    """Whether there is a complete index of this state of the files, and it is not damaged."""
    if not target.is_file():
        return False
    try:
        with closing(_connect(target)) as connection:
            found = connection.execute("SELECT value FROM meta WHERE name = 'mark'").fetchone()
            checked = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError:
        return False
    return bool(found == (mark,) and checked == ("ok",))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(path, timeout=LOCK_WAIT_S):
            yield
    except Timeout:
        message = f"is held by another process, which makes the index, for {LOCK_WAIT_S:g} s"
        raise InputError.of(path, f"{message}; start this again later") from None
