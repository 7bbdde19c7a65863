"""Appending to a JSONL file that lasts: existing rows are never written again.

The rule: a row counts as written only after it is on the disk (fsync), and a row that was not
written completely is taken out again or moved aside, so that it never becomes part of another row.
Callers hold a lock: these functions do not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from schemas.files.writing import refuse_special_file

CUT_OFF_SUFFIX = ".cut-off"
_BLOCK = 1 << 16


def append_lines(path: Path, lines: Iterable[str]) -> int:
    """Append lines, each without its newline; returns the byte at which the first one begins.

    The file need not exist, but its last line must be complete (`cut_off_end`); where it has no
    newline, it gets one. Raises OSError where not all of it can be written; the file is then as
    long as before.
    """
    refuse_special_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        opening = "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""
        data = (opening + "".join(f"{line}\n" for line in lines)).encode()
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if is_new:
        _sync_folder(path.parent)
    return size + len(opening)


def cut_off_end(path: Path) -> bytes:
    """The last line where it was not written completely, else b"".

    A last line without its newline that is valid JSON is complete.
    """
    if not path.exists():
        return b""
    with path.open("rb") as handle:
        end = handle.seek(0, os.SEEK_END)
        tail = b""
        while end and b"\n" not in tail:
            start = max(end - _BLOCK, 0)
            handle.seek(start)
            tail = handle.read(end - start) + tail
            end = start
    last = tail.rpartition(b"\n")[2]
    return last if last.strip() and not _is_json(last) else b""


def move_cut_off_end(path: Path) -> int:
    """Move a last line that was not written completely to `NAME.cut-off`; returns its bytes."""
    torn = cut_off_end(path)
    if torn:
        aside = cut_off_path(path)
        append_lines(aside, [torn.decode("utf-8", "backslashreplace")])
        with path.open("r+b") as handle:
            handle.truncate(path.stat().st_size - len(torn))
            os.fsync(handle.fileno())
    return len(torn)


def cut_off_path(path: Path) -> Path:
    """`reviews.jsonl` -> `reviews.jsonl.cut-off`."""
    return path.with_name(path.name + CUT_OFF_SUFFIX)


def _write_all(descriptor: int, data: bytes) -> None:
    """One write; more only where the system took a part of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
