"""Reading preference pairs: a built data set folder, or any conversational preference file.

The rule: good rows are never lost because of bad ones. An invalid row becomes a `Failure` that
names file and row; only what makes every row unreadable (no file, an unknown format version,
missing columns) stops the run.

What is read (the first that exists):

    FOLDER/manifest.json          a data set of `maskdpo build`: its format version is checked
    FOLDER/pairs/, FOLDER/data/, FOLDER/    files named train*, test*: .parquet or .jsonl
    FILE                          training pairs only; every kind of `schemas.files.tables`

Data sets that others name by splits (folders of `datasets`, the Hub) come as `PairFiles`. Foreign
data needs `chosen` and `rejected` as lists of messages, or as text where there is a prompt; the
prompt is in `prompt`, inside both, or both ways (`schemas.preference_rows`). Other columns are
ignored; in rows of other tools (`has_our_columns`) also those with the name of a field of `Pair`,
such as `topic`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import ValidationError

from schemas.errors import InputError
from schemas.files.columnar import COLUMNAR
from schemas.files.sidecar import check_format, describe_file
from schemas.files.tables import SUFFIXES, Table, require_columns, scan_values
from schemas.hashing import content_key
from schemas.messages import is_text
from schemas.preference_rows import SIDES, has_our_columns, split_row
from schemas.records import Failure, FinishReason, Pair
from schemas.validation import describe_errors, show_value

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = get_args(Split)
_IN_FOLDERS = (".parquet", ".jsonl")
_WHAT = "preference pairs"
_FINISH_REASONS = ("chosen_finish_reason", "rejected_finish_reason")


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """The files of a data set, in reading order.

    root     the folder or file they are in, which a run must not write into
    name     of the data set, for messages
    labels   names of files for messages; a file without one is called by its path
    origin   of a data set from elsewhere: its name, commit, configuration and splits
    """

    train: Sequence[Path]
    test: Sequence[Path]
    root: Path
    name: str
    labels: Mapping[Path, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Key of the training pairs: the part of the data that decides the trained weights."""
        return content_key([describe_file(path)["sha256"] for path in self.train])

    def test_fingerprint(self) -> str:
        """Key of the test pairs, which decide the weights only with early stopping."""
        return content_key([describe_file(path)["sha256"] for path in self.test])


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """A row of a file, with its number from 1: its pair, or None and the reason in `fault`.

    id   the row's own id, if it has one that is text, else its place
    """

    number: int
    id: str
    pair: Pair | None
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """The pairs of one split, and its invalid rows."""

    pairs: Sequence[Pair]
    failures: Sequence[Failure]

    @property
    def num_rows(self) -> int:
        """Number of rows read, valid and invalid."""
        return len(self.pairs) + len(self.failures)


def find_pair_files(dataset: Path) -> PairFiles:
    """The files to read. Raises InputError when there are none or their format is too new."""
    if dataset.is_file():
        if dataset.suffix not in SUFFIXES:
            raise InputError.of(
                dataset, f"is not a data set; a file must end in {_listed(SUFFIXES)}"
            )
        return PairFiles(train=[dataset], test=[], root=dataset, name=str(dataset))
    if not dataset.is_dir():
        raise InputError.of(dataset, "not found; maskdpo build makes a data set folder")
    manifest = dataset / "manifest.json"
    if manifest.exists():
        _check_manifest(manifest)
    for folder in (dataset / "pairs", dataset / "data", dataset):
        train = _split_files(folder, "train")
        if train:
            test = _split_files(folder, "test")
            return PairFiles(train=train, test=test, root=dataset, name=str(dataset))
    raise InputError.of(
        dataset,
        f"holds no training pairs; pairs/train*, data/train* or train* with {_listed(_IN_FOLDERS)} "
        "is needed (maskdpo build makes them)",
    )


def pair_files_of(train: Table, test: Table | None) -> PairFiles:
    """The files of two splits of one data set. Raises InputError where columns are missing."""
    tables = [train, *([test] if test else [])]
    for table in tables:
        table.require(SIDES, what=_WHAT)
    splits = {
        f"{name}_split": table.origin["split"] for name, table in zip(SPLITS, tables, strict=False)
    }
    origin = {key: value for key, value in train.origin.items() if key != "split"}
    return PairFiles(
        train=train.files,
        test=test.files if test else [],
        root=train.folder,
        name=train.origin.get("dataset", str(train.folder)),
        labels={path: table.label(path) for table in tables for path in table.files},
        origin=origin | splits,
    )


def read_pairs(paths: Sequence[Path], labels: Mapping[Path, str] | None = None) -> PairSet:
    """All pairs of some files, in order. Raises InputError for a file that cannot be read."""
    pairs: list[Pair] = []
    failures: list[Failure] = []
    first_place_of: dict[str, str] = {}
    for path in paths:
        label = (labels or {}).get(path, str(path))
        for row in scan_pairs(path, name=label):
            place = f"{label}:{row.number}"
            if row.id in first_place_of:
                detail = f"{place}: duplicate id {row.id!r}, used at {first_place_of[row.id]}"
                failures.append(_failure(row.id, "duplicate_id", detail))
                continue
            first_place_of[row.id] = place
            if row.pair is None:
                failures.append(_failure(row.id, "bad_row", f"{place}: {row.fault}"))
            else:
                pairs.append(row.pair)
    return PairSet(pairs=pairs, failures=failures)


def scan_pairs(path: Path, *, name: str = "") -> Iterator[PairRow]:
    """The rows of one file, streamed, valid and invalid ones in their order.

    Raises InputError, which calls the file `name`, for one that cannot be read, and for a Parquet
    or Arrow file without the columns of a pair. JSON is checked row by row.
    """
    if path.suffix in COLUMNAR:
        require_columns(path, SIDES, what=_WHAT, name=name)
    for number, values in scan_values(path, name=name):
        identifier = row_id(values, path, number)
        try:
            if isinstance(values, ValueError):
                raise values
            pair = parse_pair(values, identifier)
        except (ValueError, TypeError, RecursionError) as error:
            yield PairRow(number=number, id=identifier, pair=None, fault=str(error))
        else:
            yield PairRow(number=number, id=identifier, pair=pair)


def parse_pair(values: object, identifier: str) -> Pair:
    """A pair from one row of any accepted layout. Raises ValueError with one sentence."""
    if not isinstance(values, dict):
        raise ValueError(
            f"a row must be an object with 'chosen' and 'rejected', found {show_value(values)}"
        )
    for side in SIDES:
        if not isinstance(values.get(side), (list, str)):
            raise ValueError(
                f"{side!r} must be a list of messages with role and content, or a text, "
                f"found {show_value(values.get(side))}"
            )
    known = {name: values[name] for name in _names_of_ours(values)}
    known |= split_row(values.get("prompt"), values["chosen"], values["rejected"])
    known["id"] = identifier
    try:
        # Through JSON, where strict types read label names; a null of Parquet is an absent field.
        return Pair.model_validate_json(json.dumps(_without_nulls(known)))
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Pair))) from None


def _names_of_ours(values: Mapping[str, object]) -> list[str]:
    """The columns that mean what ours mean. Of others, only those that decide the training."""
    if not has_our_columns(values):
        return [name for name in _FINISH_REASONS if values.get(name) in get_args(FinishReason)]
    return [name for name in Pair.model_fields if name in values]


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def row_id(values: object, path: Path, row: int) -> str:
    """The row's own id if it is text, else its place."""
    given = values.get("id") if isinstance(values, dict) else None
    return given if given and is_text(given) else f"{path.name}:{row}"


def _failure(identifier: str, reason: str, detail: str) -> Failure:
    return Failure(id=identifier[:512], stage="train", reason=reason, detail=detail)


def _check_manifest(path: Path) -> None:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name, version = manifest["format"], manifest["version"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError.of(
            path, "is not a data set manifest with 'format' and 'version'"
        ) from None
    check_format(path, str(name), str(version), expected="pairs")


def _split_files(folder: Path, split: Split) -> list[Path]:
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix in _IN_FOLDERS and path.is_file()]
    return sorted(path for path in found if path.name.split("-")[0].split(".")[0] == split)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
