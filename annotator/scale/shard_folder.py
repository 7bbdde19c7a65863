"""The outputs of pieces as a folder of shards, JSONL or Parquet, instead of one joined file.

The rule: a shard has the rows of one piece in the order of the input, and a sidecar that names its
part; a folder that holds anything else is not touched. `maskdpo build` reads the shards by
--annotations 'FOLDER/*.parquet', or 'FOLDER/*[0-9].jsonl', which leaves out the failed rows.
Questions are always joined: repeats across documents are found only among all of them.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from annotator.scale.merge_outputs import add_counts, order_counts
from annotator.scale.merge_report import make_report
from annotator.scale.part_files import PartFile, read_parts, served_by_role
from formats.parquet_records import write_parquet_records
from schemas.errors import ConfigError
from schemas.files.jsonl import Row, scan_rows
from schemas.files.own_files import seal
from schemas.files.sidecar import Sidecar, sidecar_path, write_sidecar
from schemas.records import Annotation, Failure, Response
from schemas.stage import StageResult, failures_path, write_failures

ShardFormat = Literal["jsonl", "parquet"]
_MODELS: Mapping[str, type[Response]] = {"annotation": Annotation, "response": Response}
_UNITS = {"annotation": "responses", "response": "asked"}


def shard_folder(output: Path) -> Path:
    """`annotations.jsonl` -> `annotations`."""
    return output.with_suffix("")


def check_shard_folder(output: Path, shard_format: ShardFormat, *, kind: str) -> None:
    """Raise ConfigError where shards of `kind` cannot be written for `output`."""
    if kind not in _MODELS:
        raise ConfigError(
            f"ray.output is {shard_format!r}, but {kind}s are always joined in one file: repeats "
            "across documents are found only among all of them; set ray.output=joined"
        )
    folder = shard_folder(output)
    if folder == output or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"the shards of {output} need a folder {folder}, and that is a file")
    others = [path.name for path in sorted(folder.glob("*")) if not _is_shard(path, output)]
    if others:
        raise ConfigError(
            f"{folder} holds other files ({others[0]}), and shards would mix with them; name "
            "another --output, or move them away"
        )


def write_shards(
    paths: Sequence[Path], *, output: Path, shard_format: ShardFormat, same_model: bool
) -> StageResult:
    """Write the outputs of all pieces as shards in `shard_folder(output)`; the result of the run.

    Raises InputError where a piece is missing or of another run.
    """
    parts = read_parts(paths)
    served_by_role(parts, same_model=same_model)
    folder = shard_folder(output)
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write_shard(part, folder, shard_format) for part in parts]
    own = {name for path in written for name in _names_of(path)}
    for path in folder.iterdir():  # shards of an earlier run, cut or written otherwise
        if path.name not in own:
            path.unlink()
    kind = parts[0].kind
    counts = order_counts(add_counts(parts), kind)
    undetermined = Counter({"unknown": counts.get("label_undetermined", 0)})
    report = make_report(parts[0], counts, undetermined, folder)
    return StageResult(
        output=folder,
        num_rows=counts[_UNITS[kind]],
        failures=[row for path in written for row in _failures_of(path)],
        counts=counts,
        notes=report.notes,
        trouble=report.trouble,
    )


def _write_shard(part: PartFile, folder: Path, shard_format: ShardFormat) -> Path:
    """One shard with its failed rows and its sidecar, which comes last."""
    path = folder / part.path.with_suffix(f".{shard_format}").name
    if shard_format == "jsonl":
        shutil.move(part.path, path)  # the folder may be a link to another disk
    else:
        model = _MODELS[part.kind]
        write_parquet_records(path, _records(part.path, model), model)
    write_failures(path, list(_failures_of(part.path)))
    files = [item for item in (path, failures_path(path)) if item.is_file()]
    write_sidecar(path, seal(Sidecar.model_validate(dict(part.sidecar)), files))
    return path


def _records(path: Path, model: type[Response]) -> Iterator[Response]:
    return (row.record for row in scan_rows(path, model) if isinstance(row, Row))


def _failures_of(path: Path) -> Iterator[Failure]:
    failed = failures_path(path)
    if failed.is_file():
        yield from (row.record for row in scan_rows(failed, Failure) if isinstance(row, Row))


def _names_of(shard: Path) -> list[str]:
    """The names of a shard, of its failed rows, and of its sidecar."""
    return [shard.name, failures_path(shard).name, sidecar_path(shard).name]


def _is_shard(path: Path, output: Path) -> bool:
    """Whether a file is a shard of an earlier run, or belongs to one."""
    return path.name.startswith(f"{output.stem}-") and "-of-" in path.name
