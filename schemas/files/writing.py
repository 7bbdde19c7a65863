"""Writing files all or nothing: a file has its name only when it is complete.

The rule: a temporary file in the target's folder, flushed to the disk, then a rename. Its mode is
what the umask gives to any new file, so the same users may read it as other new files. A device or
a pipe is refused: the rename would put a file in its place.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.errors import InputError


def write_json(path: str | Path, value: object) -> None:
    """Write one indented JSON value, atomically."""
    with atomic_writer(path) as handle:
        json.dump(value, handle, ensure_ascii=False, indent=2, allow_nan=False)
        handle.write("\n")


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[str]]:
    """A text handle whose file appears under `path` only when the block ends well.

    The temporary file is in the target's folder, so that the rename stays on one file system; it
    is removed when the block raises. Symbolic links are written through, not replaced.
    """
    refuse_special_file(path)
    target = Path(os.path.realpath(path))
    with (
        atomic_descriptor(target) as descriptor,
        os.fdopen(descriptor, "w", encoding="utf-8", newline="\n", closefd=False) as handle,
    ):
        yield handle


@contextmanager
def atomic_descriptor(target: Path) -> Iterator[int]:
    """The same for bytes: a descriptor open for writing, which is closed here."""
    refuse_special_file(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _new_file(target.parent, f".{target.name}.")
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def is_special_file(path: str | Path) -> bool:
    """Whether `path` is something that is neither a file nor a folder, such as /dev/null."""
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()


def refuse_special_file(path: str | Path) -> None:
    """Raise InputError where `path` is a device or a pipe."""
    if is_special_file(path):
        raise InputError.of(path, "is a device or a pipe, and the output must be a file")


def follow_umask(path: Path) -> None:
    """Give a file the mode of a new file, where a library made it readable only for its owner.

    The umask is not read, since reading means setting it for all threads: a new file shows it.
    """
    descriptor, probe = _new_file(path.parent, ".mode.")
    try:
        mode = os.fstat(descriptor).st_mode
    finally:
        os.close(descriptor)
        probe.unlink()
    path.chmod(mode & 0o777)


def _new_file(folder: Path, prefix: str) -> tuple[int, Path]:
    """A file that did not exist, open for reading and writing, with the umask's mode."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(8)}"
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666), path
        except FileExistsError:
            continue
