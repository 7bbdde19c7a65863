"""`merge`: joins the shards of one build into the same bytes as a build in one piece.

The rule: every question is in one shard, and each shard has its questions in order; so rows are
merged by question, counts are added, and nothing is decided again. Shards of different inputs or
settings are refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dataset_builder.build import StagedDataset, make_result
from dataset_builder.build_counts import (
    add_counts,
    make_notes,
    order_counts,
    sort_failures,
)
from dataset_builder.config import BuildConfig
from dataset_builder.folder.manifest import make_manifest, write_statistics_and_manifest
from dataset_builder.folder.merge_rows import merge_tables
from dataset_builder.folder.provenance import add_provenance
from dataset_builder.folder.read import load_manifest
from dataset_builder.folder.write import (
    DataWriter,
    check_replaceable,
    data_schemas,
    new_folder,
    parquet_name,
)
from dataset_builder.review_outcome import conflicts_path, notes_on_people, write_conflicts
from dataset_builder.splits.empty_splits import find_empty
from dataset_builder.splits.splits import Split
from formats.reviews.conflicts import Conflict
from schemas.errors import Fault, InputError
from schemas.files.jsonl import Row, read_records, scan_rows
from schemas.files.shard import Shard
from schemas.files.sidecar import describe_file
from schemas.records import Failure
from schemas.stage import StageResult, failures_path, write_failures
from schemas.validation import show_value

# What the shards of one build have in common; the rest of a manifest differs.
_COMMON = ("format", "config", "version", "inputs", "packages", "agreement", "judging", "reviewers")


def run_merge(shards: Sequence[Path], *, output: Path) -> StageResult:
    """Merge the folders `shards` into the data set folder `output`. See `staged_merge`."""
    with staged_merge(shards, output=output) as staged:
        return staged.result


@contextmanager
def staged_merge(
    shards: Sequence[Path], *, output: Path, replaces: Collection[str] = ()
) -> Iterator[StagedDataset]:
    """The merged folders `shards` (all parts of one build, in any order), as `staged_build` does.

    Raises InputError when a part is missing, damaged or from another build, and when all parts
    together have no pair in the split `train`. Then nothing is written.
    """
    check_replaceable(output, replaces=replaces)
    manifests = {path: load_manifest(path) for path in shards}
    _check_parts(manifests)
    first = manifests[shards[0]]
    config = BuildConfig.parse(first["config"], where=str(shards[0]))
    failures = sort_failures(failure for path in shards for failure in _failures_of(path))
    conflicts = [row for path in shards for row in _conflicts_of(path)]
    with new_folder(output, replaces=replaces) as folder:
        files = _write_rows(manifests, folder, pieces=config.has_pieces)
        counts = order_counts(add_counts(part["counts"] for part in manifests.values()), files)
        empty = find_empty(counts, config)
        if empty is not None:
            raise InputError.of(f"the {len(shards)} shards", empty)
        manifest = {
            **make_manifest(config, inputs=first["inputs"], counts=counts, files=files),
            **add_provenance(manifests.values()),
            "agreement": first.get("agreement"),
            "judging": first.get("judging", []),
            **({"reviewers": first["reviewers"]} if first.get("reviewers") else {}),
        }
        write_statistics_and_manifest(folder, manifest)
        notes = [
            *notes_on_people(counts, config, output, first.get("reviewers", 0)),
            *make_notes(counts, config, folder),
        ]
        yield StagedDataset(folder=folder, result=make_result(output, counts, failures, notes))
    write_failures(output, failures)
    write_conflicts(output, conflicts)


def _write_rows(
    manifests: Mapping[Path, Mapping[str, Any]], folder: Path, *, pieces: bool
) -> dict[str, dict[str, Any]]:
    """Write the Parquet files of `folder`; returns their entries for the manifest."""
    with DataWriter(folder, pieces=pieces) as writer:
        for split in Split:
            for config_name, schema in data_schemas(pieces=pieces).items():
                name = parquet_name(config_name, split)
                paths = [path / name for path, part in manifests.items() if name in part["files"]]
                for rows in merge_tables(paths, schema):
                    writer.add_table(name, rows)
    return writer.files()


def _check_parts(manifests: Mapping[Path, Mapping[str, Any]]) -> None:
    """Raise InputError unless these are all parts of one build, each complete."""
    faults = [fault for path, manifest in manifests.items() for fault in _faults(path, manifest)]
    if faults:
        raise InputError([Fault(path=str(path), line=None, message=text) for path, text in faults])
    first_path, first = next(iter(manifests.items()))
    for path, manifest in manifests.items():
        for key in _COMMON:
            value, expected = _common(manifest, key, path), _common(first, key, first_path)
            if value != expected:
                message = f"is from another build than {first_path}: their {key!r} differ"
                raise InputError.of(path, message + _settings_that_differ(value, expected))
    parts = {path: Shard.parse(manifest["shard"]) for path, manifest in manifests.items()}
    count = parts[first_path].count
    found: dict[int, Path] = {}
    for path, part in parts.items():
        if part.count != count:
            message = f"is part {part}, but {first_path} is part {parts[first_path]}"
            raise InputError.of(path, message)
        if found.setdefault(part.index, path) != path:
            message = f"is part {part}, like {found[part.index]}"
            raise InputError.of(path, message)
    missing = [str(Shard(index=i, count=count)) for i in range(1, count + 1) if i not in found]
    if missing:
        message = f"is one of {count} parts; also give {', '.join(missing)}"
        raise InputError.of(first_path, message)


def _common(manifest: Mapping[str, Any], key: str, path: Path) -> Any:
    """What must be equal in all shards; settings are compared by their current names."""
    value = manifest.get(key)
    return BuildConfig.parse(value, where=str(path)) if key == "config" and value else value


def _settings_that_differ(value: Any, expected: Any) -> str:
    """Names and values, to add to a message; '' for anything but settings."""
    if not (isinstance(value, BuildConfig) and isinstance(expected, BuildConfig)):
        return ""
    ours, others = value.model_dump(mode="json"), expected.model_dump(mode="json")
    differ = [
        f"{name} is {show_value(own)}, not {show_value(others[name])}"
        for name, own in ours.items()
        if own != others[name]
    ]
    return f": {', '.join(differ)}; build all parts with the same settings"


def _faults(path: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    if "shard" not in manifest:
        yield path, "is a whole data set, not a part of one; make parts with: maskdpo build --shard"
    for name, entry in manifest["files"].items():
        file = path / name
        if not file.is_file():
            yield file, "is missing; build this shard again"
        elif describe_file(file)["sha256"] != entry["sha256"]:
            yield (
                file,
                "was changed after build wrote it (its hash differs); build this shard again",
            )


def _failures_of(shard: Path) -> list[Failure]:
    path = failures_path(shard)
    if not path.exists():
        return []
    # Not read_records: two refused reviews of one response have one id.
    return [row.record for row in scan_rows(path, Failure) if isinstance(row, Row)]


def _conflicts_of(shard: Path) -> list[Conflict]:
    path = conflicts_path(shard)
    return read_records(path, Conflict) if path.exists() else []
