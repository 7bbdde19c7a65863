"""`maskdpo agreement`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    INPUT_FILE,
    OUTPUT_FILE,
    VerbCommand,
    announce_judge,
    config_options,
    require_file,
)

_COLUMNS = ("balanced_accuracy", "f1_hallucinated", "kappa", "coverage")


@click.command(
    "agreement",
    cls=VerbCommand,
    section="annotate",
    examples="""
    maskdpo agreement --gold labels.jsonl
    maskdpo agreement --gold labels.jsonl --judge lexical --json
    """,
)
@config_options
@click.option("--gold", type=INPUT_FILE, required=True, help="Human-labelled JSONL.")
@click.option("--judge", help="Judge to measure; the same as annotate.judge.")
@click.option("--output", type=OUTPUT_FILE, help="Also write the result to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, not a table.")
def command(
    config: RunConfig, gold: Path, judge: str | None, output: Path | None, as_json: bool
) -> None:
    """Measure a judge against human sentence labels, with two plain baselines beside it."""
    from annotator.judging.agreement import measure_agreement
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.judges import make_judge
    from dataset_builder.formats.human_labels import read_human_labels
    from schemas.files import write_json

    settings = config.section(AnnotateConfig, "annotate", judge=judge)
    require_file(gold, made_by="--gold takes a JSONL file of labelled responses")
    announce_judge(settings)
    labels = read_human_labels(gold)
    report = measure_agreement(labels.annotations, labels.documents, make_judge(settings))
    values = {"gold": gold.name, **report.to_dict()}
    if output:
        write_json(output, values)
    if as_json:
        click.echo(json.dumps(values, ensure_ascii=False, allow_nan=False))
    else:
        _print_table(values)


def _print_table(values: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *_COLUMNS, title=f"{values['gold']}: agreement with people")
    table.add_row(values["judge"], *(_show(values[column]) for column in _COLUMNS))
    for name, row in values["baselines"].items():
        table.add_row(name, *(_show(row.get(column)) for column in _COLUMNS))
    console = Console()
    console.print(table)
    low, high = values["balanced_accuracy_low"], values["balanced_accuracy_high"]
    console.print(
        f"{values['num_sentences']} sentences of {values['num_responses']} responses in "
        f"{values['num_groups']} groups; balanced accuracy {_show(low)} to {_show(high)} "
        "(95% bootstrap over groups)",
        highlight=False,
    )


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
