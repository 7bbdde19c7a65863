"""`maskdpo import`."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import click

from formats.reviews import REVIEWS_NAME
from maskdpo.cli.command_line import run_options
from maskdpo.cli.options import (
    OUTPUT_FILE,
    DocumentedCommand,
    config_options,
    report_result,
    table_options,
)
from maskdpo.config import RunConfig
from schemas.errors import InputError
from schemas.files.tables import Table
from schemas.stage import DEFAULT_MAX_FAILED, StageResult

SHEETS = ("csv", "xlsx", "parquet")
FORMATS = ("human_labels", "published", "trl", *SHEETS)
_FORMATS_OF_SUFFIX = {".parquet": ("parquet", "trl"), ".json": ("published",)}
_SHEET_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".xlsx": "xlsx", ".xlsm": "xlsx"}
_NO_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")
_HEAD_BYTES = 4_096
_MADE_BY = "give SOURCE: the file to import, a folder of datasets, or ORG/NAME on the Hub"


@click.command(
    "import",
    cls=DocumentedCommand,
    examples="""
    maskdpo import labels.jsonl --set run.dir=runs/mine
    maskdpo import labels.jsonl --output annotations.jsonl --documents-output documents.jsonl
    maskdpo import --format published pairs.json --output annotations.jsonl
    maskdpo import org/preferences@main --format trl --split train_prefs --output annotations.jsonl
    maskdpo import checked.xlsx --who "A. Reader" --set run.dir=runs/mine
    """,
)
@config_options
@click.argument("source")
@table_options
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="Format of SOURCE: labels of people, pairs made elsewhere, or a checked sheet. A file "
    "name that ends in .csv or .xlsx means a sheet.",
)
@click.option(
    "--output",
    type=OUTPUT_FILE,
    help="File for annotations [RUN/annotations.jsonl]; for a sheet: file to which its reviews "
    "are added [RUN/reviews.jsonl].",
)
@click.option(
    "--documents-output",
    type=OUTPUT_FILE,
    help="File for documents [documents.jsonl next to --output, else RUN/documents.jsonl].",
)
@click.option("--who", default="", help="Who checked a sheet, for rows that do not name a person.")
@click.option(
    "--round",
    "round_number",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Sheet: number of the review round; a higher number of the same person replaces lower "
    "ones.",
)
@click.option(
    "--max-failed",
    type=click.FloatRange(0.0, 1.0),
    default=DEFAULT_MAX_FAILED,
    show_default=True,
    help="Largest share of invalid rows; above it the exit code is 1.",
)
def command(
    config: RunConfig,
    *,
    source: str,
    split: str | None,
    config_name: str | None,
    format_name: str,
    output: Path | None,
    documents_output: Path | None,
    who: str,
    round_number: int,
    max_failed: float,
) -> None:
    """Turn other data (SOURCE) into annotations and documents, or into reviews.

    SOURCE is a file; for the formats human_labels, published and trl also a folder of the library
    datasets (save_to_disk, Parquet) or ORG/NAME[@REVISION] on the Hub.

    Formats: human_labels (JSONL, the default), published (Mask-DPO's JSON), trl (preference rows,
    .jsonl or .parquet), and xlsx, csv or parquet (a sheet of maskdpo export that people have filled
    in). Sentences without a label become `undetermined: not_labelled`. Reviews are added to the
    existing ones. An invalid row is recorded next to the output; the rest are imported. With
    --output, the documents are written next to it. The formats: docs/formats.md.
    """
    from maskdpo.cli.data_set_inputs import find_input

    found = find_input(source, split=split, config_name=config_name, made_by=_MADE_BY)
    format_name = _format_of(found, format_name)
    annotations = output or config.run.path("annotations.jsonl")
    if format_name == "human_labels":
        from formats.import_human_labels import run_import

        documents = documents_output or _documents_path(config, output)
        result = run_import(
            source=found,
            annotations=annotations,
            documents=documents,
            replace_documents=documents_output is not None,
        )
        click.echo(f"wrote {documents}")
    elif format_name in ("published", "trl"):
        from formats.import_pairs import run_import_pairs

        result = run_import_pairs(source=found, annotations=annotations, format_name=format_name)
    else:
        assert isinstance(found, Path)  # see _format_of
        result = _import_sheet(config, found, output, who=who, round_number=round_number)
    report_result(result, max_failed)


def _import_sheet(
    config: RunConfig, source: Path, output: Path | None, *, who: str, round_number: int
) -> StageResult:
    from formats.sheets.imports import run_import_sheet
    from formats.sheets.read_row import Asked

    of_run = config.run.path(REVIEWS_NAME)
    reviews = output or of_run
    is_of_run = reviews.resolve() == of_run.resolve()
    named = f" --reviews {shlex.quote(str(reviews))}"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return run_import_sheet(
        source=source,
        output=reviews,
        asked=Asked(who=who, when=now, round=round_number),
        next_command=f"maskdpo build{'' if is_of_run else named}{run_options()}",
    )


def _sheet_format(source: Path) -> str | None:
    """The format of a sheet, by its name, or by its first bytes for a program's "Unicode text"."""
    if source.suffix.lower() in _SHEET_SUFFIXES:
        return _SHEET_SUFFIXES[source.suffix.lower()]
    with source.open("rb") as handle:
        head = handle.read(_HEAD_BYTES).replace(b"\0", b"")
    is_table = b"person_label" in head and b"{" not in head.splitlines()[0][:8]
    return "csv" if is_table and not head.startswith((b"PAR1", b"PK")) else None


def _format_of(source: Path | Table, format_name: str) -> str:
    """The format to read, which must be one that the source can have."""
    if isinstance(source, Path):
        format_name = _sheet_format(source) or format_name
        _check_format(source, format_name)
    elif format_name in SHEETS:
        tables = ", ".join(name for name in FORMATS if name not in SHEETS)
        raise InputError.of(
            source.name, f"--format {format_name} reads a file; of a data set, {tables} are read"
        )
    return format_name


def _check_format(source: Path, format_name: str) -> None:
    """Refuse a file whose name belongs to another format, in one sentence."""
    if source.suffix.lower() in _NO_SHEETS:
        message = "is another kind of spreadsheet; first save it as .xlsx or as 'CSV UTF-8'"
        raise InputError.of(source, message)
    fitting = _FORMATS_OF_SUFFIX.get(source.suffix.lower())
    if format_name == FORMATS[0] and fitting:
        commands = " or ".join(f"--format {name}" for name in fitting)
        message = (
            f"--format {format_name} reads .jsonl, but this is {source.suffix}; import it with"
        )
        raise InputError.of(source, f"{message}: {commands}")


def _documents_path(config: RunConfig, output: Path | None) -> Path:
    """Where documents are written: next to the given output, else into the run."""
    return output.parent / "documents.jsonl" if output else config.run.path("documents.jsonl")
