"""Removes what indexes hold about people and responses that are forgotten.

The rule: an index holds names, decisions and words of responses, so all of its files are removed;
a desk makes it again. Only who was shown the judge's labels is in no other file: that stays, in a
file without anything else, for those who are not forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from maskdpo.desk.index.build import SHOWN_TABLE
from maskdpo.desk.index.files import END, FOLDER, LEFT, name_of, read_shown

IsForgotten = Callable[[str, str], bool]


def forget_in_indexes(run: Path, is_forgotten: IsForgotten) -> None:
    """Remove all indexes under a run.

    is_forgotten   of a person and a response id: whether nothing of it may stay
    """
    for folder in run.rglob(FOLDER):
        if not folder.is_dir() or folder.is_symlink():
            continue
        kept: dict[str, set[tuple[str, str]]] = {}
        for path in sorted(folder.iterdir()):
            name = name_of(path)
            if name is None:
                continue
            if path.suffix == END:
                shown = {entry for entry in read_shown(path) if not is_forgotten(*entry)}
                kept.setdefault(name, set()).update(shown)
            path.unlink(missing_ok=True)  # SQLite itself removes a journal that has no use
        for name, entries in kept.items():
            if entries:
                _keep(folder / f"{name}.{LEFT}{END}", sorted(entries))


def _keep(path: Path, entries: list[tuple[str, str]]) -> None:
    part = path.with_name(f"{path.name}.part")
    with closing(sqlite3.connect(part)) as connection, connection:
        connection.execute(SHOWN_TABLE)
        connection.executemany("INSERT INTO shown VALUES (?, ?)", entries)
    part.replace(path)
