"""Writing files all or nothing: a name stands for a whole file, or for none.

The rule: a temporary file beside the target, flushed to the disk, then a rename.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_json(path: str | Path, value: object) -> None:
    """Write one indented JSON value, atomically."""
    with atomic_writer(path) as handle:
        json.dump(value, handle, ensure_ascii=False, indent=2, allow_nan=False)
        handle.write("\n")


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[IO[str]]:
    """A text handle whose file appears under `path` only when the block ends well.

    The temporary file lies beside its target, so that the rename stays on one file system; it
    is removed when the block raises. Symbolic links are written through, not replaced.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
