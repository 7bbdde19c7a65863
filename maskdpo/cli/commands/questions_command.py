"""`maskdpo questions`."""

from __future__ import annotations

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
    from annotator.sampling.questions import estimate_questions
    from annotator.sampling.questions_config import QuestionsConfig
    from maskdpo.cli.progress import Progress
    from schemas.records import Document

    settings = config.section(QuestionsConfig, "questions", model=model)
    source = documents or config.run.path("documents.jsonl")
    output = name_output(output, config.run.path("questions.jsonl"), shard)
    require_file(
        source, made_by="give --documents FILE (one JSON object per line), or set run.documents"
    )
    run_store = find_run_store(config, output, given=store).of_part(shard)
    part = cut_part(source, Document, lambda row: row.id, shard)
    if estimate_only:
        with run_store.to_read() as calls:
            estimate = estimate_questions(
                settings,
                documents=source,
                store=calls,
                retry_failed=retry_failed,
                part=part,
                also=run_store.also,
            )
        show_estimate(estimate)
        return
    announce_limits(limits, settings.prices)
    options = EngineOptions(
        config=config,
        limits=limits,
        retry_failed=retry_failed,
        same_model=same_model,
        on_event=heard_by(Progress(), listen(metrics, "writer")),
        metrics=metrics,
    )
    if engine == "ray":
        result = _write_on_cluster(settings, source, output, run_store.take_over(), options)
    else:
        result = _write(settings, source, output, run_store, part, options)
    report_result(name_next_step(result, shard, source), settings.max_failed)


def _write(
    settings: QuestionsConfig,
    documents: Path,
    output: Path,
    store: RunStore,
    part: InputPart | None,
    options: EngineOptions,
) -> StageResult:
    from annotator.sampling.questions import run_questions

    return run_questions(
        settings,
        documents=documents,
        output=output,
        store=store.take_over(),
        limits=options.limits,
        retry_failed=options.retry_failed,
        same_model=options.same_model,
        on_event=options.on_event,
        part=part,
        also=store.also,
    )


def _write_on_cluster(
    settings: QuestionsConfig, documents: Path, output: Path, store: Path, options: EngineOptions
) -> StageResult:
    from annotator.scale.stages import questions_stage

    stage = questions_stage(settings, documents=documents, output=output, store=store)
    return run_on_cluster(stage, options, model=settings)
