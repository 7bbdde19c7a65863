"""What `train --dataset` and `show` name: a folder of pairs, or a data set on the Hub.

The rule: a folder that `maskdpo build` wrote, or whose files are named train* and test*, is read
as it is; splits of other names and other places are opened as `load_dataset` would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskdpo.data_sets.hub import (
    MANIFEST,
    HubDataset,
    fetch_ours,
    is_hub_id,
    look_up,
    split_name,
)
from maskdpo.data_sets.opening import (
    DataSet,
    is_saved,
    open_data_set,
    open_on_hub,
    refuse_part_of_file,
)
from schemas.errors import InputError
from trainer.data import SPLITS, PairFiles, find_pair_files, pair_files_of


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which part of a data set trains and which is measured; None: the usual names."""

    split: str | None = None
    test_split: str | None = None
    config_name: str | None = None

    def __bool__(self) -> bool:
        return any((self.split, self.test_split, self.config_name))


def find_training_data(name: str, chosen: Chosen) -> Path | PairFiles:
    """The pairs of the data set `name`. A path that exists wins over a Hub data set.

    Raises InputError where there is neither, or no such split; BackendError where the Hub does not
    answer.
    """
    path = Path(name)
    if not path.exists() and is_hub_id(name):
        found = look_up(*split_name(name))
        if found.is_ours and not chosen:
            return _ours(found)
        return _pair_files(open_on_hub(found, chosen.config_name), chosen)
    if not path.is_dir():
        if chosen and path.exists():
            refuse_part_of_file(path, "--split, --test-split and --config-name")
        return path
    if not chosen and _has_usual_names(path):
        return path
    return _pair_files(open_data_set(name, config_name=chosen.config_name), chosen)


def find_pairs(
    name: str, *, split: str | None = None, config_name: str | None = None
) -> tuple[PairFiles, Sequence[str]]:
    """The pairs of a folder or Hub data set to look at, with notes on what is left out.

    Of a data set whose files are named train* and test*, both splits or the one that is named; of
    another data set one split: the one that is named, else the only one, else `train`. Raises
    errors as `find_training_data` does.
    """
    folder = Path(name)
    found = None if folder.exists() else look_up(*split_name(name))
    if config_name is None and split in (None, *SPLITS):
        if found is None and _has_usual_names(folder):
            return _only(find_pair_files(folder), split), ()
        if found is not None and found.is_ours:
            return _only(_ours(found), split), ()
    if found is None:
        data = open_data_set(name, config_name=config_name)
    else:
        data = open_on_hub(found, config_name)
    return pair_files_of(data.table(split), None), data.notes(split)


def _only(files: PairFiles, split: str | None) -> PairFiles:
    """One split of the two, or both."""
    if split == "test" and not files.test:
        raise InputError.of(files.name, "has no split 'test'; it has 'train' (--split)")
    train, test = (
        paths if split in (None, own) else ()
        for own, paths in zip(SPLITS, (files.train, files.test), strict=True)
    )
    return replace(files, train=train, test=test)


def _has_usual_names(folder: Path) -> bool:
    if is_saved(folder):
        return False
    if (folder / MANIFEST).exists():
        return True  # faults of a data set of maskdpo are reported as such
    try:
        find_pair_files(folder)
    except InputError:
        return False
    return True


def _ours(found: HubDataset) -> PairFiles:
    """A data set that was pushed from here: the files that its manifest names."""
    folder = fetch_ours(found)
    files = find_pair_files(folder)
    labels = {
        path: f"{found.name}/{path.relative_to(folder).as_posix()}"
        for path in (*files.train, *files.test)
    }
    origin = {"dataset": found.name, "revision": found.commit}
    return replace(files, name=found.name, labels=labels, origin=origin)


def _pair_files(data: DataSet, chosen: Chosen) -> PairFiles:
    train = data.table(chosen.split)
    split = train.origin["split"]
    test_split = chosen.test_split
    if test_split is None:
        usual = ("test", split.replace("train", "test"))
        test_split = next((name for name in usual if name in data.splits and name != split), None)
    test = None if test_split is None else data.table(test_split)
    return pair_files_of(train, test)
