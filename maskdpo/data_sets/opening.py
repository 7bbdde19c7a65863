"""A data set by its name: a folder here, or ORG/NAME on the Hub, as one table of rows per split.

    FOLDER/dataset_dict.json, FOLDER/state.json    what `save_to_disk` of `datasets` wrote
    FOLDER                                         what `load_dataset(FOLDER)` reads
    ORG/NAME, ORG/NAME@REVISION                    what `load_dataset("ORG/NAME")` reads

The rules. A path that exists always wins over a repository of the same name. `datasets` decides
which files make which split, and `schemas.files.tables` reads them: only Parquet, Arrow and JSON,
only files inside the data set, no scripts and no pickle, and no address that a card names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from maskdpo.data_sets.cards import CARDS, check_cards
from maskdpo.data_sets.hub import (
    MANIFEST,
    HubDataset,
    fetch,
    hub_errors,
    is_hub_id,
    look_up,
    split_name,
)
from schemas.errors import BackendError, ConfigError, InputError
from schemas.files.sidecar import check_data_set
from schemas.files.tables import SUFFIXES, Table
from schemas.text.terminal import one_line

STATE, SPLITS = "state.json", "dataset_dict.json"
DEFAULT_SPLIT = "train"
MAX_REASON_CHARS = 300
# What `datasets` raises for a card that is wrong.
_OF_A_CARD = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, OSError)
_NO_PATH = "not found; give a file, a folder of a data set, or ORG/NAME of one on the Hub"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The splits of one configuration of a data set: the names of their files inside it.

    place    the folder, or the data set on the Hub: its splits are fetched one by one
    """

    name: str
    place: Path | HubDataset
    splits: Mapping[str, Sequence[str]]
    config_name: str = ""

    def table(self, split: str | None = None) -> Table:
        """One split: the one named, else the only one, else `train`."""
        if split is None:
            split = next(iter(self.splits)) if len(self.splits) == 1 else DEFAULT_SPLIT
        if split not in self.splits:
            known = ", ".join(repr(name) for name in self.splits)
            raise InputError.of(self.name, f"has no split {split!r}; it has {known} (--split)")
        names = self.splits[split]
        _refuse_other_files(self.name, names)
        if isinstance(self.place, HubDataset):
            folder = fetch(self.place, names)
            origin = {"dataset": self.name, "revision": self.place.commit}
        else:
            folder = self.place
            origin = {"dataset": folder.resolve().name}
        origin |= {"config_name": self.config_name} if self.config_name else {}
        return Table(
            name=f"{origin['dataset']}/{split}",
            folder=folder,
            files=[folder / name for name in names],
            origin={**origin, "split": split},
        )

    def notes(self, split: str | None) -> list[str]:
        """A sentence where other splits are left unread without being asked for."""
        others = [name for name in self.splits if name != DEFAULT_SPLIT]
        if split is not None or not others or len(self.splits) == 1:
            return []
        return [
            f"{self.name}: the split {DEFAULT_SPLIT!r} is read; it also has "
            f"{', '.join(map(repr, others))} (--split)"
        ]


def open_data_set(
    name: str, *, revision: str | None = None, config_name: str | None = None
) -> DataSet:
    """The data set called `name`; its splits are fetched where it is on the Hub.

    Raises InputError where there is none, or none that can be read; BackendError where the Hub
    does not answer.
    """
    folder = Path(name)
    if folder.is_dir():
        return _open_folder(folder, config_name)
    if folder.exists() or not is_hub_id(name):
        raise InputError.of(name, "is a file" if folder.exists() else _NO_PATH)
    return open_on_hub(look_up(*split_name(name, revision)), config_name)


def refuse_part_of_file(path: Path, options: str = "--split and --config-name") -> None:
    """Raise ConfigError: a file has no splits and no configurations to choose from."""
    raise ConfigError(
        f"{path} is a file: {options} choose a part of a data set folder or of one on the Hub"
    )


def open_on_hub(found: HubDataset, config_name: str | None = None) -> DataSet:
    """One configuration of a data set on the Hub."""
    prefix = f"hf://datasets/{found.name}@{found.commit}/"
    if cards := found.files.intersection(CARDS):
        check_cards(found.name, fetch(found, sorted(cards)))
    if MANIFEST in found.files:
        check_data_set(fetch(found, [MANIFEST]))
    given, chosen = _resolve(found.name, found.name, config_name, commit=found.commit)
    splits = {}
    for split, places in given.items():
        inside = [place.removeprefix(prefix) for place in places]
        if any(
            not place.startswith(prefix) or name not in found.files
            for place, name in zip(places, inside, strict=True)
        ):
            raise BackendError(
                f"{found.name}: its files are not those of commit {found.commit[:12]}; "
                "rerun to try again"
            )
        splits[split] = inside
    return DataSet(name=found.name, place=found, splits=splits, config_name=chosen)


def _open_folder(folder: Path, config_name: str | None) -> DataSet:
    if is_saved(folder):
        if config_name is not None:
            raise InputError.of(folder, "was written by save_to_disk and has no configurations")
        return DataSet(name=str(folder), place=folder, splits=_saved_splits(folder))
    check_cards(str(folder), folder)
    check_data_set(folder)
    root = Path(os.path.abspath(folder))  # noqa: PTH100 - links are kept, as in the Hub's cache
    given, chosen = _resolve(str(folder), str(root), config_name)
    splits: dict[str, list[str]] = {}
    for split, places in given.items():
        paths = [Path(os.path.normpath(place)) for place in places]
        outside = [path for path in paths if not path.is_relative_to(root)]
        if outside:
            message = f"its README.md names {outside[0]}, which is not inside the folder"
            raise InputError.of(folder, message)
        splits[split] = [path.relative_to(root).as_posix() for path in paths]
    return DataSet(name=str(folder), place=folder, splits=splits, config_name=chosen)


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk` of the library `datasets`."""
    return (folder / SPLITS).is_file() or (folder / STATE).is_file()


def _saved_splits(folder: Path) -> dict[str, list[str]]:
    if not (folder / SPLITS).is_file():
        state = _read_json(folder / STATE)
        split = state.get("_split")
        return {split if isinstance(split, str) else DEFAULT_SPLIT: _shards(folder, state)}
    names = _read_json(folder / SPLITS).get("splits")
    if not isinstance(names, list) or not names:
        raise InputError.of(folder / SPLITS, "names no splits")
    found = {}
    for name in names:
        inside = folder / _plain(folder, name)
        shards = _shards(inside, _read_json(inside / STATE))
        found[str(name)] = [f"{name}/{shard}" for shard in shards]
    return found


def _shards(folder: Path, state: Mapping[str, Any]) -> list[str]:
    """The names of the Arrow files that a `state.json` gives, in order."""
    try:
        names = [item["filename"] for item in state["_data_files"]]
    except (KeyError, TypeError):
        raise InputError.of(folder / STATE, "names no data files ('_data_files')") from None
    plain = [_plain(folder, name) for name in names]
    for name in plain:
        if not (folder / name).is_file():
            raise InputError.of(folder / name, f"not found; {STATE} names it")
    return plain


def _plain(folder: Path, name: object) -> str:
    """A name that is one part of a path, and so inside the folder."""
    if not isinstance(name, str) or name != Path(name).name or name in ("", ".", ".."):
        raise InputError.of(folder, f"names {name!r}, which is not a plain name inside the folder")
    return name


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError.of(path, f"cannot be read ({type(error).__name__})") from None
    return values if isinstance(values, dict) else {}


def _resolve(
    name: str, place: str, config_name: str | None, *, commit: str | None = None
) -> tuple[dict[str, list[str]], str]:
    """Each split's files as `datasets` finds them, and the configuration that has them."""
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    datasets.logging.set_verbosity_error()
    with hub_errors(name, commit):
        try:
            builder = datasets.load_dataset_builder(place, config_name, revision=commit)
        except (
            datasets.exceptions.DataFilesNotFoundError,
            datasets.data_files.EmptyDatasetError,
        ):
            wanted = ", ".join(SUFFIXES)
            raise InputError.of(name, f"holds no data files; it needs {wanted}") from None
        except (ConnectionError, HfHubHTTPError):
            raise
        except _OF_A_CARD as error:
            raise InputError.of(name, _explain(error, place, config_name, commit)) from None
    found = builder.config.data_files or {}
    splits = {str(split): [str(item) for item in items] for split, items in found.items() if items}
    if not splits:
        message = f"the configuration {builder.config.name!r} has no data files"
        raise InputError.of(name, message)
    return splits, str(builder.config.name)


def _explain(error: Exception, place: str, config_name: str | None, commit: str | None) -> str:
    """What is wrong with a data set that `datasets` cannot resolve."""
    import datasets

    if "scripts are no longer supported" in str(error):
        return "needs a Python script of its own to be read, and such scripts are never run"
    if isinstance(error, ValueError):
        known: list[str] = []
        with suppress(*_OF_A_CARD):  # a wrong card has none
            known = datasets.get_dataset_config_names(place, revision=commit)
        listed = ", ".join(map(repr, known))
        if known and config_name is not None and config_name not in known:
            return f"has no configuration {config_name!r}; it has {listed} (--config-name)"
        if config_name is None and len(known) > 1:
            return f"has several configurations: {listed}; name one with: --config-name NAME"
    return f"cannot be opened: {one_line(str(error), MAX_REASON_CHARS)}"


def _refuse_other_files(name: str, files: Iterable[str]) -> None:
    """Raise InputError for a file of a kind that is not read."""
    for path in map(PurePosixPath, files):
        if path.suffix not in SUFFIXES:
            message = f"holds {path.name}; of a data set, {', '.join(SUFFIXES)} are read"
            raise InputError.of(name, message)
