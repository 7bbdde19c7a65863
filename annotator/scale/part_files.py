"""The parts of one run: which files belong together, according to their sidecars.

The rule: parts are merged only if one run without parts could have written them. They have the
same inputs and the same settings, apart from how a server is reached and how many rows may fail,
and each part is there exactly once. What a part's sidecar records about its files (`written`) is
compared while they are read (annotator/scale/part_rows.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import MAX_FAULTS_SHOWN, ConfigError, Fault, InputError
from schemas.files.shard import Shard
from schemas.files.sidecar import FORMAT_PREFIX, check_format, read_sidecar_values, sidecar_path
from schemas.validation import show_value

# What all parts have in common, as named in sidecars; the rest (counts, timings, ...) differs.
_COMMON = ("format", "version", "inputs", "models", "prompts", "packages")
# Settings that decide no row: how a server is reached, and when a run stops.
MEANS = frozenset(
    {
        "base_url", "base_urls", "api_key_env", "concurrency", "timeout_s", "max_retries", "prices",
        "max_failed", "max_undetermined_share", "max_useless",
    }
)  # fmt: skip
COMMANDS = {"annotation": "annotate", "response": "sample", "question": "questions"}


@dataclass(frozen=True, kw_only=True)
class PartFile:
    """One part: its file, its place among the parts, and its sidecar.

    kind   what its rows are: "annotation", "response" or "question"
    """

    path: Path
    kind: str
    shard: Shard
    sidecar: Mapping[str, Any]

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts of the part's run."""
        return dict(self.sidecar.get("counts", {}))

    @property
    def command(self) -> str:
        """The command that writes such files."""
        return f"maskdpo {COMMANDS[self.kind]}"

    def written(self, path: Path) -> Mapping[str, Any] | None:
        """Hash and size of a file of this part when it was written; None where not recorded."""
        entry = self.sidecar.get("written", {}).get(path.name)
        return entry if isinstance(entry, Mapping) else None


def read_parts(paths: Sequence[Path]) -> list[PartFile]:
    """All parts of one run, by their number.

    Raises InputError where a file is not a part, belongs to another run than the first one, is
    there twice, or is missing; each error names the file and what to do.
    """
    if not paths:
        raise ConfigError("no parts are given; name the files that runs with --shard wrote")
    found = [_read(path) for path in paths]
    if faults := [item for item in found if isinstance(item, Fault)]:
        raise InputError(faults)
    parts = [item for item in found if isinstance(item, PartFile)]
    for part in parts[1:]:
        _check_same_run(part, parts[0])
    _check_complete(parts)
    return sorted(parts, key=lambda part: part.shard.index)


def _read(path: Path) -> PartFile | Fault:
    values = read_sidecar_values(path)
    kind = str(values.get("format", "")).removeprefix(FORMAT_PREFIX)
    if not path.is_file():
        return Fault(path=str(path), line=None, message="not found; run this part")
    if not values:
        message = f"has no readable sidecar {sidecar_path(path).name}; run this part again"
        return Fault(path=str(path), line=None, message=message)
    if kind not in COMMANDS or "shard" not in values:
        message = "is not a part of a run (its sidecar names no shard); make parts with --shard I/N"
        return Fault(path=str(path), line=None, message=message)
    check_format(sidecar_path(path), str(values["format"]), str(values["version"]), expected=kind)
    try:
        shard = Shard.parse(str(values["shard"]))
    except ConfigError as error:
        return Fault(path=str(sidecar_path(path)), line=None, message=str(error))
    return PartFile(path=path, kind=kind, shard=shard, sidecar=values)


def _check_same_run(part: PartFile, first: PartFile) -> None:
    """Raise InputError where `part` belongs to another run than `first`."""
    if part.kind != first.kind:
        message = f"holds rows of {part.command}, but {first.path} those of {first.command}"
        raise InputError.of(part.path, message)
    own, other = deciding(part.sidecar.get("config")), deciding(first.sidecar.get("config"))
    if own != other:
        message = (
            f"was made with other settings than {first.path}: {_differences(own, other)}; run all "
            "parts with the same settings (stored calls are not made again)"
        )
        raise InputError.of(part.path, message)
    for name in _COMMON:
        own, other = part.sidecar.get(name), first.sidecar.get(name)
        if own != other:
            message = (
                f"is of another run than {first.path}: {name}: {_differences(own, other)}; run all "
                f"parts with the same {_SAME[name]} (stored calls are not made again)"
            )
            raise InputError.of(part.path, message)


_SAME = {
    "format": "version of maskdpo",
    "version": "version of maskdpo",
    "inputs": "input files",
    "models": "models",
    "prompts": "prompts",
    "packages": "packages",
}


def deciding(config: Any) -> Any:
    """The settings that decide rows, at any depth."""
    if not isinstance(config, Mapping):
        return config
    return {name: deciding(value) for name, value in config.items() if name not in MEANS}


def _differences(own: Any, other: Any, name: str = "") -> str:
    """`llm.seed is 1, not 0`: where two values differ."""
    if not (isinstance(own, Mapping) and isinstance(other, Mapping)):
        return f"{name + ' is ' if name else ''}{show_value(own)}, not {show_value(other)}"
    return "; ".join(
        _differences(own.get(key), other.get(key), f"{name}.{key}" if name else str(key))
        for key in dict.fromkeys((*own, *other))
        if own.get(key) != other.get(key)
    )


def _check_complete(parts: Sequence[PartFile]) -> None:
    """Raise InputError unless each part of the run is there exactly once."""
    first = parts[0]
    count = first.shard.count
    found: dict[int, PartFile] = {}
    for part in parts:
        if part.shard.count != count:
            message = f"is part {part.shard}, but {first.path} is part {first.shard}"
            raise InputError.of(part.path, message)
        if found.setdefault(part.shard.index, part) is not part:
            message = f"is part {part.shard}, like {found[part.shard.index].path}"
            raise InputError.of(part.path, message)
    missing = [index for index in range(1, count + 1) if index not in found]
    if missing:
        named = ", ".join(str(Shard(index=i, count=count)) for i in missing[:MAX_FAULTS_SHOWN])
        more = ", ..." if len(missing) > MAX_FAULTS_SHOWN else ""
        message = (
            f"is one of {count:,} parts, and {len(missing):,} of them are not given: {named}{more};"
            f" run them with: {first.command} --shard {Shard(index=missing[0], count=count)}"
        )
        raise InputError.of(first.path, message)


def check_source(source: Path, described: Mapping[str, Any], parts: Sequence[PartFile]) -> None:
    """Raise InputError unless `source`, described by hash and size, is an input of the parts."""
    inputs = parts[0].sidecar.get("inputs", {})
    if described["sha256"] in {entry.get("sha256") for entry in inputs.values()}:
        return
    message = (
        f"is not the input of {parts[0].path} (another hash): its inputs were "
        f"{', '.join(sorted(inputs)) or 'not recorded'}; name the file with --input FILE"
    )
    raise InputError.of(source, message)


def served_by_role(
    parts: Sequence[PartFile], *, same_model: bool
) -> dict[str, list[Mapping[str, Any]]]:
    """What servers reported in all parts, by role, each once.

    A part whose calls were all stored may have reached no server. Raises InputError where parts
    were made with servers that report different models, unless `same_model`.
    """
    served: dict[str, list[Mapping[str, Any]]] = {}
    seen: dict[str, PartFile] = {}
    for part in parts:
        for role, models in part.sidecar.get("served", {}).items():
            known = served.setdefault(role, [])
            new = [model for model in models if model not in known]
            if new and known and not same_model:
                message = (
                    f"was made with another model than {seen[role].path}, according to the "
                    f"servers: {_differences(new[0], known[0])}. If it is the same model, add "
                    "--same-model; if not, run these parts again with one model"
                )
                raise InputError.of(part.path, message)
            known.extend(new)
            if models:
                seen.setdefault(role, part)
    return served


def refuse_inside(output: Path, others: Collection[Path]) -> None:
    """Raise ConfigError where `output` is one of the files that are read."""
    if output.resolve() in {path.resolve() for path in others}:
        raise ConfigError(f"{output} is an input and would be overwritten; name another output")
