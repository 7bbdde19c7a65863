"""Sidecars: what made a stage file, next to it as `NAME.meta.json`.

Rows hold data; a sidecar holds everything about the run that made them: format and version, config,
hashes of the inputs, package and model versions, counts, timings. Two runs of one config may
differ in their sidecars (timings) and never in their rows.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import InputError
from schemas.files.writing import write_json

FORMAT_PREFIX = "maskdpo."
_NUMBER = re.compile(r" \(\d+\)$")
# Major: a reader must refuse a newer one. Minor: fields were added, old readers still work.
FORMAT_VERSIONS: Mapping[str, tuple[int, int]] = {
    "document": (1, 0),
    "question": (1, 0),
    "response": (1, 0),
    # 1.1: `error_spans` of a verdict, in rows that have any; 1.2: their `label` and
    # `kind`, and `missing_error_words`, where there are any
    "annotation": (1, 2),
    "correction": (1, 0),
    # 1.1: `label` and `kind` of error spans; 1.2: `withdraws`, `resolves`
    "review": (1, 2),
    "failure": (1, 0),
    "export": (1, 0),
    "pairs": (2, 0),  # 2: spans may be pieces of sentences; without pieces 1.0 is written
    "training": (1, 0),
}


# What a format was called before: such files are still read.
_FORMER_NAMES: Mapping[str, str] = {"review": "correction"}


class Sidecar(BaseModel):
    """The content of `NAME.meta.json`.

    models    names of the models, by role
    served    what servers reported about them, by role; no address and no folder
    prompts   SHA-256 of a judge's prompts, by language
    shard     the part of the input that the file covers, such as "3/64"; empty for all of it
    """

    model_config = ConfigDict(extra="allow")

    format: str
    version: str
    config: dict[str, Any] = {}
    inputs: dict[str, dict[str, Any]] = {}
    packages: dict[str, str] = {}
    models: dict[str, str] = {}
    served: dict[str, list[dict[str, Any]]] = {}
    prompts: dict[str, str] = {}
    counts: dict[str, int] = {}
    timings: dict[str, float] = {}
    shard: str = Field(default="", exclude_if=lambda value: not value)


def sidecar_path(path: str | Path) -> Path:
    """`responses.jsonl` -> `responses.jsonl.meta.json`."""
    path = Path(path)
    return path.with_name(path.name + ".meta.json")


def make_sidecar(
    kind: str,
    *,
    config: Mapping[str, Any],
    inputs: Iterable[str | Path] | Mapping[str, Mapping[str, Any]],
    packages: Iterable[str] = (),
    models: Mapping[str, str] | None = None,
    served: Mapping[str, list[dict[str, Any]]] | None = None,
    prompts: Mapping[str, str] | None = None,
    counts: Mapping[str, int] | None = None,
    timings: Mapping[str, float] | None = None,
    version: tuple[int, int] | None = None,
) -> Sidecar:
    """A sidecar for a file of `kind` (a key of FORMAT_VERSIONS).

    Inputs are hashed here, unless they are given as the result of `describe_files` before the run.
    `version` is for content that an earlier version of the format already holds.
    """
    major, minor = version or FORMAT_VERSIONS[kind]
    described = inputs if isinstance(inputs, Mapping) else describe_files(inputs)
    return Sidecar(
        format=FORMAT_PREFIX + kind,
        version=f"{major}.{minor}",
        config=dict(config),
        inputs={name: dict(entry) for name, entry in described.items()},
        packages={"python": platform.python_version()} | installed_versions(packages),
        models=dict(models or {}),
        served=dict(served or {}),
        prompts=dict(prompts or {}),
        counts=dict(counts or {}),
        timings={key: round(value, 3) for key, value in (timings or {}).items()},
    )


def write_sidecar(path: str | Path, sidecar: Sidecar) -> None:
    """Write the sidecar of the stage file `path`, atomically."""
    write_json(sidecar_path(path), sidecar.model_dump())


def read_sidecar_values(path: str | Path) -> dict[str, Any]:
    """The sidecar of `path`, unchecked; {} where none can be read."""
    return read_object(sidecar_path(path))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; {} where none can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def check_sidecar(path: str | Path, model_name: str) -> None:
    """Raise InputError when the sidecar of `path` forbids reading `path`.

    A file without a sidecar (made by hand, or elsewhere) is read as the current version.
    """
    meta_path = sidecar_path(path)
    if not meta_path.exists():
        return
    try:
        values = json.loads(meta_path.read_text(encoding="utf-8"))
        # The version first, and leniently: nothing else in a later format is checked.
        format_name, version = str(values["format"]), str(values["version"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        message = (
            f"is not a readable sidecar ({reason}); it needs 'format' and 'version'. If "
            f"{Path(path).name} was made by hand, remove the sidecar"
        )
        raise InputError.of(meta_path, message) from None
    check_format(meta_path, format_name, version, expected=model_name.lower())


def check_format(path: str | Path, format_name: str, version: str, *, expected: str) -> None:
    """Raise InputError unless `format_name` and `version` can be read as `expected`."""
    kind = format_name.removeprefix(FORMAT_PREFIX)
    if expected in FORMAT_VERSIONS and kind not in (expected, _FORMER_NAMES.get(expected)):
        raise InputError.of(
            path, f"says the file holds {format_name!r}, but {FORMAT_PREFIX + expected!r} is needed"
        )
    known_major = FORMAT_VERSIONS.get(kind, (1, 0))[0]
    major = version.split(".")[0]
    if not (major.isascii() and major.isdigit()):
        raise InputError.of(path, f"'version' is {version!r}, but it must look like '1.0'")
    if int(major) > known_major:
        raise InputError.of(
            path,
            f"has format version {version}, newer than the {known_major}.x this maskdpo reads; "
            "upgrade maskdpo",
        )


def check_data_set(folder: Path) -> None:
    """Raise InputError for a data set folder in a newer format than this code reads.

    A folder without a manifest, or with that of another tool, passes.
    """
    path = folder / "manifest.json"
    values = read_object(path)
    name = str(values.get("format", ""))
    if name.startswith(FORMAT_PREFIX) and "version" in values:
        check_format(path, name, str(values["version"]), expected="pairs")


def describe_file(path: str | Path) -> dict[str, Any]:
    """SHA-256 and size of a file, without its folder: sidecars contain no paths of a machine."""
    digest = hashlib.sha256()
    size = 0
    with Path(path).open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
            size += len(block)
    return {"sha256": digest.hexdigest(), "bytes": size}


def describe_files(
    paths: Iterable[str | Path], *, names: Mapping[Path, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Hash and size of each file by its base name, numbered where several have one name.

    `names` gives files another name.

    `x/data.jsonl` and `y/data.jsonl` are `data.jsonl` and `data.jsonl (2)`, in the order of their
    hashes, so that the order in which they are given does not count.
    """
    given = names or {}
    entries = [(given.get(Path(path), Path(path).name), describe_file(path)) for path in paths]
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(entries, key=lambda item: (item[0], item[1]["sha256"])):
        number = 2
        unique = name
        while unique in found:
            unique = f"{name} ({number})"
            number += 1
        found[unique] = entry
    return found


def base_name(name: str) -> str:
    """The name of an input without the number that `describe_files` gave it."""
    return _NUMBER.sub("", name)


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that are installed, without importing them."""
    found = {}
    for package in ("maskdpo", *packages):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
