"""Reading preference pairs: a built data set folder, or any conversational preference file.

The rule: good rows are never lost because of bad ones. An invalid row becomes a `Failure` that
names file and row; only what makes every row unreadable (no file, an unknown format version,
missing columns) stops the run.

What is read (the first that exists):

    FOLDER/manifest.json          a data set of `maskdpo build`: its format version is checked
    FOLDER/pairs/, FOLDER/data/, FOLDER/    files named train*, test*: .parquet or .jsonl
    FILE.parquet, FILE.jsonl      training pairs only

Other data needs `chosen` and `rejected` as lists of messages; the prompt is in `prompt`, inside
both, or both ways (`schemas.preference_rows`). Columns that are not fields of `Pair` are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from schemas.errors import InputError
from schemas.files.jsonl import read_lines
from schemas.files.sidecar import check_format, describe_file
from schemas.hashing import content_key
from schemas.messages import is_text
from schemas.preference_rows import split_row
from schemas.records import Failure, Pair
from schemas.validation import describe_errors, show_value

Split = Literal["train", "test"]
SUFFIXES = (".parquet", ".jsonl")


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """The files of a data set, in reading order."""

    train: Sequence[Path]
    test: Sequence[Path]

    def fingerprint(self) -> str:
        """Key of the training pairs: the part of the data that decides the trained weights."""
        return content_key([describe_file(path)["sha256"] for path in self.train])

    def test_fingerprint(self) -> str:
        """Key of the test pairs, which decide the weights only with early stopping."""
        return content_key([describe_file(path)["sha256"] for path in self.test])


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
        return PairFiles(train=[dataset], test=[])
    if not dataset.is_dir():
        raise InputError.of(dataset, "not found; maskdpo build makes a data set folder")
    manifest = dataset / "manifest.json"
    if manifest.exists():
        _check_manifest(manifest)
    for folder in (dataset / "pairs", dataset / "data", dataset):
        train = _split_files(folder, "train")
        if train:
            return PairFiles(train=train, test=_split_files(folder, "test"))
    raise InputError.of(
        dataset,
        f"holds no training pairs; pairs/train*, data/train* or train* with {_listed(SUFFIXES)} "
        "is needed (maskdpo build makes them)",
    )


def read_pairs(paths: Sequence[Path]) -> PairSet:
    """All pairs of some files, in order. Raises InputError for a file that cannot be read."""
    pairs: list[Pair] = []
    failures: list[Failure] = []
    first_place_of: dict[str, str] = {}
    for path in paths:
        for row, values in _read_values(path):
            place = f"{path}:{row}"
            identifier = _row_id(values, path, row)
            if identifier in first_place_of:
                detail = (
                    f"{place}: duplicate id {identifier!r}, used at {first_place_of[identifier]}"
                )
                failures.append(_failure(identifier, "duplicate_id", detail))
                continue
            first_place_of[identifier] = place
            try:
                if isinstance(values, ValueError):
                    raise values
                pairs.append(parse_pair(values, identifier))
            except (ValueError, RecursionError) as error:
                failures.append(_failure(identifier, "bad_row", f"{place}: {error}"))
    return PairSet(pairs=pairs, failures=failures)


def parse_pair(values: object, identifier: str) -> Pair:
    """A pair from one row of any accepted layout. Raises ValueError with one sentence."""
    if not isinstance(values, dict):
        raise ValueError(
            f"a row must be an object with 'chosen' and 'rejected', found {show_value(values)}"
        )
    for side in ("chosen", "rejected"):
        if not isinstance(values.get(side), list):
            raise ValueError(
                f"{side!r} must be a list of messages with role and content, "
                f"found {show_value(values.get(side))}"
            )
    known = {name: values[name] for name in Pair.model_fields if name in values}
    known |= split_row(values.get("prompt"), values["chosen"], values["rejected"])
    known["id"] = identifier
    try:
        # Through JSON, where strict types read label names; a null of Parquet is an absent field.
        return Pair.model_validate_json(json.dumps(_without_nulls(known)))
    except ValidationError as error:
        raise ValueError("; ".join(describe_errors(error, Pair))) from None


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def _row_id(values: object, path: Path, row: int) -> str:
    """The row's own id if it is text, else its place."""
    given = values.get("id") if isinstance(values, dict) else None
    return given if given and is_text(given) else f"{path.name}:{row}"


def _failure(identifier: str, reason: str, detail: str) -> Failure:
    return Failure(id=identifier[:512], stage="train", reason=reason, detail=detail)


def _read_values(path: Path) -> Iterator[tuple[int, object]]:
    """Rows as plain values, counted from 1 (a line of JSONL, a row of Parquet).

    An unreadable row is given as the ValueError that says why.
    """
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    for line, text in read_lines(path):
        try:
            yield line, json.loads(text)
        except (ValueError, RecursionError) as error:
            yield line, ValueError(f"not valid JSON: {error}")


def _read_parquet(path: Path) -> Iterator[tuple[int, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise InputError.of(path, f"cannot be read as Parquet: {reason}") from None
    missing = {"chosen", "rejected"} - set(table.column_names)
    if missing:
        raise InputError.of(
            path,
            f"has no column {_listed(sorted(missing))}; columns: {_listed(table.column_names)}",
        )
    row = 0
    for batch in table.to_batches(max_chunksize=1000):
        for values in batch.to_pylist():
            row += 1
            yield row, values


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
    found = [path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file()]
    return sorted(path for path in found if path.name.split("-")[0].split(".")[0] == split)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
