"""A folder of rows: one file per part, as runs of several processes and other programs write it.

The rule: the rows of a folder are those of its files, in the order of their names. Files are
Parquet, and JSON Lines named as a part (`annotations-00003-of-00064.jsonl`); other files, such as
sidecars and lists of failed rows, are ignored. A folder that lacks a part is an error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from schemas.errors import InputError

_PART = re.compile(r"(.+)-(\d{5,})-of-(\d{5,})")


def list_row_files(path: Path) -> list[Path]:
    """The files of a folder of rows; a file is its own list.

    Raises InputError for a folder without such files and for one that lacks a part.
    """
    if not path.is_dir():
        return [path]
    found = find_row_files(path)
    if not found:
        raise InputError.of(
            path,
            "holds no rows; a folder of rows has Parquet files, or parts of JSON Lines such as "
            "annotations-00001-of-00004.jsonl",
        )
    parts: defaultdict[tuple[str, str, int], list[int]] = defaultdict(list)
    for file in found:
        if name := _PART.fullmatch(file.stem):
            parts[name[1], file.suffix, int(name[3])].append(int(name[2]))
    for (stem, suffix, count), numbers in parts.items():
        first = min(*numbers, 1)  # our parts count from 1, those of other programs from 0
        missing = sorted(set(range(first, first + count)) - set(numbers))
        if missing:
            name_of = f"{stem}-{missing[0]:05}-of-{count:05}{suffix}"
            more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
            raise InputError.of(path, f"lacks {name_of}{more}; finish the run, or name the files")
    return found


def find_row_files(folder: Path) -> list[Path]:
    """The files of rows that are in a folder, complete or not."""
    files = sorted(item for item in folder.iterdir() if item.is_file())
    return [
        item
        for item in files
        if item.suffix == ".parquet" or (item.suffix == ".jsonl" and _PART.fullmatch(item.stem))
    ]
