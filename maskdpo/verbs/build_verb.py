"""`maskdpo build`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    FOLDER,
    INPUT_FILE,
    VerbCommand,
    config_options,
    expand_inputs,
    finish,
)


@click.command(
    "build",
    cls=VerbCommand,
    section="build",
    examples="""
    maskdpo build --config run.yaml
    maskdpo build --annotations annotations.jsonl --output dataset --set build.test_share=0.2
    maskdpo build --annotations 'judged/*.jsonl' --corrections people.jsonl --output dataset
    maskdpo build --annotations 'judged/*.jsonl' --shard 2/4 --output parts/2   (then: merge)
    """,
)
@config_options
@click.option(
    "--annotations",
    type=INPUT_FILE,
    multiple=True,
    help="Annotations, a file or a glob pattern; may be repeated [RUN/annotations.jsonl].",
)
@click.option(
    "--corrections",
    type=INPUT_FILE,
    multiple=True,
    help="People's corrections, which beat the annotations' verdicts; a file or pattern.",
)
@click.option(
    "--evaluation-questions",
    type=INPUT_FILE,
    multiple=True,
    help="Questions kept for evaluation: training questions like them are dropped.",
)
@click.option(
    "--documents",
    type=INPUT_FILE,
    multiple=True,
    help="Documents to quote as evidence, where their own licence permits it; a file or pattern.",
)
@click.option("--shard", metavar="I/N", help="Build part I of N; put them together with merge.")
@click.option("--output", type=FOLDER, help="Data set folder [RUN/dataset].")
@click.option("--agreement", type=INPUT_FILE, help="Output of maskdpo agreement, for the card.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the card's plots.")
def command(
    config: RunConfig,
    *,
    annotations: tuple[Path, ...],
    corrections: tuple[Path, ...],
    evaluation_questions: tuple[Path, ...],
    documents: tuple[Path, ...],
    shard: str | None,
    output: Path | None,
    agreement: Path | None,
    plots: bool,
) -> None:
    """Turn annotations into preference pairs with spans, weights, a card and a manifest."""
    from dataset_builder.build import run_build
    from dataset_builder.config import BuildConfig
    from dataset_builder.spool import Shard
    from dataset_builder.statistics import STATISTICS_NAME
    from maskdpo.report.dataset_plots import draw_dataset_plots
    from maskdpo.report.dataset_table import print_statistics

    settings = config.section(BuildConfig, "build")
    sources = annotations or (config.run.path("annotations.jsonl"),)
    result = run_build(
        settings,
        annotations=expand_inputs(
            sources, made_by="make it with: maskdpo annotate (or maskdpo import)"
        ),
        output=output or config.run.path("dataset"),
        corrections=expand_inputs(
            corrections, made_by="--corrections wants JSONL; see: maskdpo schema correction"
        ),
        evaluation_questions=expand_inputs(
            evaluation_questions,
            made_by="--evaluation-questions wants JSONL; see: maskdpo schema question",
        ),
        documents=expand_inputs(
            documents, made_by="--documents wants JSONL; see: maskdpo schema document"
        ),
        shard=Shard.parse(shard) if shard else None,
        agreement=agreement,
        draw=draw_dataset_plots if plots else None,
    )
    print_statistics(json.loads((result.output / STATISTICS_NAME).read_text(encoding="utf-8")))
    finish(result, settings.max_failed)
