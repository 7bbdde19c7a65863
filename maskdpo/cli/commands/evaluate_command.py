"""`maskdpo evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.metrics_option import metrics_option
from maskdpo.cli.options import (
    FOLDER,
    INPUT_FILE,
    DocumentedCommand,
    announce_limits,
    estimate_option,
    judge_config_options,
    paid_options,
    report_result,
    require_file,
    show_estimates,
)
from maskdpo.config import RunConfig
from maskdpo.run_store import RunStore, find_run_store, same_model_option, store_option
from schemas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.usage import Limits
    from annotator.judging.config import AnnotateConfig
    from annotator.models.config import SampleConfig
    from annotator.models.prices import Prices
    from maskdpo.evaluation.config import EvaluateConfig
    from maskdpo.evaluation.run import EvaluationInputs


@click.command(
    "evaluate",
    cls=DocumentedCommand,
    section="evaluate",
    examples="""
    maskdpo evaluate --config run.yaml
    maskdpo evaluate --model base=./my-model --model mask_dpo=runs/mine/model \\
        --questions unseen.jsonl --documents documents.jsonl --output evaluation
    maskdpo evaluate --answers annotations.jsonl --output evaluation
    """,
)
@judge_config_options
@metrics_option
@paid_options
@estimate_option
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=MODEL",
    help="Model to evaluate; may be repeated; the first is the baseline [evaluate.models].",
)
@click.option(
    "--answers",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Answers of other models: responses to judge, or annotations, whose verdicts count (such "
    "as people's labels); may be repeated; without NAME, one model per 'model' of the rows "
    "[evaluate.answers].",
)
@click.option(
    "--people",
    type=INPUT_FILE,
    multiple=True,
    help="People's reviews of the answers (reviews.jsonl), or annotations of people; may be "
    "repeated: adds prediction-powered scores [evaluate.people].",
)
@click.option(
    "--questions",
    type=INPUT_FILE,
    help="Questions [evaluate.questions, else RUN/questions.jsonl; with --answers alone, those "
    "answered].",
)
@click.option("--documents", type=INPUT_FILE, help="Documents [RUN/documents.jsonl].")
@click.option("--output", type=FOLDER, help="Folder for scores and report [RUN/evaluation].")
@store_option
@same_model_option
def command(
    config: RunConfig,
    *,
    metrics: RunMetrics | None,
    limits: Limits,
    retry_failed: bool,
    estimate_only: bool,
    models: tuple[str, ...],
    answers: tuple[str, ...],
    people: tuple[Path, ...],
    questions: Path | None,
    documents: Path | None,
    output: Path | None,
    store: Path | None,
    same_model: bool,
) -> None:
    """Ask every model the same questions, run one judge on all answers, compare and plot.

    Scores are over the questions that every model answered; scores.json, report.html and the
    terminal warn about models that answer less often or with fewer facts (docs/evaluation.md).

    Sampling, judging and prices are set in the sections sample and annotate. Limits apply to the
    sum over all models and the judge. A rerun continues.
    """
    from annotator.judging.config import AnnotateConfig
    from maskdpo.cli.progress import Progress
    from maskdpo.evaluation.config import EvaluateConfig
    from maskdpo.evaluation.run import run_evaluate, sample_configs
    from maskdpo.evaluation.show import print_scores

    given: dict[str, object] = {"answers": list(answers) or None, "people": list(people) or None}
    given |= {"models": parse_models(models) or _no_models(config, answers)}
    settings = config.section(EvaluateConfig, "evaluate", questions=questions, **given)
    annotate = config.section(AnnotateConfig, "annotate")
    output = output or config.run.path("evaluation")
    run_store = find_run_store(config, output / "scores.json", given=store)
    inputs = _find_inputs(config, settings, output, run_store, documents=documents)
    samples = sample_configs(config, settings)
    if estimate_only:
        _show_estimates(settings, samples, annotate, inputs, run_store, retry_failed=retry_failed)
        return
    announce_limits(limits, *_find_prices(settings, samples, annotate))
    run_store.take_over()
    result = run_evaluate(
        settings,
        samples,
        annotate,
        inputs,
        limits=limits,
        retry_failed=retry_failed,
        same_model=same_model,
        on_event=Progress(),
        metrics=metrics,
    )
    print_scores(output / "scores.json", best_of=settings.best_of)
    report_result(result, annotate.max_failed)


def _find_prices(
    settings: EvaluateConfig, samples: Mapping[str, SampleConfig], annotate: AnnotateConfig
) -> list[Prices | None]:
    """The prices of all models that are asked: those evaluated, the writer of facts, the judge."""
    from annotator.judging.make_judge import judge_prices
    from maskdpo.evaluation.factscore.config import find_writer

    writer = find_writer(settings.factscore, annotate)
    prices = [item.prices for item in samples.values()]
    return [*prices, *([writer.config.prices] if writer else []), *judge_prices(annotate)]


def _show_estimates(
    settings: EvaluateConfig,
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    run_store: RunStore,
    *,
    retry_failed: bool,
) -> None:
    from maskdpo.evaluation.estimate import estimate_evaluate

    with run_store.to_read() as calls:
        inputs = replace(inputs, run_store=calls)
        parts = estimate_evaluate(
            samples,
            annotate,
            inputs,
            answers=settings.answers,
            factscore=settings.factscore,
            retry_failed=retry_failed,
        )
        show_estimates(parts)


def _no_models(config: RunConfig, answers: Sequence[str]) -> dict[str, str] | None:
    """No model, where there are answers and no setting names a model."""
    has_answers = answers or config.given("evaluate", "answers")
    return {} if has_answers and config.given("evaluate", "models") is None else None


def _find_inputs(
    config: RunConfig,
    settings: EvaluateConfig,
    output: Path,
    run_store: RunStore,
    *,
    documents: Path | None,
) -> EvaluationInputs:
    """The files to read; raises InputError where one is missing."""
    from maskdpo.evaluation.run import EvaluationInputs

    inputs = EvaluationInputs(
        questions=settings.questions or _default_questions(config, settings),
        documents=documents or _default_documents(config, settings),
        output=output,
        run_store=run_store.path,
    )
    _check_files(inputs, is_chosen=settings.questions is not None)
    return inputs


def _default_questions(config: RunConfig, settings: EvaluateConfig) -> Path | None:
    """The run's questions; None where nothing is asked: the answers name theirs."""
    return config.run.path("questions.jsonl") if settings.models else None


def _default_documents(config: RunConfig, settings: EvaluateConfig) -> Path | None:
    """The run's documents; None where there are none and no answer needs a judge."""
    from maskdpo.evaluation.answers import read_answers

    path = config.run.path("documents.jsonl")
    needed = bool(settings.models) or settings.factscore is not None
    if path.exists() or needed or read_answers(settings.answers).need_judge:
        return path
    return None


def _check_files(inputs: EvaluationInputs, *, is_chosen: bool) -> None:
    """Raise InputError for a missing file; print a note if no questions for evaluation are set."""
    if inputs.questions is not None:
        require_file(inputs.questions, made_by="give --questions FILE, or set run.questions")
    if inputs.documents is not None:
        require_file(inputs.documents, made_by="give --documents FILE, or set run.documents")
    if inputs.questions is not None and not is_chosen:
        click.echo(
            f"note: using {inputs.questions}, which the preference data may be based on; "
            "give questions of unseen topics with --questions or evaluate.questions",
            err=True,
        )


def parse_models(given: tuple[str, ...]) -> dict[str, str] | None:
    """The values of --model as {name: model}, None for none; ConfigError for another form."""
    models: dict[str, str] = {}
    for item in given:
        name, equals, model = item.partition("=")
        if not (name and equals and model):
            raise ConfigError(f"--model {item!r}: must look like NAME=FOLDER or NAME=HUB_ID")
        if name in models:
            raise ConfigError(f"--model {item!r}: the name {name!r} is given twice")
        models[name] = model
    return models or None
