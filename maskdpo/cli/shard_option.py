"""`--shard I/N`: a command that does one part of its work, for schedulers such as Slurm.

The rule: the parts of a command need nothing of each other. Each writes its own file and keeps its
own store, whose names hold the part's number; only the replies in other parts' stores are read.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click
from pydantic import BaseModel

from schemas.errors import ConfigError
from schemas.files.parts import InputPart, cut_rows
from schemas.files.shard import Shard, part_path, whole_path
from schemas.stage import StageResult

RecordT = TypeVar("RecordT", bound=BaseModel)


def _parse(_: click.Context, __: click.Parameter, text: str | None) -> Shard | None:
    if text is None:
        return None
    try:
        shard = Shard.parse(text)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None
    return shard if shard.count > 1 else None


shard_option = click.option(
    "--shard",
    metavar="I/N",
    callback=_parse,
    help="Do part I of N and write it to OUTPUT-0000I-of-0000N.jsonl (or --output FILE), with its "
    "calls in a store of that name; join the parts with maskdpo merge.",
)


def name_output(given: Path | None, default: Path, shard: Shard | None) -> Path:
    """The output: `given`, else `default`, with the number of the part."""
    if given is not None or shard is None:
        return given or default
    return part_path(default, shard)


def cut_part(
    source: Path,
    model: type[RecordT],
    key: Callable[[RecordT], str],
    shard: Shard | None,
) -> InputPart | None:
    """The rows of the part; None for all. Raises InputError for faults anywhere in `source`."""
    if shard is None:
        return None
    (part,) = cut_rows(source, model, key=key, count=shard.count, wanted=[shard.index])
    return part


def name_next_step(result: StageResult, shard: Shard | None, source: Path) -> StageResult:
    """The result, with a note that names the command that joins the parts of the run on `source`.

    A result without output has no next step.
    """
    if shard is None or result.fatal:
        return result
    parts, output = "PARTS", " --output FILE"
    if (whole := whole_path(result.output)) is not None:
        pattern = whole.with_stem(f"{whole.stem}-*-of-{shard.count:05}")
        parts, output = shlex.quote(str(pattern)), ""
    note = (
        f"this is part {shard} of the run; when all {shard.count:,} parts are there: maskdpo merge "
        f"{parts} --input {shlex.quote(str(source))}{output}"
    )
    return replace(result, notes=[*result.notes, note])


def refuse_with_shard(shard: Shard | None, options: Sequence[tuple[str, object]]) -> None:
    """Raise UsageError for options, as (name, value), that have no meaning for a part."""
    for name, value in options:
        if shard is not None and value:
            raise click.UsageError(f"--shard cannot be combined with {name}")
