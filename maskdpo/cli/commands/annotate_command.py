"""`maskdpo annotate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.engine_option import (
    EngineName,
    EngineOptions,
    engine_option,
    run_on_cluster,
)
from maskdpo.cli.metrics_option import metrics_option
from maskdpo.cli.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    DocumentedCommand,
    announce_judge,
    announce_limits,
    estimate_option,
    judge_config_options,
    paid_options,
    print_table,
    report_result,
    require_file,
    show_estimate,
)
from maskdpo.cli.shard_option import (
    cut_part,
    name_next_step,
    name_output,
    refuse_with_shard,
    shard_option,
)
from maskdpo.config import RunConfig
from maskdpo.run_store import find_run_store, same_model_option, store_option
from schemas.errors import InputError
from schemas.events import OnEvent, heard_by
from schemas.files.jsonl import read_lines
from schemas.text.counted import count_of

if TYPE_CHECKING:
    from annotator.calls.estimate import Estimate
    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.usage import Limits, Meter
    from annotator.judging.config import AnnotateConfig
    from schemas.events import OnEvent
    from schemas.files.parts import InputPart
    from schemas.files.shard import Shard
    from schemas.records import Annotation
    from schemas.stage import StageResult


@click.command(
    "annotate",
    cls=DocumentedCommand,
    section="annotate",
    examples="""
    maskdpo annotate --config run.yaml
    maskdpo annotate --responses responses.jsonl --documents documents.jsonl \\
        --output annotations.jsonl
    maskdpo annotate --config run.yaml --set annotate.text.language=zh
    maskdpo annotate --config run.yaml --domain medical
    maskdpo annotate --config run.yaml --preview 5
    maskdpo annotate --responses responses.jsonl --documents documents.jsonl \\
        --output annotations.jsonl --set annotate.judge=llm --set annotate.llm.model=my-judge \\
        --set annotate.llm.base_url=http://127.0.0.1:8000/v1 --max-calls 1000
    """,
)
@judge_config_options
@metrics_option
@paid_options
@estimate_option
@click.option("--responses", type=INPUT_FILE, help="Responses [RUN/responses.jsonl].")
@click.option("--documents", type=INPUT_FILE, help="Reference documents [RUN/documents.jsonl].")
@click.option("--output", type=OUTPUT_FILE, help="Annotations [RUN/annotations.jsonl].")
@click.option(
    "--preview",
    type=click.IntRange(1),
    metavar="N",
    help="First judge N responses, spread over topics and lengths, print them and the cost of "
    "the rest, and continue only after a yes at the terminal or with --yes.",
)
@click.option("--yes", "is_agreed", is_flag=True, help="With --preview: continue without asking.")
@shard_option
@engine_option
@store_option
@same_model_option
def command(
    config: RunConfig,
    *,
    metrics: RunMetrics | None,
    limits: Limits,
    retry_failed: bool,
    estimate_only: bool,
    responses: Path | None,
    documents: Path | None,
    output: Path | None,
    shard: Shard | None,
    engine: EngineName,
    store: Path | None,
    same_model: bool,
    preview: int | None,
    is_agreed: bool,
) -> None:
    """Label each sentence of each response against its documents. A rerun continues."""
    from annotator.calls.metrics.counting import listen
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.make_judge import judge_meter
    from annotator.judging.runs.output_checks import refuse_labels
    from maskdpo.cli.progress import Progress
    from schemas.records import Response

    refuse_with_shard(shard, [("--preview", preview)])
    settings = config.section(AnnotateConfig, "annotate")
    output = name_output(output, config.run.path("annotations.jsonl"), shard)
    source, references = _find_inputs(config, responses, documents, output)
    run_store = find_run_store(config, output, given=store).of_part(shard)
    run = AnnotateRun(
        settings=settings,
        responses=source,
        documents=references,
        store=run_store.path,
        retry_failed=retry_failed,
        same_model=same_model,
        part=cut_part(source, Response, lambda row: row.question_id, shard),
        also=run_store.also,
    )
    if estimate_only:
        with run_store.to_read() as calls:
            show_estimate(_estimate(run, calls))
        return
    refuse_labels(output)  # before the preview costs anything
    run = replace(run, store=run_store.take_over())
    announced = _announce(settings, source, limits)
    meter = judge_meter(settings, limits)
    on_event = heard_by(Progress(), listen(metrics, "judge"))
    if preview and not _is_preview_liked(run, preview, meter, on_event, is_agreed=is_agreed):
        return
    if engine == "ray":
        left = limits.after(  # what a preview did not spend
            calls=meter.num_asked, tokens=meter.tokens.total, cost=meter.cost or 0.0
        )
        options = EngineOptions(config=config, limits=left, on_event=on_event, metrics=metrics)
        result = _judge_on_cluster(run, output, options)
    else:
        result = name_next_step(_judge(run, output, meter, on_event), shard, source)
    report_result(result, settings.max_failed, announced=announced)


@dataclass(frozen=True, kw_only=True)
class AnnotateRun:
    """What estimate, preview and run share: inputs, settings and the stores."""

    settings: AnnotateConfig
    responses: Path
    documents: Path
    store: Path
    retry_failed: bool
    same_model: bool
    part: InputPart | None
    also: Sequence[Path]


def _judge(run: AnnotateRun, output: Path, meter: Meter, on_event: OnEvent) -> StageResult:
    from annotator.judging.runs.annotate import run_annotate

    return run_annotate(
        run.settings,
        responses=run.responses,
        documents=run.documents,
        output=output,
        store=run.store,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
        on_event=on_event,
        meter=meter,
        part=run.part,
        also=run.also,
    )


def _judge_on_cluster(run: AnnotateRun, output: Path, options: EngineOptions) -> StageResult:
    from annotator.judging.make_judge import asks_a_model
    from annotator.scale.stages import annotate_stage

    stage = annotate_stage(
        run.settings,
        responses=run.responses,
        documents=run.documents,
        output=output,
        store=run.store,
    )
    model = run.settings.llm if asks_a_model(run.settings) else None
    return run_on_cluster(
        stage,
        options,
        model=model,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
    )


def _find_inputs(
    config: RunConfig, responses: Path | None, documents: Path | None, output: Path
) -> tuple[Path, Path]:
    """The files of responses and documents, after the checks that cost little."""
    from formats.forgotten import Forgotten, refuse_forgotten_rows

    source = responses or config.run.path("responses.jsonl")
    require_file(source, made_by="make it with: maskdpo sample")
    _refuse_labels(source)
    refuse_forgotten_rows(source, Forgotten.read_next_to(output, source))
    references = documents or config.run.path("documents.jsonl")
    require_file(references, made_by="give --documents FILE, or set run.documents")
    return source, references


def _announce(settings: AnnotateConfig, responses: Path, limits: Limits) -> list[str]:
    """Print the notes that a user must read before any cost; returns the judge's own notes."""
    from annotator.judging.domains.language_notes import language_notes
    from annotator.judging.make_judge import judge_prices

    announced = announce_judge(settings)
    for note in language_notes(settings, responses):
        click.echo(f"note: {note}", err=True)
    announce_limits(limits, *judge_prices(settings))
    return announced


def _estimate(run: AnnotateRun, store: Path) -> Estimate:
    from annotator.judging.runs.estimate import estimate_annotate

    return estimate_annotate(
        run.settings,
        responses=run.responses,
        documents=run.documents,
        store=store,
        retry_failed=run.retry_failed,
        part=run.part,
        also=run.also,
    )


def _is_preview_liked(
    run: AnnotateRun, count: int, meter: Meter, on_event: OnEvent, *, is_agreed: bool
) -> bool:
    """Judge and print `count` responses; returns whether the user wants the rest judged."""
    from annotator.calls.metrics.counting import without_rows
    from annotator.judging.runs.preview import preview_annotate

    judged = preview_annotate(
        run.settings,
        responses=run.responses,
        documents=run.documents,
        store=run.store,
        meter=meter,
        count=count,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
        on_event=without_rows(on_event),
    )
    rest = _estimate(run, run.store)
    return _is_rest_wanted(judged, run.documents, meter, rest, is_agreed=is_agreed)


def _is_rest_wanted(
    judged: Sequence[Annotation],
    documents: Path,
    meter: Meter,
    rest: Estimate,
    *,
    is_agreed: bool,
) -> bool:
    """Print a preview and the cost of the rest; returns whether the user wants the rest judged."""
    from maskdpo.report.preview_show import print_preview
    from schemas.files.jsonl import read_records
    from schemas.records import Document

    print_preview(judged, {item.id: item for item in read_records(documents, Document)})
    print_table(meter.rows())
    click.echo("the rest:")
    show_estimate(rest)
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        line = (
            f"judged {count_of(len(judged), 'response')} and wrote no annotations; add --yes to "
            "judge the rest"
        )
        click.echo(line, err=True)
        return False
    return click.confirm("Judge the rest?", err=True)


def _refuse_labels(responses: Path) -> None:
    """Refuse labelled responses (the first row has 'sentences'), and name the right command."""
    line, text = next(iter(read_lines(responses)), (1, b""))
    try:
        is_labelled = "sentences" in json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return
    if is_labelled:
        message = (
            "the rows already have labels ('sentences'); to measure a judge with them: "
            f"maskdpo agreement --gold {responses}"
        )
        raise InputError.of(responses, message, line=line)
