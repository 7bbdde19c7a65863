"""`maskdpo agreement`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.metrics_option import metrics_option
from maskdpo.cli.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    DocumentedCommand,
    announce_limits,
    estimate_option,
    judge_config_options,
    paid_options,
    print_table,
    show_estimates,
    table_options,
)
from maskdpo.config import RunConfig
from maskdpo.run_store import STORE_NAME, find_run_store, same_model_option
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from annotator.agreement.gold import Gold
    from annotator.agreement.result import AgreementResult
    from annotator.agreement.run import AgreementFiles
    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.usage import Limits
    from maskdpo.named_judges import PaidCalls


_MADE_BY = "--gold takes labelled responses, annotations of people, or ORG/NAME on the Hub"


@click.command(
    "agreement",
    cls=DocumentedCommand,
    section="annotate",
    examples="""
    maskdpo agreement --gold labels.jsonl
    maskdpo agreement --gold labels.jsonl --judge judge.yaml --output agreement.json \\
        --disagreements disagreements.jsonl --report agreement.html
    maskdpo agreement --gold labels.jsonl --compare lexical judge.yaml
    maskdpo agreement --gold org/labels@main --split test
    maskdpo agreement --gold people.jsonl --documents documents.jsonl --judge annotations.jsonl
    """,
)
@judge_config_options
@metrics_option
@paid_options
@estimate_option
@click.option(
    "--gold",
    metavar="GOLD",
    required=True,
    help="People's labels: human-label JSONL, annotations of people, the reviews of "
    "RUN/annotations.jsonl (RUN/reviews.jsonl); or human labels in a folder of the library "
    "datasets, or in ORG/NAME[@REVISION] on the Hub.",
)
@table_options
@click.option(
    "--documents", type=INPUT_FILE, help="Documents, with annotations [RUN/documents.jsonl]."
)
@click.option(
    "--judge",
    metavar="JUDGE",
    help="Judge to measure: its name, a run config (.yaml) whose section annotate names it, or "
    "existing annotations (.jsonl) [annotate.judge].",
)
@click.option("--compare", nargs=2, metavar="JUDGE JUDGE", help="Measure and compare two judges.")
@click.option(
    "--store",
    type=OUTPUT_FILE,
    help="File of finished calls of judges that use a model [RUN/store.sqlite; store.sqlite next "
    "to the output if run.dir is not set].",
)
@same_model_option
@click.option("--output", type=OUTPUT_FILE, help="Also write the result to this file.")
@click.option(
    "--disagreements", type=OUTPUT_FILE, help="Write every disagreement to this JSONL file."
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of disagreements to print per judge, highest confidence first.",
)
@click.option(
    "--annotations-output",
    type=OUTPUT_FILE,
    help="Write the judge's verdicts as annotations, which --judge can read later.",
)
@click.option("--report", type=OUTPUT_FILE, help="Write an HTML page with pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(
    config: RunConfig,
    *,
    metrics: RunMetrics | None,
    limits: Limits,
    retry_failed: bool,
    estimate_only: bool,
    gold: str,
    split: str | None,
    config_name: str | None,
    documents: Path | None,
    judge: str | None,
    compare: tuple[str, str] | None,
    store: Path | None,
    same_model: bool,
    output: Path | None,
    disagreements: Path | None,
    show: int,
    annotations_output: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Measure a judge against people's sentence labels, with baselines, or compare two judges.

    Where people marked the wrong words, the characters that judge and people mark are compared too.
    Calls of a judge that uses a model are kept in the store, so a rerun continues.
    """
    from annotator.agreement.gold import read_gold
    from annotator.agreement.run import AgreementFiles
    from maskdpo.cli.data_set_inputs import find_input
    from maskdpo.named_judges import PaidCalls

    names = _judge_names(judge, compare)
    if not estimate_only:
        _require_packages(report)
    target = (output.parent if output else config.run.dir) / "agreement.json"
    run_store = find_run_store(config, target, given=store, names=(STORE_NAME, "agreement.sqlite"))
    paid = PaidCalls(
        path=run_store.path,
        formers=run_store.formers,
        limits=limits,
        retry_failed=retry_failed,
        same_model=same_model,
        only_estimate=estimate_only,
    )
    files = AgreementFiles(
        output=output, disagreements=disagreements, annotations=annotations_output, report=report
    )
    labels = read_gold(
        find_input(gold, split=split, config_name=config_name, made_by=_MADE_BY),
        documents=documents,
        default_documents=config.run.path("documents.jsonl"),
        annotations=config.run.path("annotations.jsonl"),
    )
    result = _measure(config, names, labels, files, paid, metrics=metrics)
    if result is not None:
        _print_costs(paid)
        _print_result(result, files, num_shown=show, as_json=as_json)


def _judge_names(judge: str | None, compare: tuple[str, str] | None) -> Sequence[str | None]:
    """The judges to run; None is the one of the run config."""
    if compare and judge:
        raise ConfigError("--judge and --compare: give either one judge or two to compare")
    return compare or [judge]


def _require_packages(report: Path | None) -> None:
    from schemas.packages import require

    require("scipy", *(["matplotlib"] if report else []), needed_for="agreement")


def _measure(
    config: RunConfig,
    names: Sequence[str | None],
    labels: Gold,
    files: AgreementFiles,
    paid: PaidCalls,
    *,
    metrics: RunMetrics | None,
) -> AgreementResult | None:
    """Run the judges and write the files; returns None if only an estimate is printed."""
    from annotator.agreement.run import estimate_agreement, run_agreement
    from annotator.calls.metrics.counting import listen
    from maskdpo.cli.progress import Progress
    from maskdpo.named_judges import find_judges
    from maskdpo.report.agreement_page import write_agreement_page
    from maskdpo.report.agreement_show import print_notes

    with paid:
        judges = find_judges(names, config, paid=paid)
        if paid.only_estimate:
            show_estimates(estimate_agreement(labels, judges))
            return None
        for named, place in zip(judges, ("first", "second"), strict=False):
            if named.meter is not None:
                named.meter.on_event = listen(metrics, "judge", place)
        announce_limits(paid.limits, *(meter.prices for meter in paid.budget.meters))
        print_notes([*labels.notes(), *(note for item in judges for note in item.judge.notes())])
        result = run_agreement(labels, judges, files, on_event=Progress())
        if files.report:
            write_agreement_page(files.report, result)
    return result


def _print_costs(paid: PaidCalls) -> None:
    for meter in paid.budget.meters:
        print_table(meter.rows())
    if len(paid.budget.meters) > 1:
        print_table(paid.budget.rows())


def _print_result(
    result: AgreementResult, files: AgreementFiles, *, num_shown: int, as_json: bool
) -> None:
    from maskdpo.report.agreement_show import print_agreement, print_notes

    if as_json:
        # Escaped to ASCII: names come from data and could contain control characters for the
        # terminal.
        click.echo(json.dumps(result.to_dict(), allow_nan=False))
    else:
        print_agreement(result, num_shown=num_shown)
    print_notes(result.warnings)
    for path in (files.output, files.disagreements, files.annotations, files.report):
        if path:
            click.echo(f"wrote {path}", err=True)
