"""Reading a data set folder: its manifest, and its pairs as records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dataset_builder.folder.write import MANIFEST_NAME, PAIRS, PAIRS_FORMAT
from schemas.errors import Fault, InputError
from schemas.files.sidecar import check_format
from schemas.files.tables import scan_values
from schemas.records import Pair
from schemas.validation import describe_errors


def load_pairs(folder: str | Path, split: str) -> list[Pair]:
    """The pairs of one split of a data set folder, checked; row numbers in errors count from 0."""
    folder = Path(folder)
    manifest = load_manifest(folder)
    name = f"{PAIRS}/{split}-00000-of-00001.parquet"
    if name not in manifest["files"]:
        known = sorted(key for key in manifest["files"] if key.startswith(f"{PAIRS}/"))
        raise InputError.of(folder, f"has no split {split!r}; it has {', '.join(known)}")
    pairs: list[Pair] = []
    faults: list[Fault] = []
    for number, row in scan_values(folder / name):
        try:
            pairs.append(Pair.model_validate_json(json.dumps(row)))
        except ValidationError as error:
            faults.extend(
                Fault(path=str(folder / name), line=None, message=f"row {number - 1}: {message}")
                for message in describe_errors(error, Pair)
            )
    if faults:
        raise InputError(faults)
    return pairs


def load_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set folder. Raises InputError when there is none, or it is too new."""
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        check_format(path, manifest["format"], manifest["version"], expected=PAIRS_FORMAT)
        files = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        message = f"is not a data set of maskdpo: {MANIFEST_NAME} is missing or unreadable"
        raise InputError.of(folder, message) from None
    return {**manifest, "files": files}
