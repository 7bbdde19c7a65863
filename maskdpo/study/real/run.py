"""The study with a real model, seed by seed, in one folder.

    FOLDER/
        study.json                 the settings and the model's content, for which the folder is
        seed-N/
            stages/NAME.json       one record per finished stage: its values, device, time, memory
            base/                  the model that half believes the truth
            samples/               its answers about seen people, with verdicts
            dataset/sentence, dataset/span
            dpo/, mask_dpo/, span/ the trained models
            scores/NAME/           answers about unseen people, with verdicts
        results.json, table.md     figures of the finished seeds

The rule: a rerun continues after the last finished stage, and inside a stage from what its own
parts keep (checkpoints, stored replies). Results are written again after each seed, always of all
seeds of the folder whose stages are all recorded, however many a run asks for. A seed whose base
model does not half believe the truth is left out and reported; the other seeds continue.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from maskdpo.study.divergence import mean_with_error, measure_divergence
from maskdpo.study.real.belief import share_true
from maskdpo.study.real.config import HOME_KIND, RealConfig
from maskdpo.study.real.convert import read_source
from maskdpo.study.real.preference import (
    METHODS,
    Device,
    build_datasets,
    read_annotations,
    sample_and_label,
    train_method,
)
from maskdpo.study.real.results import Answers, compare, over_seeds, pool
from maskdpo.study.real.stages import Stages
from maskdpo.study.real.supervised import train_until_half
from maskdpo.study.real.table import describe_left_out, render_table
from maskdpo.study.world.people import World, make_world
from maskdpo.study.world.truth import find_facts
from maskdpo.study.world.writing import make_questions
from schemas.errors import ConfigError, InputError, MaskDpoError
from schemas.events import Noted, OnEvent, ignore
from schemas.files.writing import atomic_writer, write_json
from schemas.packages import require
from schemas.records import Annotation, Question
from trainer.models import hash_tokenizer, hash_weights, quiet_library_bars

BASE = "base"
MODELS = (BASE, *METHODS)
STAGES = (
    *("base", "samples", "score-base", "belief", "dataset"),
    *(stage for name in METHODS for stage in (name, f"score-{name}")),
)
PROCEDURE = 2  # raised where finished stages do not fit those that follow; 1: KL by log-ratios
KL_BATCH_SIZE = 8  # a token takes megabytes at a vocabulary of tens of thousands
_FREE = {"model", "num_seeds"}


@dataclass(frozen=True, kw_only=True)
class _Seed:
    """One repetition: its people, questions, and the records of its stages."""

    seed: int
    folder: Path
    stages: Stages
    world: World
    seen: list[Question]
    unseen: list[Question]
    config: RealConfig
    device: Device
    on_event: OnEvent

    def model(self, name: str) -> Path:
        """The folder of the base model or of a method's."""
        return self.folder / name


def run_real_study(
    config: RealConfig,
    folder: Path,
    *,
    device: Device = "cpu",
    keep_models: bool = True,
    on_stage: Callable[[str], None] = lambda text: None,
    on_event: OnEvent = ignore,
) -> Path:
    """Run all seeds in `folder`; returns `results.json`, with the figures of all finished seeds.

    keep_models    false: the weights of a seed are deleted when the seed is finished
    on_stage       is called with a line when a stage begins

    Raises ConfigError for a folder of another study, InputError for an unusable model or answers
    without a pair, and MaskDpoError where no base model half believes the truth.
    """
    require("torch", "transformers", "accelerate", "peft", "scipy", needed_for="study-real")
    quiet_library_bars()
    _claim(folder, config)
    make = partial(_make_seed, config, folder, device=device, on_stage=on_stage, on_event=on_event)
    for seed in config.seeds:
        run = make(seed)
        _run_seed(run)
        if not keep_models:
            _delete_models(run)
        runs = [make(number) for number in _list_seeds(folder)]
        done = [run for run in runs if run.stages.names().issuperset(STAGES)]
        left_out = [row for run in runs if (row := _describe_left_out(run))]
        if done:
            _write_results(done, left_out, config, folder)
    if not done:
        raise MaskDpoError(
            f"{folder}: no seed is left, because no base model half believes the truth; run more "
            "seeds (--seeds), or give another start model and another folder\n"
            + "\n".join(map(describe_left_out, left_out))
        )
    return folder / "results.json"


def _list_seeds(folder: Path) -> list[int]:
    """The numbers of the seeds that have a folder, in their order."""
    names = (path.name.removeprefix("seed-") for path in folder.glob("seed-*"))
    return sorted(int(name) for name in names if name.isdecimal())


def _claim(folder: Path, config: RealConfig) -> None:
    """Refuse a folder that has a study with other settings or another model."""
    model = Path(config.model)
    if not (model / "config.json").is_file():
        raise InputError.of(model, "holds no config.json, so it is not a model folder")
    values = {
        "procedure": PROCEDURE,
        "config": config.model_dump(mode="json", exclude=_FREE),
        "model": {"weights": hash_weights(model), "tokenizer": hash_tokenizer(model)},
    }
    path = folder / "study.json"
    if not path.exists():
        write_json(path, values)
    elif json.loads(path.read_text(encoding="utf-8")) != values:
        raise ConfigError(
            f"{folder}: has a study with other settings, another model or of an earlier version; "
            "choose another folder or remove it (only num_seeds may change)"
        )


def _make_seed(
    config: RealConfig,
    folder: Path,
    seed: int,
    *,
    device: Device,
    on_stage: Callable[[str], None],
    on_event: OnEvent,
) -> _Seed:
    world = make_world(config.world, seed=seed)
    place = folder / f"seed-{seed}"
    return _Seed(
        seed=seed,
        folder=place,
        stages=Stages(
            folder=place,
            device=device,
            on_stage=lambda name: on_stage(f"seed {seed}: {name}"),
        ),
        world=world,
        seen=make_questions(world, world.people, kinds=(HOME_KIND,)),
        unseen=make_questions(world, world.unseen, kinds=(HOME_KIND,)),
        config=config,
        device=device,
        on_event=on_event,
    )


def _run_seed(run: _Seed) -> None:
    """All stages of a seed, each once; only the first ones where it is left out."""
    run.stages.run("base", partial(_make_base, run))
    shutil.rmtree(run.folder / "base.work", ignore_errors=True)
    run.stages.run("samples", partial(_sample, run))
    run.stages.run("score-base", partial(_score, run, BASE))
    run.stages.run("belief", partial(_measure_belief, run))
    if row := _describe_left_out(run):
        run.on_event(Noted(text=describe_left_out(row)))
        return
    run.stages.run("dataset", partial(_build, run))
    for name in METHODS:
        run.stages.run(name, partial(_train, run, name))
        run.stages.run(f"score-{name}", partial(_score, run, name))


def _make_base(run: _Seed) -> Mapping[str, Any]:
    return train_until_half(
        Path(run.config.model),
        run.model(BASE),
        run.world,
        run.seen + run.unseen,
        run.config,
        seed=run.seed,
        device=run.device,
        on_event=run.on_event,
    )


def _sample(run: _Seed) -> Mapping[str, Any]:
    return _answer(run, BASE, run.seen, run.folder / "samples", run.config.num_responses)


def _answer(
    run: _Seed, name: str, questions: list[Question], output: Path, num_responses: int
) -> dict[str, Any]:
    return sample_and_label(
        run.model(name),
        questions,
        run.world,
        run.config,
        output=output,
        num_responses=num_responses,
        seed=run.seed,
        device=run.device,
        on_event=run.on_event,
    )


def _score(run: _Seed, name: str) -> Mapping[str, Any]:
    """Answers about unseen people: counts of sentences and facts, and the KL from the base."""
    output = run.folder / "scores" / name
    counts = _answer(run, name, run.unseen, output, run.config.score_responses)
    annotations = read_annotations(output)
    facts = [fact.is_true for row in annotations for fact in find_facts(run.world, row)]
    kept = [row for row in annotations if _number(row.id) < run.config.kl_responses]
    kl, error = _measure_kl(run, name, kept)
    return counts | {
        "true_facts": sum(facts),
        "false_facts": len(facts) - sum(facts),
        "kl": kl,
        "kl_error": error,
    }


def _measure_kl(
    run: _Seed, name: str, responses: Sequence[Annotation]
) -> tuple[float | None, float | None]:
    """The mean divergence from the base in nats per response, and its error over people."""
    found = measure_divergence(
        run.model(name),
        run.model(BASE),
        responses,
        dtype=run.config.dtype,
        device=run.device,
        batch_size=KL_BATCH_SIZE,
    )
    return mean_with_error([item.kl for item in found], [row.topic for row in responses])


def _number(response_id: str) -> int:
    return int(response_id.rsplit("-", 1)[1])


def _measure_belief(run: _Seed) -> Mapping[str, Any]:
    """What the stored base model says about everyone, in the samples that it gave anyway."""
    parts = [run.stages.run("samples", dict), run.stages.run("score-base", dict)]
    counts = {key: sum(part[key] for part in parts) for key in ("true", "wrong")}
    share, limits = share_true(counts), run.config.supervised
    return counts | {"share_true": share, "passed": limits.low <= share <= limits.high}


def _describe_left_out(run: _Seed) -> dict[str, Any] | None:
    """The seed, its share and the limits, where its base model does not half believe the truth."""
    if "belief" not in run.stages.names():
        return None
    belief = run.stages.run("belief", dict)
    if belief["passed"]:
        return None
    limits = run.config.supervised
    share = belief["share_true"]
    return {"seed": run.seed, "share_true": share, "low": limits.low, "high": limits.high}


def _build(run: _Seed) -> Mapping[str, Any]:
    return build_datasets(
        run.folder / "samples" / "annotations.jsonl", run.folder / "dataset", run.config
    )


def _train(run: _Seed, name: str) -> Mapping[str, Any]:
    return train_method(
        name,
        run.model(BASE),
        run.folder / "dataset",
        run.model(name),
        run.config,
        seed=run.seed,
        device=run.device,
    )


def _delete_models(run: _Seed) -> None:
    for name in MODELS:
        for path in run.model(name).glob("*.safetensors"):
            path.unlink()


def _write_results(
    done: list[_Seed], left_out: list[dict[str, Any]], config: RealConfig, folder: Path
) -> None:
    """Figures of all seeds so far, as JSON and as tables."""
    answers: dict[int, tuple[Answers, list[Question]]] = {
        run.seed: (
            {name: read_annotations(run.folder / "scores" / name) for name in MODELS},
            run.unseen,
        )
        for run in done
    }
    count = config.score_responses
    by_seed = {
        seed: compare(models, asked, num_responses=count)
        for seed, (models, asked) in answers.items()
    }
    results = {
        "study": "real",
        "config": config.model_dump(mode="json", exclude=_FREE),
        "model": Path(config.model).name,
        "source": read_source(Path(config.model)),
        "devices": _list_devices(done),
        "descriptions": {name: method.description for name, method in METHODS.items()},
        "seeds": [_describe_seed(run, by_seed[run.seed]) for run in done],
        "left_out": left_out,
        "pooled": pool(answers, num_responses=count),
        "over_seeds": over_seeds(by_seed),
        "usage": _sum_usage(done),
    }
    write_json(folder / "results.json", results)
    with atomic_writer(folder / "table.md") as handle:
        handle.write(render_table(results))


def _describe_seed(run: _Seed, figures: Mapping[str, Any]) -> dict[str, Any]:
    records = {row["stage"]: row for row in run.stages.usages()}
    values = {name: run.stages.run(name, dict) for name in records}
    return {"seed": run.seed, "values": values, "usage": list(records.values()), **figures}


def _list_devices(done: list[_Seed]) -> list[str | None]:
    """Devices of all stages; None, last, where records from before devices were kept have none."""
    found = {row["device"] for run in done for row in run.stages.usages()}
    return sorted(found, key=lambda name: (name is None, name))


def _sum_usage(done: list[_Seed]) -> dict[str, Any]:
    """Hours of all stages, and the largest peak of memory, by stage and in all."""
    rows = [row for run in done for row in run.stages.usages()]
    gpu = [row["gpu_peak_mb"] for row in rows if row["gpu_peak_mb"] is not None]
    return {
        "wall_hours": sum(row["wall_s"] for row in rows) / 3600,
        "cpu_hours": sum(row["cpu_s"] for row in rows) / 3600,
        "peak_mb": max(row["peak_mb"] for row in rows),
        "gpu_peak_mb": max(gpu, default=None),
    }
