"""`demo`: the complete pipeline in a closed world, through the functions that the commands call.

    RUN/
        run.yaml                       the run config; every command takes it with --config
        documents.jsonl                the truth about everyone
        questions.jsonl                questions about the people in the preference data
        unseen.jsonl                   questions about the other people, for evaluation
        base/                          the policy, trained from scratch on half-wrong biographies
        responses.jsonl, annotations.jsonl, dataset/
        dpo/, dpo_eos/, mask_dpo/      three preference runs of equal budget, each with curves.html
        evaluation/                    scores.json, report.html
        world.json                     the settings of this demo

The rule: a rerun continues, because every stage keeps what it finished.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from annotator.judging.config import AnnotateConfig
from annotator.judging.runs.annotate import run_annotate
from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from dataset_builder.config import BuildConfig
from maskdpo.config import RunConfig, load_run_config
from maskdpo.demo.base_model import train_base_model
from maskdpo.demo.config import DemoConfig
from maskdpo.demo.run_values import METHODS, make_run_values
from maskdpo.demo.truth import measure_judge
from maskdpo.demo.world import World, make_world, write_document, write_question
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.run import EvaluationInputs, run_evaluate, sample_configs
from maskdpo.evaluation.words import describe_pair, find_pair
from maskdpo.publishing.dataset import build_dataset
from maskdpo.report.training_page import write_training_page
from schemas.errors import ConfigError
from schemas.events import OnEvent, ignore
from schemas.files.jsonl import write_records
from schemas.files.writing import atomic_writer, write_json
from schemas.files.yaml_files import dump_yaml
from schemas.packages import require
from schemas.stage import StageResult
from trainer.config import TrainConfig
from trainer.run import run_train

_NUM_STAGES = 6


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """The demo's folder, the score of each model on the unseen topics, and a conclusion."""

    scores: Path
    report: Path
    models: dict[str, dict[str, Any]]
    conclusion: str


def run_demo(config: DemoConfig, folder: Path, *, on_event: OnEvent = ignore) -> DemoResult:
    """Run every stage in `folder`. Raises ConfigError when it has a demo with other settings."""
    require("torch", "transformers", "scipy", "matplotlib", needed_for="demo")
    _claim(folder, config)
    world = make_world(num_people=config.num_people, seed=config.seed)
    run = _write_inputs(world, folder, config)
    with _stage(1, f"base model: {config.num_people} people, half of the sentences corrupted"):
        _make_base_model(world, folder / "base", config, on_event=on_event)
    with _stage(2, "sample: several biographies of each person from the base model"):
        _sample(run, folder, on_event=on_event)
    with _stage(3, "annotate: compare each sentence with the documents, by word overlap"):
        _annotate(run, folder, on_event=on_event)
        accuracy = measure_judge(world, folder / "annotations.jsonl")
        click.echo(f"  the judge agrees with the truth on {100 * accuracy:.1f}% of the sentences")
    with _stage(4, "build: best and worst response per person"):
        _build(run, folder)
    with _stage(5, "train: DPO, DPO without end-of-text, Mask-DPO; equal budget"):
        _train(run, folder, on_event=on_event)
    with _stage(6, f"evaluate: {config.num_unseen} people who are not in the preference data"):
        _evaluate(run, folder, on_event=on_event)
    path = folder / "evaluation" / "scores.json"
    scores = json.loads(path.read_text(encoding="utf-8"))
    return DemoResult(
        scores=path,
        report=folder / "evaluation" / "report.html",
        models=scores["models"],
        conclusion=_conclude(scores, config),
    )


def _sample(run: RunConfig, folder: Path, *, on_event: OnEvent) -> None:
    _report(
        run_sample(
            run.section(SampleConfig, "sample"),
            questions=folder / "questions.jsonl",
            output=folder / "responses.jsonl",
            store=folder / "store.sqlite",
            on_event=on_event,
        )
    )


def _annotate(run: RunConfig, folder: Path, *, on_event: OnEvent) -> None:
    _report(
        run_annotate(
            run.section(AnnotateConfig, "annotate"),
            responses=folder / "responses.jsonl",
            documents=folder / "documents.jsonl",
            output=folder / "annotations.jsonl",
            store=folder / "store.sqlite",
            on_event=on_event,
        )
    )


def _build(run: RunConfig, folder: Path) -> None:
    settings = run.section(BuildConfig, "build")
    _report(
        build_dataset(
            settings,
            annotations=folder / "annotations.jsonl",
            output=folder / "dataset",
            plots=True,
        )
    )


def _train(run: RunConfig, folder: Path, *, on_event: OnEvent) -> None:
    for name, method in METHODS.items():
        settings = run.section(
            TrainConfig, "train", **method.settings, progress=on_event is not ignore
        )
        output = folder / name
        _report(run_train(settings, dataset=folder / "dataset", output=output))
        click.echo(f"  curves: {write_training_page(output)}")


def _evaluate(run: RunConfig, folder: Path, *, on_event: OnEvent) -> None:
    settings = run.section(EvaluateConfig, "evaluate")
    inputs = EvaluationInputs(
        questions=folder / "unseen.jsonl",
        documents=folder / "documents.jsonl",
        output=folder / "evaluation",
        run_store=folder / "store.sqlite",
        title="Closed world: base, DPO and Mask-DPO on unseen topics",
    )
    _report(
        run_evaluate(
            settings,
            sample_configs(run, settings),
            run.section(AnnotateConfig, "annotate"),
            inputs,
            on_event=on_event,
        )
    )


def _conclude(scores: Mapping[str, Any], config: DemoConfig) -> str:
    """What the demo shows, in one sentence: Mask-DPO compared with DPO, with the interval."""
    found = describe_pair(find_pair(scores, "mask_dpo", "dpo"))
    return f"On {config.num_unseen} people who were not in training: {found}"


def _claim(folder: Path, config: DemoConfig) -> None:
    """Refuse a folder that has a demo with other settings: its stages would not fit."""
    path = folder / "world.json"
    values = config.model_dump(mode="json")
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8")).get("config")
        if found != values:
            raise ConfigError(
                f"{folder}: has a demo with other settings; choose another --output or remove it"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: has files but no demo; choose another --output")
    write_json(path, {"config": values})


def _write_inputs(world: World, folder: Path, config: DemoConfig) -> RunConfig:
    seen = world.people[: -config.num_unseen]
    unseen = world.people[-config.num_unseen :]
    write_records(folder / "documents.jsonl", (write_document(world, p) for p in world.people))
    write_records(folder / "questions.jsonl", (write_question(person) for person in seen))
    write_records(folder / "unseen.jsonl", (write_question(person) for person in unseen))
    path = folder / "run.yaml"
    with atomic_writer(path) as handle:
        handle.write("# Written by `maskdpo demo`. Try: maskdpo train --config this file --help\n")
        handle.write(dump_yaml(make_run_values(config, folder)))
    return load_run_config(path)


def _make_base_model(world: World, output: Path, config: DemoConfig, *, on_event: OnEvent) -> None:
    """Train the base model once; a folder with its final name is a finished model."""
    if output.exists():
        click.echo(f"  exists already: {output}")
        return
    unfinished = output.with_name(output.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    loss = train_base_model(world, unfinished, config.base_model, on_event=on_event)
    unfinished.rename(output)
    click.echo(f"  wrote {output} (last loss {loss:.3f})")


def _report(result: StageResult) -> None:
    for note in result.notes:
        click.echo(f"  note: {note}")
    counts = ", ".join(f"{name} {count:,}" for name, count in result.counts.items() if count)
    click.echo(f"  wrote {result.output} ({counts})")


@contextmanager
def _stage(number: int, text: str) -> Iterator[None]:
    click.secho(f"[{number}/{_NUM_STAGES}] {text}", bold=True)
    started = time.monotonic()
    yield
    click.echo(f"  {time.monotonic() - started:.0f} s")
