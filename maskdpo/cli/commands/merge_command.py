"""`maskdpo merge`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.options import (
    FOLDER,
    DocumentedCommand,
    config_options,
    plots_option,
    report_result,
)
from maskdpo.config import RunConfig


@click.command(
    "merge",
    cls=DocumentedCommand,
    examples="""
    maskdpo build --annotations 'judged/*.jsonl' --shard 1/2 --output parts/1
    maskdpo build --annotations 'judged/*.jsonl' --shard 2/2 --output parts/2
    maskdpo merge parts/1 parts/2 --output dataset
    """,
)
@config_options
@click.argument("shards", type=FOLDER, nargs=-1, required=True)
@click.option("--output", type=FOLDER, help="Data set folder [RUN/dataset].")
@plots_option
def command(
    config: RunConfig, *, shards: tuple[Path, ...], output: Path | None, plots: bool
) -> None:
    """Join the parts of one build (SHARDS, in any order).

    The result is byte for byte the same as a build in one piece.
    """
    from dataset_builder.config import BuildConfig
    from maskdpo.publishing.dataset import merge_datasets

    result = merge_datasets(shards, output=output or config.run.path("dataset"), plots=plots)
    report_result(result, config.section(BuildConfig, "build").max_failed)
