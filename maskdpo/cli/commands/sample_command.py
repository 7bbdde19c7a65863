"""`maskdpo sample`."""

from __future__ import annotations

from collections.abc import Callable
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
    from formats.forgotten import Forgotten
    from maskdpo.cli.progress import Progress
    from schemas.records import Question

    settings = config.section(SampleConfig, "sample", model=model)
    output = name_output(output, config.run.path("responses.jsonl"), shard)
    source = _find_questions(config, questions, documents)
    run = SampleRun(
        settings=settings,
        questions=source,
        output=output,
        store=find_run_store(config, output, given=store).of_part(shard),
        forgotten=Forgotten.read_next_to(output, config.run.path("responses.jsonl")),
        part=cut_part(source, Question, lambda row: row.id, shard),
        retry_failed=retry_failed,
        same_model=same_model,
    )
    if estimate_only:
        _show_estimate(run)
        return
    announce_limits(limits, settings.prices)
    on_event = heard_by(Progress(), listen(metrics, "policy"))
    options = EngineOptions(config=config, limits=limits, on_event=on_event, metrics=metrics)
    result = _sample_on_cluster(run, options) if engine == "ray" else _sample(run, options)
    report_result(name_next_step(result, shard, source), settings.max_failed)


@dataclass(frozen=True, kw_only=True)
class SampleRun:
    """What an estimate and a run share."""

    settings: SampleConfig
    questions: Path
    output: Path
    store: RunStore
    forgotten: Forgotten
    part: InputPart | None
    retry_failed: bool
    same_model: bool

    @property
    def is_forgotten(self) -> Callable[[str], bool] | None:
        """Whether a response must not be sampled; None where none is forgotten."""
        return self.forgotten.has_response if self.forgotten.knows_responses else None


def _show_estimate(run: SampleRun) -> None:
    from annotator.sampling.sample import estimate_sample

    with run.store.to_read() as calls:
        estimate = estimate_sample(
            run.settings,
            questions=run.questions,
            store=calls,
            retry_failed=run.retry_failed,
            is_forgotten=run.is_forgotten,
            part=run.part,
            also=run.store.also,
        )
    show_estimate(estimate)


def _sample(run: SampleRun, options: EngineOptions) -> StageResult:
    from annotator.sampling.sample import run_sample

    return run_sample(
        run.settings,
        questions=run.questions,
        output=run.output,
        store=run.store.take_over(),
        limits=options.limits,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
        on_event=options.on_event,
        is_forgotten=run.is_forgotten,
        part=run.part,
        also=run.store.also,
    )


def _sample_on_cluster(run: SampleRun, options: EngineOptions) -> StageResult:
    from annotator.scale.stages import sample_stage

    stage = sample_stage(
        run.settings,
        questions=run.questions,
        output=run.output,
        store=run.store.take_over(),
        forgotten=run.forgotten,
    )
    return run_on_cluster(
        stage,
        options,
        model=run.settings,
        retry_failed=run.retry_failed,
        same_model=run.same_model,
    )


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
