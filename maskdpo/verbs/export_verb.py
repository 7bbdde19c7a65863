"""`maskdpo export`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import INPUT_FILE, VerbCommand, config_options, finish, require_file
from schemas.stage import DEFAULT_MAX_FAILED

FORMATS = ("trl", "published", "human_labels", "csv", "parquet")
_OF_PAIRS = ("trl", "published")


@click.command(
    "export",
    cls=VerbCommand,
    examples="""
    maskdpo export --format trl dataset --output trl
    maskdpo export --format published dataset --output published --lossy
    maskdpo export --format csv annotations.jsonl --output to_check.csv
    maskdpo export --format human_labels annotations.jsonl --documents documents.jsonl \\
                   --output labels.jsonl
    """,
)
@config_options
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option("--format", "format_name", type=click.Choice(FORMATS), required=True)
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="File or folder to write."
)
@click.option("--documents", type=INPUT_FILE, help="Documents that human labels are to carry.")
@click.option("--lossy", is_flag=True, help="Write the nearest word where a label has none.")
@click.option(
    "--max-failed",
    type=click.FloatRange(0.0, 1.0),
    default=DEFAULT_MAX_FAILED,
    show_default=True,
    help="Share of rows that may be refused before the exit code is 1.",
)
def command(
    config: RunConfig,
    *,
    source: Path | None,
    format_name: str,
    output: Path,
    documents: Path | None,
    lossy: bool,
    max_failed: float,
) -> None:
    """Write SOURCE in another format: pairs for trl or published, else annotations.

    SOURCE is a data set folder [RUN/dataset] for trl and published, and annotations
    [RUN/annotations.jsonl] for the others. What a format cannot say is refused and recorded
    beside the output; the rest is written. The formats: docs/formats.md.
    """
    from dataset_builder.formats.export import ExportFormat, run_export

    name = "dataset" if format_name in _OF_PAIRS else "annotations.jsonl"
    given = source or config.run.path(name)
    made_by = "maskdpo build makes it" if format_name in _OF_PAIRS else "maskdpo annotate makes it"
    result = run_export(
        source=require_file(given, made_by=made_by),
        output=output,
        format_name=ExportFormat(format_name),
        documents=documents,
        lossy=lossy,
    )
    finish(result, max_failed)
