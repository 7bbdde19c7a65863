"""Which other files of a run still contain a removed name or id: listed, never changed.

The rule: a file that cannot be searched is listed as such. A file's name is searched too. Text is
searched as bytes, in all encodings that spreadsheet programs write.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from formats.forgotten import FORGOTTEN_NAME, spellings
from maskdpo.forgetting.targets import BETWEEN_WORDS
from schemas.errors import InputError
from schemas.files.columnar import scan_batches

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030", "cp1252")
_BETWEEN = BETWEEN_WORDS.encode("ascii")
_BLOCK = 1 << 20
_OVERLAP = 1 << 12  # longer than any name or id, in any encoding
_ZIPPED = (".xlsx", ".docx", ".ods", ".zip")
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")  # not opened
# Numbers, pictures and calls: they contain no names, or are handled elsewhere.
_PASSED_OVER = (
    ".sqlite", ".sqlite-wal", ".sqlite-shm", ".safetensors", ".bin", ".pt", ".png", ".jpg", ".lock",
)  # fmt: skip


def find_mentions(
    folder: Path, people: Iterable[str], responses: Iterable[str]
) -> tuple[list[Path], list[Path]]:
    """The files below `folder` that contain a name or id, and those that could not be searched."""
    names = [form for name in people for form in spellings(name)]
    pattern = _pattern(names, [*responses])
    found: list[Path] = []
    unread: list[Path] = []
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        if path.name == FORGOTTEN_NAME or path.suffix in _PASSED_OVER:
            continue
        try:
            if pattern.search(f"\n{path.name}\n".encode("utf-8", "replace")) or _holds(
                path, pattern
            ):
                found.append(path)
        except (InputError, OSError, ValueError, zipfile.BadZipFile):
            unread.append(path)
    return found, unread


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    if path.suffix == ".parquet":
        return any(
            pattern.search(f"\n{text}\n".encode("utf-8", "replace")) for text in _cells(path)
        )
    if path.suffix in _ZIPPED and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as handle:
                    if _search(handle, pattern):
                        return True
        return False
    if path.suffix in _PACKED:
        raise ValueError("its text is compressed")
    with path.open("rb") as handle:
        return _search(handle, pattern)


def _search(handle: IO[bytes], pattern: re.Pattern[bytes]) -> bool:
    before = b""
    while block := handle.read(_BLOCK):
        if pattern.search(before + block + b" "):
            return True
        before = block[-_OVERLAP:]
    return False


def _cells(path: Path) -> Iterator[str]:
    """The distinct texts of a Parquet file, including lists and nested columns."""
    for batch in scan_batches(path):
        yield from set(_texts(batch.to_pylist()))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _pattern(people: list[str], responses: list[str]) -> re.Pattern[bytes]:
    """Names and ids as bytes, each as a separate word; short names only as a whole field."""
    forms: list[bytes] = []
    edges = {True: rb"A-Za-z0-9", False: rb"A-Za-z0-9_\-"}
    for name, is_person in [*((item, True) for item in people),
                            *((item, False) for item in responses)]:  # fmt: skip
        edge = edges[is_person]
        for form in _written(name):
            text = re.escape(form)
            if is_person:
                text = text.replace(rb"\.\ ", _BETWEEN).replace(rb"\ ", _BETWEEN)
            text = text.replace(rb"\ ", rb"\s+")
            if len(name) < 3 and name.isascii():
                forms.append(rb"""(?<=[",;>'\t\n])""" + text + rb"""(?=[",;<'\t\r\n])""")
            else:
                forms.append(rb"(?<![" + edge + rb"])" + text + rb"(?![" + edge + rb"])")
    return re.compile(b"|".join(forms) or rb"(?!)", re.IGNORECASE)


def _written(name: str) -> Iterator[bytes]:
    """A name as files write it: in each encoding, and escaped as JSON and XML escape it."""
    spellings = {name, name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
    forms = set()
    for text in spellings:
        for encoding in _ENCODINGS:
            try:
                forms.add(text.encode(encoding))
            except UnicodeEncodeError:
                continue
    escaped = name.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")
    yield from sorted(forms | {escaped})
