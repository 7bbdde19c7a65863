"""`evaluate`: the same questions to every model, one judge for all of them, one comparison.

The rule: the limits apply to the run as a whole, to all models and the judge together, and all
errors in prices, questions and documents are reported before the first call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from annotator.calls.metrics.counting import RunMetrics, listen
from annotator.calls.usage import NO_LIMITS, Budget, Limits, check_prices
from annotator.judging.config import AnnotateConfig
from annotator.judging.make_judge import judge_prices
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.input_checks import check_documents
from annotator.sampling.sample import run_sample
from maskdpo.config import RunConfig
from maskdpo.evaluation.answers import Answers, AnswerSet, read_answers
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.factscore.config import Writer, find_writer
from maskdpo.evaluation.factscore.run import FactScorer, FindFacts
from maskdpo.evaluation.factscore.scores import with_factscores
from maskdpo.evaluation.factscore.verdicts import JudgedFacts
from maskdpo.evaluation.own_files import (
    ANNOTATIONS,
    ANSWERS,
    RESPONSES,
    check_outputs,
    refuse_unless_own,
    write_own,
)
from maskdpo.evaluation.people.reviewed import check_people_files
from maskdpo.evaluation.people.scores import powered_scores
from maskdpo.evaluation.scores import compare_models
from maskdpo.evaluation.served import check_served
from maskdpo.report.page import ReportInputs, write_report
from schemas.errors import InputError, LimitReachedError, MaskDpoError
from schemas.events import Noted, OnEvent, heard_by, ignore
from schemas.files.jsonl import read_records, read_rows
from schemas.files.own_files import has_keys, is_page
from schemas.files.writing import write_json
from schemas.packages import require
from schemas.records import Annotation, Document, Failure, Question
from schemas.stage import StageResult


@dataclass(frozen=True, kw_only=True)
class EvaluationInputs:
    """The files of an evaluation: questions, documents, output folder.

    questions   None: those that the answers in files name; only without a sampled model
    documents   None: there are none; only if every answer has verdicts already
    """

    questions: Path | None
    documents: Path | None
    output: Path
    title: str = "Evaluation"
    run_store: Path | None = None
    """The store of the run directory; None: store.sqlite in `output`."""
    find_facts: FindFacts | None = None
    """A rule that finds the facts of FActScore, in place of a model."""

    @property
    def store(self) -> Path:
        """The finished calls of all models and the judge."""
        return self.run_store or self.output / "store.sqlite"


def run_evaluate(
    config: EvaluateConfig,
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    *,
    limits: Limits = NO_LIMITS,
    retry_failed: bool = False,
    same_model: bool = False,
    on_event: OnEvent = ignore,
    metrics: RunMetrics | None = None,
) -> StageResult:
    """Sample from each model, annotate and score; writes scores.json and report.html.

    `samples` has one sampling config per model, which differ only in the model; the models whose
    answers are in files (`config.answers`) come after them. A model's files are in `output/NAME/`;
    everything finished is kept, so a rerun continues.

    Raises InputError and ConfigError before anything is spent, LimitReachedError at a limit, and
    BackendError when a server or device fails or every call to one model fails.
    """
    writer = find_writer(config.factscore, annotate, has_rule=inputs.find_facts is not None)
    prepared = _prepare(config, samples, annotate, inputs, limits=limits, writer=writer)
    if samples or prepared.answers.need_judge or config.factscore is not None:
        check_served(samples, annotate, inputs.store, same_model=same_model, writer=writer)
    for note in prepared.notes:
        on_event(Noted(text=note))
    scorer = FactScorer(
        annotate=annotate,
        documents=inputs.documents,
        store=inputs.store,
        budget=prepared.budget,
        writer=writer,
        find_facts=inputs.find_facts,
        retry_failed=retry_failed,
        same_model=same_model,
        on_event=on_event,
        metrics=metrics,
    )
    asked = _ask_models(
        samples,
        annotate,
        inputs,
        prepared.answers.sets,
        budget=prepared.budget,
        retry_failed=retry_failed,
        same_model=same_model,
        on_event=on_event,
        metrics=metrics,
        scorer=scorer if config.factscore is not None else None,
    )
    _write_results(config, samples, inputs, prepared, asked)
    return _conclude(samples, inputs, prepared, asked)


def _conclude(
    samples: Mapping[str, SampleConfig],
    inputs: EvaluationInputs,
    prepared: _Prepared,
    asked: _Asked,
) -> StageResult:
    """The outcome of the whole evaluation."""
    num_questions = len(prepared.questions)
    num_rows = sum(num_questions * sample.num_responses for sample in samples.values())
    num_rows += sum(len(item.rows) for item in prepared.answers.sets)
    return StageResult(
        output=inputs.output / "scores.json",
        num_rows=num_rows,
        failures=asked.failures,
        counts={
            "models": len(asked.annotations),
            "questions": num_questions,
            "responses": num_rows,
        },
        notes=asked.notes,
        table=prepared.budget.rows(),
        trouble=asked.troubles[0] if asked.troubles else None,
    )


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What was read and checked before the first call."""

    questions: Sequence[Question]
    documents: Mapping[str, Document]
    answers: Answers
    budget: Budget
    notes: Sequence[str]


def _prepare(
    config: EvaluateConfig,
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    *,
    limits: Limits,
    writer: Writer | None,
) -> _Prepared:
    """Read the inputs; raises InputError or ConfigError for faults that would else waste calls."""
    require("scipy", "matplotlib", needed_for="evaluate")
    refuse_unless_own(inputs.output / "scores.json", has_keys("models", "pairs"))
    refuse_unless_own(inputs.output / "report.html", is_page)
    check_people_files(config.people)
    answers = read_answers(config.answers, samples)
    judged_here = [*samples, *(item.name for item in answers.sets if not item.judged)]
    check_outputs(
        inputs.output,
        samples,
        answers.sets,
        inputs=[inputs.questions, inputs.documents, *config.people],
        with_facts=config.factscore is not None,
    )
    prices = [("sample", item.prices) for item in samples.values()]
    prices += [("annotate.llm", item) for item in judge_prices(annotate)]
    prices += [(writer.section, writer.config.prices)] if writer else []
    check_prices(limits, prices)
    documents = [] if inputs.documents is None else read_records(inputs.documents, Document)
    notes: list[str] = []
    if inputs.questions is None:
        questions = answers.derive_questions()
    else:
        rows = read_rows(inputs.questions, Question)
        questions = [row.record for row in rows]
        answers = answers.of_questions((item.id for item in questions), inputs.questions)
        if inputs.documents is not None and judged_here:
            notes += check_documents(
                inputs.questions,
                rows,
                documents,
                source=inputs.documents,
                chosen=annotate.find_documents,
            )
    for sample in samples.values():
        make_backend(sample)  # a missing model is reported before the first one samples
    if writer is not None:
        make_backend(writer.config)
    return _Prepared(
        questions=questions,
        documents={item.id: item for item in documents},
        answers=answers,
        budget=Budget(limits=limits),
        notes=[*answers.notes, *notes],
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The results of models and judge, by model and in total."""

    annotations: dict[str, list[Annotation]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    troubles: list[MaskDpoError] = field(default_factory=list)
    facts: dict[str, Mapping[str, JudgedFacts]] = field(default_factory=dict)

    def add(self, name: str, annotations: list[Annotation], results: Sequence[StageResult]) -> None:
        self.annotations[name] = annotations
        for result in results:
            self.failures.extend(result.failures)
            self.troubles.extend([result.trouble] if result.trouble else [])
            self.notes.extend(note for note in result.notes if note not in self.notes)


def _ask_models(
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    answers: Sequence[AnswerSet],
    *,
    budget: Budget,
    retry_failed: bool,
    same_model: bool,
    on_event: OnEvent,
    metrics: RunMetrics | None,
    scorer: FactScorer | None,
) -> _Asked:
    """Sample one model after the other. LimitReachedError names the models that are finished."""
    asked = _Asked()
    sources: list[tuple[str, SampleConfig | AnswerSet]] = [*samples.items()]
    sources += [(item.name, item) for item in answers]
    for name, source in sources:
        origin = f"answers in {source.path}" if isinstance(source, AnswerSet) else source.model
        click.echo(f"evaluate: {name} ({origin})", err=True)
        try:
            results = _ask_model(
                name,
                source,
                annotate,
                inputs,
                budget=budget,
                retry_failed=retry_failed,
                same_model=same_model,
                on_event=on_event,
                metrics=metrics,
            )
            if isinstance(source, AnswerSet) and source.judged:
                annotations = source.annotations
            else:
                annotations = _read_annotations(inputs.output / name / ANNOTATIONS)
            if scorer is not None:
                facts = scorer.judge(name, annotations, inputs.output / name)
                asked.facts[name] = facts.judged
                results += facts.results
        except LimitReachedError as error:
            done = ", ".join(asked.annotations) or "none"
            raise LimitReachedError(
                f"{error}; models finished: {done} of {len(sources)}; no scores were written"
            ) from None
        asked.add(name, annotations, results)
    return asked


def _ask_model(
    name: str,
    source: SampleConfig | AnswerSet,
    annotate: AnnotateConfig,
    inputs: EvaluationInputs,
    *,
    budget: Budget,
    retry_failed: bool,
    same_model: bool,
    on_event: OnEvent,
    metrics: RunMetrics | None,
) -> list[StageResult]:
    """Sample from one model, or take its answers, and judge them; in `output/NAME/`."""
    folder = inputs.output / name
    results: list[StageResult] = []
    if isinstance(source, AnswerSet) and source.judged:
        return results
    if isinstance(source, AnswerSet):
        responses = folder / ANSWERS
        write_own(responses, source.answers, inputs=[source.path])
    else:
        assert inputs.questions is not None  # what is sampled has questions (`EvaluationInputs`)
        responses = folder / RESPONSES
        results.append(
            run_sample(
                source,
                questions=inputs.questions,
                output=responses,
                store=inputs.store,
                stage=f"evaluate {name}",
                limits=budget,
                retry_failed=retry_failed,
                same_model=same_model,
                on_event=heard_by(on_event, listen(metrics, "policy", name)),
            )
        )
        budget.meters[-1].check_replies()  # the model's
    results.append(
        run_annotate(
            annotate,
            responses=responses,
            documents=inputs.documents,
            output=folder / ANNOTATIONS,
            store=inputs.store,
            stage=f"evaluate {name}: judge",
            limits=budget,
            retry_failed=retry_failed,
            same_model=same_model,
            on_event=heard_by(on_event, listen(metrics, "judge")),
        )
    )
    budget.meters[-1].check_replies()  # the judge's: calls that it cannot do are not paid again
    return results


def _write_results(
    config: EvaluateConfig,
    samples: Mapping[str, SampleConfig],
    inputs: EvaluationInputs,
    prepared: _Prepared,
    asked: _Asked,
) -> None:
    """Write scores.json and report.html."""
    topics = {question.id: question.topic for question in prepared.questions}
    requested = {name: sample.num_responses for name, sample in samples.items()}
    requested |= {item.name: item.num_responses for item in prepared.answers.sets}
    scores = compare_models(
        asked.annotations,
        list(topics),
        topics=topics,
        num_responses=requested,
        descriptions=config.descriptions,
    )
    if config.factscore is not None:
        has_rule = inputs.find_facts is not None
        scores = with_factscores(scores, asked.facts, config.factscore, has_rule=has_rule)
    if config.people:
        scores["people"] = powered_scores(config.people, asked.annotations, topics)
    write_json(inputs.output / "scores.json", scores)
    write_report(
        inputs.output / "report.html",
        ReportInputs(
            title=inputs.title,
            scores=scores,
            annotations=asked.annotations,
            questions=prepared.questions,
            documents=prepared.documents,
            training_logs={
                name: Path(sample.model) / "training_log.jsonl" for name, sample in samples.items()
            },
            notes=asked.notes,
            num_examples=config.num_examples,
        ),
    )


def sample_configs(config: RunConfig, evaluate: EvaluateConfig) -> dict[str, SampleConfig]:
    """One sampling config per model: the section `sample` with the values that `evaluate` sets."""
    return {
        name: config.section(
            SampleConfig,
            "sample",
            model=model,
            seed=evaluate.seed,
            num_responses=evaluate.num_responses,
            temperature=evaluate.temperature,
        )
        for name, model in evaluate.models.items()
    }


def _read_annotations(path: Path) -> list[Annotation]:
    """The annotations of one model; an empty list (every response failed) is not an error here."""
    try:
        return read_records(path, Annotation)
    except InputError:
        if path.exists() and not path.read_bytes().strip():
            return []
        raise
