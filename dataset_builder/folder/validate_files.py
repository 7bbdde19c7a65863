"""What can be wrong with the files of a data set folder: manifest, hashes, card, columns.

Nothing here reads rows (`dataset_builder.folder.validate` does), and no file that a manifest names
is opened before it is known to be inside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from dataset_builder.folder.row_faults import FaultKind
from dataset_builder.folder.write import CARD_NAME, MANIFEST_NAME, PAIRS_FORMAT
from schemas.errors import InputError
from schemas.files.sidecar import check_format, describe_file, read_object
from schemas.files.yaml_files import YamlFault, parse_yaml
from schemas.labels import Side

PAIRS, SENTENCES = "pairs", "sentences"
# Columns that a valid data set may lack: mostly empty, and absent in data sets of other tools. The
# columns of pieces are in data sets with pieces only.
OPTIONAL = frozenset({"correction", "evidence.text", "evidence.license", "error_spans"}) | {
    f"{side}_spans.{name}" for side in Side for name in ("sentence", "part")
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One fault: its place, its kind, and a sentence. `row` counts from 0; None: the whole file."""

    kind: FaultKind
    file: str
    row: int | None = None
    id: str = ""
    message: str

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file} row {self.row}"
        name = f" (id {self.id!r})" if self.id else ""
        return f"{place}{name}: {self.kind}: {self.message}"


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[Finding]]:
    """The manifest's `files` and the faults of the manifest itself; empty when it is unusable."""
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        name, version = str(manifest["format"]), str(manifest["version"])
        files = {str(key): dict(value) for key, value in manifest["files"].items()}
    except FileNotFoundError:
        return {}, [Finding(kind=FaultKind.MANIFEST, file=MANIFEST_NAME, message="is missing")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"is not a manifest with 'format', 'version' and 'files' ({type(error).__name__})"
        return {}, [Finding(kind=FaultKind.MANIFEST, file=MANIFEST_NAME, message=message)]
    try:
        check_format(path, name, version, expected=PAIRS_FORMAT)
    except InputError as error:
        message = error.faults[0].message
        return {}, [Finding(kind=FaultKind.FORMAT_VERSION, file=MANIFEST_NAME, message=message)]
    return files, []


def version_faults(folder: Path, name: str, found: Any) -> Iterator[Finding]:
    """Whether the columns of a file are those of the manifest's version.

    Those of pieces came with format 2. An earlier release reads only format 1, and refuses them.
    """
    version = str(read_object(folder / MANIFEST_NAME).get("version", ""))
    if name.startswith(f"{PAIRS}/"):
        columns = "the fields 'sentence' and 'part' of spans"
        has_pieces = any(_has_field(found.field(f"{side}_spans").type, "sentence") for side in Side)
    else:
        columns = "the column 'error_spans'"
        has_pieces = "error_spans" in found.names
    expected = {"1": False, "2": True}.get(version.split(".")[0], has_pieces)
    if has_pieces != expected:
        verb = "has" if has_pieces else "lacks"
        message = f"{verb} {columns}, of format 2.0, but {MANIFEST_NAME} says version {version}"
        yield Finding(kind=FaultKind.FORMAT_VERSION, file=name, message=message)


def _has_field(found: Any, name: str) -> bool:
    """Whether the type is a list of structs with this field."""
    from pyarrow import types

    if not (types.is_list(found) or types.is_large_list(found)):
        return False
    return bool(types.is_struct(found.value_type) and found.value_type.get_field_index(name) >= 0)


def data_files(folder: Path) -> list[str]:
    """The Parquet files of both configurations, `train` before the other splits."""
    names = [
        path.relative_to(folder).as_posix()
        for config_name in (PAIRS, SENTENCES)
        for path in (folder / config_name).glob("*.parquet")
    ]
    return sorted(names, key=lambda name: (name.split("/")[0], "/train-" not in name, name))


def file_faults(
    folder: Path, files: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> Iterator[Finding]:
    """Compare the manifest with the files: missing, changed, not listed, or with an unsafe name."""
    for name, described in files.items():
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
            message = f"names {name!r}, which is not a plain path inside the folder"
            yield Finding(kind=FaultKind.FILE_NAME, file=MANIFEST_NAME, message=message)
            continue
        path = folder / name
        if not path.is_file():
            message = f"is named by {MANIFEST_NAME} but missing"
            yield Finding(kind=FaultKind.FILE_MISSING, file=name, message=message)
            continue
        found = describe_file(path)
        if found["sha256"] != described.get("sha256"):
            message = (
                f"is not the file that {MANIFEST_NAME} describes: SHA-256 "
                f"{found['sha256'][:12]}... ({found['bytes']} bytes), expected "
                f"{str(described.get('sha256'))[:12]}... ({described.get('bytes')} bytes)"
            )
            yield Finding(kind=FaultKind.HASH_DIFFERS, file=name, message=message)
    if files:
        for name in names:
            if name not in files:
                message = f"is not named by {MANIFEST_NAME}, but load_dataset may read it"
                yield Finding(kind=FaultKind.FILE_UNLISTED, file=name, message=message)


def row_count_faults(
    files: Mapping[str, Mapping[str, Any]], rows: Mapping[str, int]
) -> Iterator[Finding]:
    """Compare the manifest's row counts with the rows that were read."""
    for name, count in rows.items():
        expected = files.get(name, {}).get("rows")
        if expected is not None and expected != count:
            message = f"holds {count} rows, but {MANIFEST_NAME} says {expected}"
            yield Finding(kind=FaultKind.ROWS_DIFFER, file=name, message=message)


def card_faults(folder: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Compare the card's configurations, which `load_dataset` reads, with the files."""

    def fault(message: str) -> Finding:
        return Finding(kind=FaultKind.CARD, file=CARD_NAME, message=message)

    if not (folder / CARD_NAME).exists():
        yield fault(
            "is missing, and load_dataset needs its header to find the configurations; maskdpo "
            "build and merge write a card, and maskdpo.publishing.dataset.add_card adds one"
        )
        return
    try:
        text = (folder / CARD_NAME).read_text(encoding="utf-8")
        header = parse_yaml(text.split("---\n", 2)[1]) if text.startswith("---\n") else None
    except (OSError, ValueError, IndexError, YamlFault) as error:
        yield fault(f"cannot be read ({type(error).__name__}); it needs a YAML header")
        return
    configs = header.get("configs") if isinstance(header, dict) else None
    try:
        patterns = {
            str(config["config_name"]): [str(item["path"]) for item in config["data_files"]]
            for config in configs or []
        }
    except (KeyError, TypeError):
        yield fault("'configs' of its YAML header must hold 'config_name' and 'data_files'")
        return
    for config_name, paths in patterns.items():
        for pattern in paths:
            if not any(fnmatch(name, pattern) for name in names):
                yield fault(
                    f"configuration {config_name!r} names {pattern!r}, which matches no file"
                )
    for name in names:
        named = patterns.get(name.split("/", maxsplit=1)[0], [])
        if not any(fnmatch(name, pattern) for pattern in named):
            yield fault(f"no configuration of its YAML header names {name}")


def column_faults(name: str, found: Any, expected: Any) -> Iterator[Finding]:
    """Columns that are missing or have another type; additional columns are not a fault."""
    for column in expected:
        index = found.get_field_index(column.name)
        if index < 0 and column.name in OPTIONAL:
            continue
        if index < 0:
            message = f"has no column {column.name!r}"
        elif not _is_like(found.field(index).type, column.type, column.name):
            message = f"column {column.name!r} is {found.field(index).type}, must be {column.type}"
        else:
            continue
        yield Finding(kind=FaultKind.COLUMN, file=name, message=message)


def _is_like(found: Any, expected: Any, name: str) -> bool:
    """Equal except for widths, kinds of lists, order of struct fields and optional fields."""
    from pyarrow import types

    if types.is_null(found):
        return True
    if types.is_list(expected):
        is_list = types.is_list(found) or types.is_large_list(found)
        return is_list and _is_like(found.value_type, expected.value_type, name)
    if types.is_struct(expected):
        return bool(types.is_struct(found)) and all(
            f"{name}.{item.name}" in OPTIONAL
            if found.get_field_index(item.name) < 0
            else _is_like(found.field(item.name).type, item.type, f"{name}.{item.name}")
            for item in expected
        )
    if types.is_string(expected):
        return bool(types.is_string(found) or types.is_large_string(found))
    if types.is_integer(expected):
        return bool(types.is_integer(found))
    return bool(types.is_floating(found) or types.is_integer(found))
