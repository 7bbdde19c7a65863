"""`maskdpo sample`."""

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
    from annotator.models.config import SampleConfig
    from formats.forgotten import Forgotten
    from schemas.files.parts import InputPart
    from schemas.files.shard import Shard
    from schemas.stage import StageResult


@click.command(
    "sample",
    cls=DocumentedCommand,
    section="sample",
    examples="""
    maskdpo sample --config run.yaml
    maskdpo sample --questions q.jsonl --model ./my-model --output responses.jsonl
    maskdpo sample --questions q.jsonl --model my-model --output responses.jsonl \\
        --set sample.backend=openai --set sample.base_url=http://127.0.0.1:8000/v1
    """,
)
@config_options
@metrics_option
@paid_options
@estimate_option
@click.option("--questions", type=INPUT_FILE, help="Questions [RUN/questions.jsonl].")
@click.option(
    "--documents",
    type=INPUT_FILE,
    help="Documents of the questions, checked before sampling [RUN/documents.jsonl, if it exists].",
)
@click.option("--model", help="Model folder, Hub id, or its name on a server.")
@click.option("--output", type=OUTPUT_FILE, help="Responses [RUN/responses.jsonl].")
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
    questions: Path | None,
    documents: Path | None,
    model: str | None,
    output: Path | None,
    shard: Shard | None,
    engine: EngineName,
    store: Path | None,
    same_model: bool,
) -> None:
    """Sample K responses per question from the policy. A rerun continues.

    Questions that name an unknown document are refused before any call.
    """
    from annotator.calls.metrics.counting import listen
    from annotator.models.config import SampleConfig
    from annotator.sampling.sample import estimate_sample
    from formats.forgotten import Forgotten
    from maskdpo.cli.progress import Progress
    from schemas.records import Question

    settings = config.section(SampleConfig, "sample", model=model)
    output = name_output(output, config.run.path("responses.jsonl"), shard)
    source = _find_questions(config, questions, documents)
    run_store = find_run_store(config, output, given=store).of_part(shard)
    part = cut_part(source, Question, lambda row: row.id, shard)
    forgotten = Forgotten.read_next_to(output, config.run.path("responses.jsonl"))
    is_forgotten = forgotten.has_response if forgotten.knows_responses else None
    if estimate_only:
        with run_store.to_read() as calls:
            estimate = estimate_sample(
                settings,
                questions=source,
                store=calls,
                retry_failed=retry_failed,
                is_forgotten=is_forgotten,
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
        on_event=heard_by(Progress(), listen(metrics, "policy")),
        metrics=metrics,
    )
    files = SampleFiles(questions=source, output=output, forgotten=forgotten)
    if engine == "ray":
        result = _sample_on_cluster(settings, files, run_store.take_over(), options)
    else:
        result = _sample(settings, files, run_store, part, options)
    report_result(name_next_step(result, shard, source), settings.max_failed)


@dataclass(frozen=True, kw_only=True)
class SampleFiles:
    """The files of a run, and what must not be sampled."""

    questions: Path
    output: Path
    forgotten: Forgotten


def _sample(
    settings: SampleConfig,
    files: SampleFiles,
    store: RunStore,
    part: InputPart | None,
    options: EngineOptions,
) -> StageResult:
    from annotator.sampling.sample import run_sample

    forgotten = files.forgotten
    return run_sample(
        settings,
        questions=files.questions,
        output=files.output,
        store=store.take_over(),
        limits=options.limits,
        retry_failed=options.retry_failed,
        same_model=options.same_model,
        on_event=options.on_event,
        is_forgotten=forgotten.has_response if forgotten.knows_responses else None,
        part=part,
        also=store.also,
    )


def _sample_on_cluster(
    settings: SampleConfig, files: SampleFiles, store: Path, options: EngineOptions
) -> StageResult:
    from annotator.scale.stages import sample_stage

    stage = sample_stage(
        settings,
        questions=files.questions,
        output=files.output,
        store=store,
        forgotten=files.forgotten,
    )
    return run_on_cluster(stage, options, model=settings)


def _find_questions(config: RunConfig, questions: Path | None, documents: Path | None) -> Path:
    """The file of questions, after the check of the documents that they name."""
    source = questions or config.run.path("questions.jsonl")
    require_file(
        source, made_by="give --questions FILE (one JSON object per line), or set run.questions"
    )
    known = _find_documents(config, documents, is_of_run=questions is None)
    if known is not None:
        _check_documents(config, source, known)
    return source


def _find_documents(config: RunConfig, given: Path | None, *, is_of_run: bool) -> Path | None:
    """The documents of the questions; None when no documents are known to belong to them.

    RUN/documents.jsonl belongs to questions of the run (`is_of_run`), and to other questions if the
    config sets run.dir.
    """
    if given is not None:
        return require_file(given, made_by="make it with: maskdpo ingest")
    chosen = config.given("run", "documents") or config.given("run", "dir")
    path = config.run.path("documents.jsonl")
    return path if (is_of_run or chosen) and path.exists() else None


def _check_documents(config: RunConfig, questions: Path, documents: Path) -> None:
    """Raise InputError for unknown document ids, and print which questions have no document."""
    from annotator.sampling.input_checks import check_documents
    from schemas.files.jsonl import read_records, read_rows
    from schemas.records import Document, Question

    notes = check_documents(
        questions,
        read_rows(questions, Question),
        read_records(documents, Document),
        source=documents,
        chosen=config.given("annotate", "find_documents") or "auto",
    )
    for note in notes:
        click.echo(f"note: {note}", err=True)
