"""`maskdpo validate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import (
    OUTPUT_FILE,
    DocumentedCommand,
    config_name_option,
    config_options,
)
from maskdpo.config import RunConfig
from schemas.errors import InputError

if TYPE_CHECKING:
    from dataset_builder.folder.validate import Validation
    from schemas.files.tables import Table


@click.command(
    "validate",
    cls=DocumentedCommand,
    examples="""
    maskdpo validate --config run.yaml
    maskdpo validate dataset --statistics
    maskdpo validate org/name@main --json faults.json
    """,
)
@config_options
@click.argument("dataset", required=False)
@click.option("--revision", help="Branch, tag or commit of a data set on the Hub [main].")
@click.option(
    "--split", metavar="NAME", help="Check only this split, rows only and no hashes. [all]"
)
@config_name_option
@click.option(
    "--show",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Number of faults to print; all are counted.",
)
@click.option(
    "--statistics", is_flag=True, help="Also print statistics: labels, scores, lengths and more."
)
@click.option("--json", "report", type=OUTPUT_FILE, help="Also write the faults to this file.")
def command(
    config: RunConfig,
    *,
    dataset: str | None,
    revision: str | None,
    split: str | None,
    config_name: str | None,
    show: int,
    statistics: bool,
    report: Path | None,
) -> None:
    """Check DATASET, a folder or a data set on the Hub [RUN/dataset], file by file, row by row.

    A folder of the library datasets, or a Hub data set that maskdpo did not push, has no manifest:
    columns and rows of its splits are checked (of one, with --split or --config-name).

    Prints every fault with its file and row (from 0) and exits with 2 if there is a fault. Topics
    of two splits that are nearly equal are not a fault: they are listed in a note.
    """
    from maskdpo.data_sets.checking import find_dataset
    from schemas.files.own_files import has_keys, refuse_to_replace_unless

    if report:
        own = has_keys("num_faults", "by_kind", "faults")
        refuse_to_replace_unless(report, own, by="maskdpo validate", option="--json")
    name = dataset or str(config.run.path("dataset"))
    found = find_dataset(name, revision=revision, split=split, config_name=config_name)
    validation = _validate(found)
    if report:
        _write_report(report, validation)
    _print_findings(name, validation, num_shown=show)
    if not isinstance(found, Path):
        click.echo(f"note: {name} was checked without a manifest: rows only, no hashes", err=True)
    if statistics:
        _print_statistics(name, found)


def _validate(found: Path | Sequence[Table]) -> Validation:
    from dataset_builder.folder.validate import validate_folder, validate_tables

    return validate_folder(found) if isinstance(found, Path) else validate_tables(found)


def _print_findings(name: str, validation: Validation, *, num_shown: int) -> None:
    """Print faults and notes; InputError where there is a fault."""
    from schemas.text.terminal import printable

    for finding in validation.findings[:num_shown]:
        click.echo(printable(str(finding)))
    num_faults = validation.num_faults
    if num_faults > num_shown:
        click.echo(f"... and {num_faults - num_shown:,} more faults")
    if num_faults:
        listed = ", ".join(f"{kind} {count:,}" for kind, count in validation.by_kind.items())
        raise InputError.of(name, f"has {num_faults:,} faults: {listed}")
    rows = ", ".join(f"{file} {count:,}" for file, count in validation.num_rows.items())
    click.echo(printable(f"{name} is valid (rows: {rows})"))
    for note in validation.notes:
        click.echo(f"note: {printable(note)}", err=True)


def _print_statistics(name: str, found: Path | Sequence[Table]) -> None:
    from dataset_builder.folder.statistics import compute_statistics
    from maskdpo.report.dataset_table import print_statistics

    if not isinstance(found, Path):
        raise InputError.of(name, "--statistics needs a data set that maskdpo build wrote")
    print_statistics(compute_statistics(found))


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
