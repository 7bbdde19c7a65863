"""`maskdpo merge`."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import (
    INPUT_FILE,
    DocumentedCommand,
    choose_plots,
    config_options,
    report_result,
)
from maskdpo.config import RunConfig
from maskdpo.run_store import STORE_NAME, RunStore, find_run_store, same_model_option, store_option
from schemas.errors import ConfigError, InputError
from schemas.files.shard import whole_path
from schemas.stage import DEFAULT_MAX_FAILED, StageResult

if TYPE_CHECKING:
    from annotator.scale.part_files import PartFile

_NOT_PARTS = (".failed.jsonl", ".partial.jsonl", ".meta.json")
# By kind of rows: the section of the command, the default name of its input, and of its output.
_FILES = {
    "annotation": ("annotate", "responses.jsonl", "annotations.jsonl"),
    "response": ("sample", "questions.jsonl", "responses.jsonl"),
    "question": ("questions", "documents.jsonl", "questions.jsonl"),
}


@click.command(
    "merge",
    cls=DocumentedCommand,
    examples="""
    maskdpo annotate --config run.yaml --shard 1/2
    maskdpo annotate --config run.yaml --shard 2/2
    maskdpo merge 'runs/default/annotations-*-of-00002.jsonl'
    maskdpo build --annotations 'judged/*.jsonl' --shard 1/2 --output parts/1
    maskdpo build --annotations 'judged/*.jsonl' --shard 2/2 --output parts/2
    maskdpo merge parts/1 parts/2 --output dataset
    """,
)
@config_options
@click.argument("parts", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="The joined file [the name of the parts without their numbers], or data set folder "
    "[RUN/dataset].",
)
@click.option(
    "--input",
    "source",
    type=INPUT_FILE,
    help="The input of the parts, which has the order of the rows: responses for annotations, "
    "questions for responses, documents for questions [RUN/responses.jsonl, ...; the same name "
    "next to the output or the parts].",
)
@click.option(
    "--stores/--no-stores",
    "with_stores",
    default=True,
    help="Also join the parts' stores of finished calls into the run's store. [on]",
)
@store_option
@same_model_option
@click.option(
    "--plots/--no-plots",
    default=None,
    help="Draw the plots of a data set's card [where matplotlib is installed].",
)
def command(
    config: RunConfig,
    *,
    parts: tuple[Path, ...],
    output: Path | None,
    source: Path | None,
    with_stores: bool,
    store: Path | None,
    same_model: bool,
    plots: bool | None,
) -> None:
    """Join the PARTS of one run or build, made with --shard, in any order.

    PARTS are files of annotate, sample or questions, or data set folders of build; or glob
    patterns. The result is byte for byte the same as without --shard.
    """
    found = _expand(parts)
    if all(path.is_dir() for path in found):
        _merge_folders(config, found, output, plots=plots)
        return
    if folders := [path for path in found if path.is_dir()]:
        raise ConfigError(f"{folders[0]} is a folder, but {found[0]} is a file; give one kind")
    from annotator.scale.merge_outputs import merge_outputs
    from annotator.scale.part_files import read_parts
    from maskdpo.cli.progress import Progress

    known = read_parts(found)
    section, input_name, _ = _FILES[known[0].kind]
    output = output or _name_output(config, known)
    source = source or _find_input(config, known, output, input_name)
    _refuse_forgotten(known, output)
    result = merge_outputs(
        [part.path for part in known],
        source=source,
        output=output,
        same_model=same_model,
        on_event=Progress(),
    )
    if with_stores:
        result = _merge_stores(find_run_store(config, output, given=store), known, result)
    max_failed = config.given(section, "max_failed")
    if max_failed is None:
        max_failed = known[0].sidecar.get("config", {}).get("max_failed", DEFAULT_MAX_FAILED)
    report_result(result, float(max_failed))


def _expand(patterns: Sequence[Path]) -> list[Path]:
    """The files and folders of paths and glob patterns, each once, in order.

    Failed rows, rows of stopped runs and sidecars, which a pattern may match, are left out.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        names = [] if pattern.exists() else glob.glob(str(pattern))  # noqa: PTH207
        if not names and not pattern.exists():
            raise InputError.of(pattern, "not found; make parts with --shard I/N")
        found |= dict.fromkeys(map(Path, sorted(names)) if names else [pattern])
    kept = [path for path in found if not path.name.endswith(_NOT_PARTS)]
    if not kept:
        raise InputError.of(patterns[0], "is not the output of a part")
    return kept


def _merge_folders(
    config: RunConfig, folders: Sequence[Path], output: Path | None, *, plots: bool | None
) -> None:
    from dataset_builder.config import BuildConfig
    from maskdpo.publishing.dataset import merge_datasets

    output = output or config.run.path("dataset")
    result = merge_datasets(folders, output=output, plots=choose_plots(plots))
    report_result(result, config.section(BuildConfig, "build").max_failed)


def _name_output(config: RunConfig, parts: Sequence[PartFile]) -> Path:
    """The name that all parts have without their numbers; where they have none, RUN's file."""
    names = {whole_path(part.path) for part in parts}
    name = names.pop()
    if name is not None and not names:
        return name
    return Path(config.run.path(_FILES[parts[0].kind][2]))


def _find_input(config: RunConfig, parts: Sequence[PartFile], output: Path, name: str) -> Path:
    """The input of the parts, by its default name or the one in their sidecars."""
    recorded = list(parts[0].sidecar.get("inputs", {}))
    names = [name, *(recorded if len(recorded) == 1 else ())]
    folders = dict.fromkeys([output.parent, *(part.path.parent for part in parts)])
    places: list[Path] = [
        config.run.path(name),
        *(folder / item for folder in folders for item in names),
    ]
    for path in places:
        if path.is_file():
            return path
    message = f"not found; name the input of the parts with --input FILE (it was one of {recorded})"
    raise InputError.of(places[1], message)


def _refuse_forgotten(parts: Sequence[PartFile], output: Path) -> None:
    """Raise InputError where a part has a response that was forgotten."""
    from formats.forgotten import Forgotten, refuse_forgotten_rows

    for part in parts:
        if part.kind != "question":
            refuse_forgotten_rows(part.path, Forgotten.read_next_to(output, part.path))


def _merge_stores(run: RunStore, parts: Sequence[PartFile], result: StageResult) -> StageResult:
    """Join the stores of the parts into that of the run; the result with a note on it."""
    from annotator.scale.merge_stores import merge_stores
    from maskdpo.cli.progress import Progress

    folders = dict.fromkeys(part.path.parent for part in parts)
    next_to = [path for folder in folders for path in RunStore(path=folder / STORE_NAME).parts()]
    sources = {path.resolve(): path for path in (*run.parts(), *next_to)}
    if not sources:
        note = f"no store of a part was found, so {run.path} has no calls of the parts"
    else:
        merged = merge_stores(run.path, list(sources.values()), on_event=Progress())
        note = (
            f"{run.path} has all calls of {len(sources):,} stores of parts ({merged.num_new:,} are "
            "new), which are not changed; they and the parts may be removed"
        )
    return replace(result, notes=[*result.notes, note])
