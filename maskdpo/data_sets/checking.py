"""What `validate` names: a data set of our format as a folder, or the splits of any other.

The rule: whatever has a manifest, or should have one, is checked against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskdpo.data_sets.hub import fetch_ours, is_hub_id, look_up, split_name
from maskdpo.data_sets.opening import DataSet, is_saved, open_data_set, open_on_hub
from schemas.errors import InputError
from schemas.files.tables import Table


def find_dataset(
    name: str,
    *,
    revision: str | None = None,
    split: str | None = None,
    config_name: str | None = None,
) -> Path | Sequence[Table]:
    """A folder of our format, here or fetched, or the splits of another data set.

    split, config_name   check this part alone, as a table

    Raises InputError where there is no such data set, BackendError where the Hub does not answer.
    """
    folder = Path(name)
    as_table = split is not None or config_name is not None
    if folder.exists():
        if not as_table and not is_saved(folder):
            return folder
        return _tables(open_data_set(name, config_name=config_name), split)
    if not is_hub_id(name):
        raise InputError.of(
            name, "not found; give a data set folder (maskdpo build makes one) or ORG/NAME"
        )
    found = look_up(*split_name(name, revision))
    if found.is_ours and not as_table:
        return fetch_ours(found)
    return _tables(open_on_hub(found, config_name), split)


def _tables(data: DataSet, split: str | None) -> list[Table]:
    return [data.table(name) for name in ([split] if split else data.splits)]
