"""`maskdpo export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from formats.reviews import REVIEW_FILES
from maskdpo.cli.command_line import run_options
from maskdpo.cli.options import (
    INPUT_FILE,
    DocumentedCommand,
    config_options,
    report_result,
    require_file,
)
from maskdpo.config import RunConfig
from schemas.errors import ConfigError
from schemas.labels import Label
from schemas.stage import DEFAULT_MAX_FAILED, StageResult

if TYPE_CHECKING:
    from formats.sheets.export import Material
    from formats.sheets.labels import Language

SHEETS = ("csv", "xlsx", "parquet")
FORMATS = ("trl", "published", "human_labels", *SHEETS)
UNREVIEWED = "unreviewed"
_OF_PAIRS = ("trl", "published")


@click.command(
    "export",
    cls=DocumentedCommand,
    examples="""
    maskdpo export --format xlsx --output to_check.xlsx --sample 100 --blind
    maskdpo export --format xlsx --output left.xlsx --only undetermined --only unreviewed
    maskdpo export --format csv annotations.jsonl --documents documents.jsonl --output s.csv
    maskdpo export --format trl dataset --output trl
    maskdpo export --format published dataset --output published --lossy
    maskdpo export --format human_labels annotations.jsonl --documents documents.jsonl \\
                   --output labels.jsonl
    """,
)
@config_options
@click.argument("source", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    required=True,
    help="Format to write: pairs (trl, published), sentences (human_labels), or a sheet.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), required=True, help="File or folder to write."
)
@click.option(
    "--documents",
    type=INPUT_FILE,
    help="Documents: included in human labels; a sheet shows passages of them [sheet: "
    "RUN/documents.jsonl if it exists].",
)
@click.option("--blind", is_flag=True, help="Sheet: leave out everything from the judge.")
@click.option(
    "--sample",
    type=click.IntRange(1),
    help="Sheet: only this many sentences, in proportion to topics and labels. [all]",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Sheet: seed of --sample and --blind.",
)
@click.option(
    "--only",
    type=click.Choice([*(label.value for label in Label), UNREVIEWED]),
    multiple=True,
    help="Sheet: only sentences with this label of the judge, or unreviewed; may be repeated.",
)
@click.option(
    "--who",
    default="",
    help="With --only unreviewed: sentences that this person has not reviewed. [anyone]",
)
@click.option(
    "--label-language",
    type=click.Choice(["en", "zh"]),
    help="Sheet: language of the labels to choose from [zh if most responses are Chinese].",
)
@click.option(
    "--lossy",
    is_flag=True,
    help="Write the nearest label if the format does not have the exact one.",
)
@click.option(
    "--max-failed",
    type=click.FloatRange(0.0, 1.0),
    default=DEFAULT_MAX_FAILED,
    show_default=True,
    help="Largest share of refused rows; above it the exit code is 1.",
)
def command(
    config: RunConfig,
    *,
    source: Path | None,
    format_name: str,
    output: Path,
    documents: Path | None,
    blind: bool,
    sample: int | None,
    seed: int,
    only: tuple[str, ...],
    who: str,
    label_language: Language | None,
    lossy: bool,
    max_failed: float,
) -> None:
    """Write SOURCE in another format: pairs for trl or published, else annotations.

    SOURCE is a data set folder [RUN/dataset] for trl and published, and annotations
    [RUN/annotations.jsonl] for human_labels and for the sheets that people fill in: xlsx, csv,
    parquet. A sheet in which somebody has written is never overwritten. What a format cannot
    express is refused and recorded next to the output; the rest is written. The formats:
    docs/formats.md.
    """
    name = "dataset" if format_name in _OF_PAIRS else "annotations.jsonl"
    made_by = "maskdpo build makes it" if format_name in _OF_PAIRS else "maskdpo annotate makes it"
    given = require_file(source or config.run.path(name), made_by=made_by)
    if format_name in SHEETS:
        from formats.sheets.export import run_export_sheet
        from formats.sheets.select import Choice

        if who and UNREVIEWED not in only:
            raise ConfigError("--who selects whose reviews count for --only unreviewed; give both")
        choice = Choice(
            labels=frozenset(Label(word) for word in only if word != UNREVIEWED),
            unreviewed=UNREVIEWED in only,
            who=who,
            sample=sample,
            seed=seed,
        )
        folders = dict.fromkeys((config.run.dir, given.parent))
        reviews = [folder / file for folder in folders for file in REVIEW_FILES]
        result = run_export_sheet(
            source=given,
            output=output,
            format_name=format_name,
            choice=choice,
            blind=blind,
            language=label_language,
            material=_read_material(config, documents),
            reviews=[path for path in reviews if path.exists()] if choice.unreviewed else [],
            run_options=run_options(),
        )
    else:
        _refuse_options_of_sheets(format_name, blind or sample or only or who or label_language)
        result = _export_for_programs(given, output, format_name, documents, lossy=lossy)
    report_result(result, max_failed)


def _read_material(config: RunConfig, documents: Path | None) -> Material | None:
    """The documents given by the option, else those of the run, if any."""
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.domains.defaults import with_domain
    from maskdpo.cli.sheet_passages import read_material

    if documents is not None:
        require_file(documents, made_by="--documents must name the documents of the responses")
    path = documents or config.run.path("documents.jsonl")
    if not path.exists():
        return None
    return read_material(path, with_domain(config.section(AnnotateConfig, "annotate")))


def _refuse_options_of_sheets(format_name: str, given: object) -> None:
    if given:
        raise ConfigError(
            f"--blind, --sample, --only, --who and --label-language are for sheets "
            f"({', '.join(SHEETS)}), not for --format {format_name}"
        )


def _export_for_programs(
    source: Path, output: Path, format_name: str, documents: Path | None, *, lossy: bool
) -> StageResult:
    from formats.export import ExportFormat, run_export

    return run_export(
        source=source,
        output=output,
        format_name=ExportFormat(format_name),
        documents=documents,
        lossy=lossy,
    )
