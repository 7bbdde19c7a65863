"""`evaluate`: the same questions to every model, judged alike, scored side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from annotator.generation.backends import make_backend
from annotator.generation.config import SampleConfig
from annotator.generation.sample import run_sample
from annotator.judging.annotate import run_annotate
from annotator.judging.config import AnnotateConfig
from maskdpo.config import RunConfig
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.scores import compare_models
from maskdpo.report.page import ReportInputs, write_report
from schemas.errors import InputError
from schemas.files import read_records
from schemas.records import Annotation, Document, Failure, Question
from schemas.stage import StageResult
from schemas.writing import write_json


@dataclass(frozen=True, kw_only=True)
class EvaluationInputs:
    """What an evaluation needs besides the models: questions, documents, a place to write."""

    questions: Path
    documents: Path
    output: Path
    title: str = "Evaluation"
    run_store: Path | None = None
    """The store of the run directory; None: store.sqlite in `output`."""

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
    same_model: bool = False,
    show_progress: bool = True,
) -> StageResult:
    """Sample from each model, annotate, score; writes scores.json and report.html.

    `samples` holds one sampling config per model, alike but for the model. A model's files are in
    `output/NAME/`; everything finished is kept, so a rerun continues.
    """
    questions = read_records(inputs.questions, Question)
    documents = {item.id: item for item in read_records(inputs.documents, Document)}
    for sample in samples.values():
        make_backend(sample)  # a missing model is reported before the first one samples
    annotations: dict[str, list[Annotation]] = {}
    failures: list[Failure] = []
    notes: list[str] = []
    for name, sample in samples.items():
        click.echo(f"evaluate: {name} ({sample.model})", err=True)
        folder = inputs.output / name
        sampled = run_sample(
            sample,
            questions=inputs.questions,
            output=folder / "responses.jsonl",
            store=inputs.store,
            stage=f"evaluate {name}",
            same_model=same_model,
            show_progress=show_progress,
        )
        judged = run_annotate(
            annotate,
            responses=folder / "responses.jsonl",
            documents=inputs.documents,
            output=folder / "annotations.jsonl",
            store=inputs.store,
            stage=f"evaluate {name}: judge",
            same_model=same_model,
            show_progress=show_progress,
        )
        annotations[name] = _read_annotations(folder / "annotations.jsonl")
        failures.extend([*sampled.failures, *judged.failures])
        notes.extend(note for note in [*sampled.notes, *judged.notes] if note not in notes)
    scores = compare_models(
        annotations,
        [question.id for question in questions],
        topics={question.id: question.topic for question in questions},
        num_responses=max(sample.num_responses for sample in samples.values()),
        descriptions=config.descriptions,
    )
    write_json(inputs.output / "scores.json", scores)
    write_report(
        inputs.output / "report.html",
        ReportInputs(
            title=inputs.title,
            scores=scores,
            annotations=annotations,
            questions=questions,
            documents=documents,
            training_logs={
                name: Path(sample.model) / "training_log.jsonl" for name, sample in samples.items()
            },
            notes=notes,
            num_examples=config.num_examples,
        ),
    )
    num_rows = sum(len(questions) * sample.num_responses for sample in samples.values())
    return StageResult(
        output=inputs.output / "scores.json",
        num_rows=num_rows,
        failures=failures,
        counts={"models": len(samples), "questions": len(questions), "responses": num_rows},
        notes=notes,
    )


def sample_configs(config: RunConfig, evaluate: EvaluateConfig) -> dict[str, SampleConfig]:
    """One sampling config per model: the section `sample`, with what `evaluate` sets instead."""
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
    """The annotations of one model; none at all (every response failed) is no error here."""
    try:
        return read_records(path, Annotation)
    except InputError:
        if path.exists() and not path.read_bytes().strip():
            return []
        raise
