"""`maskdpo import`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    INPUT_FILE,
    OUTPUT_FILE,
    VerbCommand,
    config_options,
    finish,
    require_file,
)
from schemas.stage import DEFAULT_MAX_FAILED


@click.command(
    "import",
    cls=VerbCommand,
    examples="""
    maskdpo import labels.jsonl --set run.dir=runs/mine
    maskdpo import labels.jsonl --output annotations.jsonl --documents-output documents.jsonl
    """,
)
@config_options
@click.argument("source", type=INPUT_FILE)
@click.option("--output", type=OUTPUT_FILE, help="Annotations [RUN/annotations.jsonl].")
@click.option("--documents-output", type=OUTPUT_FILE, help="Documents [RUN/documents.jsonl].")
@click.option(
    "--max-failed",
    type=click.FloatRange(0.0, 1.0),
    default=DEFAULT_MAX_FAILED,
    show_default=True,
    help="Share of rows that may be bad before the exit code is 1.",
)
def command(
    config: RunConfig,
    source: Path,
    output: Path | None,
    documents_output: Path | None,
    max_failed: float,
) -> None:
    """Turn human-labelled JSONL (SOURCE) into annotations and documents.

    What people left unlabelled becomes `undetermined: not_labelled`. A bad row is recorded
    beside the output; the others are imported. The format: docs/dataset-format.md.
    """
    from dataset_builder.formats.human_labels import run_import

    require_file(source, made_by="SOURCE is a JSONL file of labelled responses")
    result = run_import(
        source=source,
        annotations=output or config.run.path("annotations.jsonl"),
        documents=documents_output or config.run.path("documents.jsonl"),
    )
    finish(result, max_failed)
