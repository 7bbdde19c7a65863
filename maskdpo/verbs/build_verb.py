"""`maskdpo build`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    FOLDER,
    INPUT_FILE,
    VerbCommand,
    config_options,
    finish,
    require_file,
)


@click.command(
    "build",
    cls=VerbCommand,
    section="build",
    examples="""
    maskdpo build --config run.yaml
    maskdpo build --annotations annotations.jsonl --output dataset --set build.test_share=0.2
    """,
)
@config_options
@click.option("--annotations", type=INPUT_FILE, help="Annotations [RUN/annotations.jsonl].")
@click.option("--output", type=FOLDER, help="Data set folder [RUN/dataset].")
@click.option("--agreement", type=INPUT_FILE, help="Output of maskdpo agreement, for the card.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the card's plots.")
def command(
    config: RunConfig,
    annotations: Path | None,
    output: Path | None,
    agreement: Path | None,
    plots: bool,
) -> None:
    """Turn annotations into preference pairs with spans, weights, a card and a manifest."""
    from dataset_builder.build import run_build
    from dataset_builder.config import BuildConfig
    from maskdpo.report.dataset_plots import draw_dataset_plots

    settings = config.section(BuildConfig, "build")
    source = annotations or config.run.path("annotations.jsonl")
    require_file(source, made_by="make it with: maskdpo annotate (or maskdpo import)")
    result = run_build(
        settings,
        annotations=source,
        output=output or config.run.path("dataset"),
        agreement=agreement,
        draw=draw_dataset_plots if plots else None,
    )
    finish(result, max_failed=1.0)
