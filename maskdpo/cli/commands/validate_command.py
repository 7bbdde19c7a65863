"""`maskdpo validate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import OUTPUT_FILE, DocumentedCommand, config_options
from maskdpo.config import RunConfig

if TYPE_CHECKING:
    from dataset_builder.folder.validate import Validation


@click.command(
    "validate",
    cls=DocumentedCommand,
    examples="""
    maskdpo validate --config run.yaml
    maskdpo validate dataset --statistics
    maskdpo validate org/name --revision main --json faults.json
    """,
)
@config_options
@click.argument("dataset", required=False)
@click.option("--revision", help="Branch, tag or commit of a data set on the Hub [main].")
@click.option(
    "--show",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Faults to print; all are counted.",
)
@click.option("--statistics", is_flag=True, help="Print labels, scores, lengths and their like.")
@click.option("--json", "report", type=OUTPUT_FILE, help="Also write the faults to this file.")
def command(
    config: RunConfig,
    *,
    dataset: str | None,
    revision: str | None,
    show: int,
    statistics: bool,
    report: Path | None,
) -> None:
    """Check DATASET, a folder or a data set on the Hub [RUN/dataset], file by file, row by row.

    Prints every fault with its file and row (from 0) and exits with 2 when there is any. Topics of
    two splits that are nearly equal are no fault: they are listed in a note.
    """
    from dataset_builder.folder.statistics import compute_statistics
    from dataset_builder.folder.validate import validate_folder
    from maskdpo.data_sets.hub import find_dataset
    from maskdpo.report.dataset_table import print_statistics
    from schemas.errors import InputError
    from schemas.files.own_files import has_keys, refuse_to_replace_unless
    from schemas.text.terminal import printable

    if report:
        own = has_keys("num_faults", "by_kind", "faults")
        refuse_to_replace_unless(report, own, by="maskdpo validate", option="--json")
    folder = find_dataset(dataset or str(config.run.path("dataset")), revision=revision)
    validation = validate_folder(folder)
    if report:
        _write_report(report, validation)
    for finding in validation.findings[:show]:
        click.echo(printable(str(finding)))
    num_faults = validation.num_faults
    if num_faults > show:
        click.echo(f"... and {num_faults - show:,} more faults")
    if num_faults:
        listed = ", ".join(f"{kind} {count:,}" for kind, count in validation.by_kind.items())
        raise InputError.of(dataset or folder, f"has {num_faults:,} faults: {listed}")
    rows = ", ".join(f"{name} {count:,}" for name, count in validation.num_rows.items())
    click.echo(f"{dataset or folder} is sound (rows: {rows})")
    for note in validation.notes:
        click.echo(f"note: {printable(note)}", err=True)
    if statistics:
        print_statistics(compute_statistics(folder))


def _write_report(path: Path, validation: Validation) -> None:
    from schemas.files.writing import write_json

    write_json(
        path,
        {
            "num_faults": validation.num_faults,
            "by_kind": dict(validation.by_kind),
            "num_rows": dict(validation.num_rows),
            "notes": list(validation.notes),
            "faults": [
                {
                    "kind": finding.kind.value,
                    "file": finding.file,
                    "row": finding.row,
                    "id": finding.id,
                    "message": finding.message,
                }
                for finding in validation.findings
            ],
        },
    )
