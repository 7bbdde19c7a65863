"""What `import SOURCE` and `agreement --gold` name: a file, or one split of a data set.

The rule: a file is what its own reader makes of it; a folder and a Hub data set are a table.
"""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.data_sets.hub import is_hub_id
from maskdpo.data_sets.opening import open_data_set, refuse_part_of_file
from schemas.errors import InputError
from schemas.files.tables import Table
from schemas.text.terminal import printable


def find_input(
    name: str, *, split: str | None, config_name: str | None, made_by: str
) -> Path | Table:
    """The file `name`, or the split of the folder or Hub data set `name`.

    made_by   what should be there, for the message where nothing is

    Prints a note where other splits are left unread without being asked for.
    """
    path = Path(name)
    if path.is_dir() or (not path.exists() and is_hub_id(name)):
        data = open_data_set(name, config_name=config_name)
        table = data.table(split)
        for note in data.notes(split):
            click.echo(f"note: {printable(note)}", err=True)
        return table
    if not path.exists():
        raise InputError.of(path, f"not found; {made_by}")
    if split or config_name:
        refuse_part_of_file(path)
    return path
