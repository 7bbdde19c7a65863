"""`maskdpo questions`."""

from __future__ import annotations

from dataclasses import dataclass
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
    announce_limits,
    config_options,
    estimate_option,
    paid_options,
    report_result,
    require_file,
    show_estimate,
)
from maskdpo.cli.shard_option import cut_part, name_next_step, name_output, shard_option
from maskdpo.config import RunConfig
from maskdpo.run_store import RunStore, find_run_store, same_model_option, store_option
from schemas.events import heard_by

if TYPE_CHECKING:
    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.usage import Limits
    from annotator.sampling.questions_config import QuestionsConfig
    from schemas.files.parts import InputPart
    from schemas.files.shard import Shard
    from schemas.stage import StageResult


@click.command(
    "questions",
    cls=DocumentedCommand,
    section="questions",
    examples="""
    maskdpo questions --config run.yaml
    maskdpo questions --documents documents.jsonl --model ./my-writer --output questions.jsonl
    maskdpo questions --documents documents.jsonl --model my-writer --output questions.jsonl \\
        --set questions.backend=openai --set questions.base_url=http://127.0.0.1:8000/v1
    """,
)
@config_options
@metrics_option
@paid_options
@estimate_option
@click.option("--documents", type=INPUT_FILE, help="Documents [RUN/documents.jsonl].")
@click.option("--model", help="Writer model: model folder, Hub id, or its name on a server.")
@click.option("--output", type=OUTPUT_FILE, help="Questions [RUN/questions.jsonl].")
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
    documents: Path | None,
    model: str | None,
    output: Path | None,
    shard: Shard | None,
    engine: EngineName,
    store: Path | None,
    same_model: bool,
) -> None:
    """Write questions that your documents answer, with a writer model. A rerun continues."""
    from annotator.calls.metrics.counting import listen
    from annotator.sampling.questions_config import QuestionsConfig
    from maskdpo.cli.progress import Progress
    from schemas.records import Document

    settings = config.section(QuestionsConfig, "questions", model=model)
    source = documents or config.run.path("documents.jsonl")
    output = name_output(output, config.run.path("questions.jsonl"), shard)
    require_file(
        source, made_by="give --documents FILE (one JSON object per line), or set run.documents"
    )
    run = QuestionsRun(
        settings=settings,
        documents=source,
        output=output,
        store=find_run_store(config, output, given=store).of_part(shard),
        part=cut_part(source, Document, lambda row: row.id, shard),
        retry_failed=retry_failed,
        same_model=same_model,
    )
    if estimate_only:
        _show_estimate(run)
        return
    announce_limits(limits, settings.prices)
    on_event = heard_by(Progress(), listen(metrics, "writer"))
    options = EngineOptions(config=config, limits=limits, on_event=on_event, metrics=metrics)
    result = _write_on_cluster(run, options) if engine == "ray" else _write(run, options)
    report_result(name_next_step(result, shard, source), settings.max_failed)


@dataclass(frozen=True, kw_only=True)
class QuestionsRun:
    """What an estimate and a run share."""

    settings: QuestionsConfig
    documents: Path
    output: Path
    store: RunStore
    part: InputPart | None
    retry_failed: bool
    same_model: bool


def _show_estimate(run: QuestionsRun) -> None:
    from annotator.sampling.questions import estimate_questions

    with run.store.to_read() as calls:
        estimate = estimate_questions(
            run.settings,
            documents=run.documents,
            store=calls,
            retry_failed=run.retry_failed,
            part=run.part,
            also=run.store.also,
        )
    show_estimate(estimate)


def _write(run: QuestionsRun, options: EngineOptions) -> StageResult:
    from annotator.sampling.questions import run_questions

    return run_questions(
        run.settings,
        documents=run.documents,
        output=run.output,
        store=run.store.take_over(),
        limits=options.limits,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
        on_event=options.on_event,
        part=run.part,
        also=run.store.also,
    )


def _write_on_cluster(run: QuestionsRun, options: EngineOptions) -> StageResult:
    from annotator.scale.stages import questions_stage

    stage = questions_stage(
        run.settings, documents=run.documents, output=run.output, store=run.store.take_over()
    )
    return run_on_cluster(
        stage,
        options,
        model=run.settings,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
    )
