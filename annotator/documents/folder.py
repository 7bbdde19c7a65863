"""The files of a folder: which are read, under what name, and which are skipped.

The rule: nothing outside the folder is ever opened. Symbolic links are not followed, so that no
path leads out of the folder or in a circle, and only plain files are opened. Files are sorted by
name, on every machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from annotator.documents.readers.file_text import UnreadableError
from annotator.documents.readers.read import find_format
from schemas.errors import InputError

_LICENSE_STEMS = frozenset({"LICENSE", "LICENCE", "COPYING", "UNLICENSE"})
_LICENSE_SUFFIXES = frozenset({"", ".txt", ".md"})
_MAX_ID_CHARS = 480  # leaves space in an Identifier for the suffix that distinguishes two files
_HASH_CHARS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A file to read. `id` is its path in the folder, with "/" and in Unicode form NFC.

    license_file    the nearest LICENSE file above it, as such a path; '' where there is none
    """

    path: Path
    id: str
    format_name: str
    license_file: str = ""


@dataclass(kw_only=True, slots=True)
class FoundFiles:
    """What a folder holds: files to read by id, and the number of skipped ones by kind."""

    files: list[FoundFile] = field(default_factory=list)
    unreadable_folders: list[tuple[str, str]] = field(default_factory=list)  # id, reason
    num_hidden: int = 0
    num_links: int = 0
    unknown_suffixes: Counter[str] = field(default_factory=Counter)


def find_files(folder: Path, *, ignored: Iterable[Path] = ()) -> FoundFiles:
    """The files under `folder`, recursively; those in `ignored` are neither read nor counted.

    Raises InputError when `folder` is missing, is not a folder, or cannot be listed.
    """
    if not folder.is_dir():
        if folder.exists():
            raise InputError.of(folder, "is a file; give the folder that holds the documents")
        raise InputError.of(folder, "not found; give the folder that holds the documents")
    found = FoundFiles()
    skipped = {os.path.realpath(path) for path in ignored}
    paths = sorted(_walk(folder, found, skipped), key=lambda item: item[0])
    taken: set[str] = set()
    for name, path, license_path in paths:
        identifier = _make_id(name, taken)
        taken.add(identifier)
        format_name = find_format(path.name)
        assert format_name is not None  # _walk skips the others
        license_name = license_path and _make_id(license_path, set())
        found.files.append(
            FoundFile(path=path, id=identifier, format_name=format_name, license_file=license_name)
        )
    return found


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """The bytes of a plain file. Raises UnreadableError: `too_large`, `unreadable`."""
    try:
        # Neither a link nor a pipe, even if the file was replaced by one since it was found.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as handle:
            status = os.fstat(handle.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("unreadable", "it is not a plain file")
            data = handle.read(max_bytes + 1)
    except OSError as error:
        raise UnreadableError("unreadable", f"it cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise UnreadableError("too_large", f"it is larger than {max_bytes / 1e6:g} MB")
    return data


def stem_of(identifier: str) -> str:
    """The path of a document without its ending: 'drugs/aspirin.md' -> 'drugs/aspirin'."""
    return str(PurePosixPath(identifier).with_suffix(""))


def _walk(top: Path, found: FoundFiles, skipped: set[str]) -> Iterator[tuple[str, Path, str]]:
    """(path in `top`, path, path of the LICENSE file) of each file; counts what is skipped."""
    pending = [(top, "")]
    while pending:
        current, license_path = pending.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            reason = error.strerror or str(error)
            if current == top:
                raise InputError.of(top, f"cannot be listed: {reason}") from None
            found.unreadable_folders.append((_make_id(_name_in(top, current), set()), reason))
            continue
        files = _sort_out(entries, found, skipped)
        own = [entry for entry in files if _is_license(entry.name)]
        if own:
            license_path = _name_in(top, Path(own[0].path))
        pending += [
            (Path(entry.path), license_path)
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        ]
        for entry in files:
            if entry in own:
                continue
            if find_format(entry.name) is None:
                found.unknown_suffixes[_shown_suffix(entry.name)] += 1
                continue
            path = Path(entry.path)
            yield _name_in(top, path), path, license_path


def _sort_out(
    entries: Sequence[os.DirEntry[str]], found: FoundFiles, skipped: set[str]
) -> list[os.DirEntry[str]]:
    """The plain files among `entries`; links and hidden ones are counted in `found`."""
    files = []
    for entry in entries:
        if not entry.is_symlink() and os.path.realpath(entry.path) in skipped:
            continue
        if entry.name.startswith("."):
            found.num_hidden += 1
        elif entry.is_symlink():
            found.num_links += 1
        elif entry.is_file(follow_symlinks=False):
            files.append(entry)
        elif not entry.is_dir(follow_symlinks=False):
            found.unknown_suffixes["no plain file"] += 1
    return files


def _is_license(name: str) -> bool:
    path = PurePosixPath(name)
    return path.stem.upper() in _LICENSE_STEMS and path.suffix.lower() in _LICENSE_SUFFIXES


def _shown_suffix(name: str) -> str:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix.isprintable() and 1 < len(suffix) <= 12 else "no ending"


def _name_in(top: Path, path: Path) -> str:
    return path.relative_to(top).as_posix()


def _make_id(name: str, taken: set[str]) -> str:
    """A path as an id: NFC, printable, bounded, unlike those in `taken`.

    A hash of the path is added only where two files would otherwise have the same id.
    """
    raw = os.fsencode(name)
    decoded = raw.decode("utf-8", "replace")
    composed = unicodedata.normalize("NFC", decoded)
    shown = "".join("\ufffd" if _breaks_lines(one) else one for one in composed)
    if "\ufffd" not in shown and len(shown) <= _MAX_ID_CHARS and shown not in taken:
        return shown
    return f"{shown[:_MAX_ID_CHARS]}~{hashlib.sha256(raw).hexdigest()[:_HASH_CHARS]}"


def _breaks_lines(character: str) -> bool:
    """Control characters and line separators, which a file name may contain but a list cannot
    show."""
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")
