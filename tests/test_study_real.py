"""The study with a real model, on a tiny one: resume, figures, refusals."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import study_real

from dataset_builder.build import load_pairs
from maskdpo.study.divergence import mean_with_error, measure_divergence
from maskdpo.study.real import preference, run
from maskdpo.study.real.belief import share_true
from maskdpo.study.real.config import RealConfig, SupervisedConfig, quick_config
from maskdpo.study.real.convert import find_gguf
from maskdpo.study.real.preference import METHODS, read_annotations
from maskdpo.study.real.results import compare, pool, t_interval
from maskdpo.study.real.run import MODELS, run_real_study
from maskdpo.study.real.stages import Stages
from maskdpo.study.real.table import render_table
from maskdpo.study.world.base import train_base
from maskdpo.study.world.config import BaseConfig
from maskdpo.study.world.people import make_world
from schemas.errors import ConfigError, InputError, MaskDpoError
from schemas.records import Annotation, Question
from schemas.stage import StageResult
from trainer.config import TrainConfig

STAGES = ["base", "samples", "score-base", "belief", "dataset"] + [
    part for name in METHODS for part in (name, f"score-{name}")
]
# Ends the process in the middle of the supervised stage, after its first check.
KILLED = """
import os, signal, sys
from pathlib import Path
from maskdpo.study.real.config import RealConfig
from maskdpo.study.real.run import run_real_study
steps = 0
def on_event(event):
    global steps
    steps += type(event).__name__ == "Advanced"
    if steps == 3:
        os.kill(os.getpid(), signal.SIGKILL)
config = RealConfig.model_validate_json(sys.argv[1])
run_real_study(config, Path(sys.argv[2]), on_event=on_event)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RealConfig:
    """Settings of seconds, with a tiny model that writes answers and knows no one."""
    start = tmp_path_factory.mktemp("start") / "model"
    quick = quick_config(str(start))
    world = quick.world.model_copy(update={"num_values": 2, "joined_share": 0.2})
    size = BaseConfig(
        hidden_size=32,
        num_layers=1,
        num_steps=150,
        batch_size=8,
        learning_rate=1.5e-2,
    )
    train_base(make_world(world, seed=0), start, size)
    supervised = SupervisedConfig(
        max_steps=4, check_every=2, batch_size=4, trained_layers=1, stop_at=1.0, low=0, high=1
    )
    values = {"world": world, "dtype": "float32", "supervised": supervised}
    return quick.model_copy(update=values)


@pytest.fixture(scope="module")
def finished(config: RealConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was killed in its first stage and then continued."""
    folder = tmp_path_factory.mktemp("study") / "run"
    child = subprocess.run(
        [sys.executable, "-c", KILLED, config.model_dump_json(), str(folder)], check=False
    )
    assert child.returncode == -signal.SIGKILL
    assert not (folder / "seed-0" / "base").exists()
    assert (folder / "seed-0" / "base.work" / "checkpoint.pt").exists()
    begun: list[str] = []
    run_real_study(config, folder, on_stage=begun.append)
    assert begun == [f"seed 0: {name}" for name in STAGES]
    return folder


def read_results(folder: Path) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise AssertionError(f"results.json has {name}")

    text = (folder / "results.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def list_questions(rows: list[Annotation]) -> list[Question]:
    found = {row.question_id: row for row in rows}
    return [Question(id=name, topic=row.topic, messages=row.prompt) for name, row in found.items()]


def test_a_killed_study_gives_what_an_undisturbed_one_gives(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    class Enough(Exception):
        pass

    def stop(text: str) -> None:
        if text.endswith("samples"):
            raise Enough

    with pytest.raises(Enough):
        run_real_study(config, tmp_path / "run", on_stage=stop)
    weights = "seed-0/base/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (finished / weights).read_bytes()
    first, second = (
        json.loads((folder / "seed-0/stages/base.json").read_text(encoding="utf-8"))["values"]
        for folder in (tmp_path / "run", finished)
    )
    assert first == second
    assert [check["step"] for check in first["checks"]] == [2, 4]


def test_a_finished_study_does_nothing_again(config: RealConfig, finished: Path) -> None:
    before = read_results(finished)
    begun: list[str] = []
    run_real_study(config, finished, on_stage=begun.append)
    assert begun == []
    assert read_results(finished) == before


def test_a_stage_without_a_record_is_done_again(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(finished, copied)
    (copied / "seed-0" / "stages" / "score-dpo.json").unlink()
    begun: list[str] = []
    run_real_study(config, copied, on_stage=begun.append)
    assert begun == ["seed 0: score-dpo"]
    first, second = read_results(copied), read_results(finished)
    assert first["pooled"] == second["pooled"]


def test_a_stage_that_fails_leaves_no_record(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise InputError.of("rows.jsonl", "is empty")

    stages = Stages(folder=tmp_path)
    with pytest.raises(InputError):
        stages.run("one", fail)
    assert stages.usages() == []
    assert stages.run("one", lambda: {"n": 1, "earlier": {"cpu_s": 100.0}}) == {"n": 1}
    (row,) = stages.usages()
    assert row["cpu_s"] >= 100.0
    assert row["wall_s"] < 100.0
    assert row["peak_mb"] > 0


def test_the_results_have_every_model_pair_and_stage(finished: Path) -> None:
    results = read_results(finished)
    assert tuple(results["pooled"]["models"]) == MODELS
    assert len(results["pooled"]["pairs"]) == 6
    (seed,) = results["seeds"]
    assert sorted(row["stage"] for row in seed["usage"]) == sorted(STAGES)
    for name in MODELS:
        counted = seed["values"][f"score-{name}"]
        rows = read_annotations(finished / "seed-0" / "scores" / name)
        assert counted["responses"] == len(rows) == 12
        shown = results["pooled"]["models"][name]
        assert (shown["num_correct"], shown["num_hallucinated"]) == (
            counted["true"],
            counted["wrong"],
        )
    assert results["usage"]["cpu_hours"] > 0
    table = (finished / "table.md").read_text(encoding="utf-8")
    assert table == render_table(results)
    assert "nan" not in table.lower()


def test_the_script_ends_with_the_table_and_one_object(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(finished, tmp_path / "run" / "study")
    monkeypatch.setattr(study_real, "run_real_study", lambda *_, **__: folder / "results.json")
    given = ["study_real.py", "--model", "m", "--output", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", given)
    study_real.main()
    shown = capsys.readouterr().out
    assert shown.startswith((folder / "table.md").read_text(encoding="utf-8"))
    assert json.loads(shown.splitlines()[-1])["cpu_hours"] > 0


def test_every_method_trains_on_the_same_pairs(finished: Path) -> None:
    whole, pieces = (
        load_pairs(finished / "seed-0" / "dataset" / name, "train") for name in ("sentence", "span")
    )
    assert [(a.chosen, a.rejected) for a in whole] == [(b.chosen, b.rejected) for b in pieces]
    assert any(span.part == "error" for pair in pieces for span in pair.rejected_spans)
    values = read_results(finished)["seeds"][0]["values"]
    assert {values[name]["steps"] for name in METHODS} == {4}


def test_another_setting_needs_another_folder(config: RealConfig, finished: Path) -> None:
    other = config.model_copy(update={"max_tokens": 20})
    with pytest.raises(ConfigError, match="has a study with other settings"):
        run_real_study(other, finished)


def test_a_base_that_does_not_half_believe_stops_the_study(
    config: RealConfig, tmp_path: Path
) -> None:
    limits = config.supervised.model_copy(update={"low": 0.99, "max_steps": 1})
    strict = config.model_copy(update={"supervised": limits})
    for expected in (4, 0):  # the second run reads the records
        begun: list[str] = []
        with pytest.raises(MaskDpoError, match="the study needs 99 to 100%"):
            run_real_study(strict, tmp_path / "run", on_stage=begun.append)
        assert len(begun) == expected


def test_a_folder_without_weights_starts_from_random_ones(
    config: RealConfig, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(config.model, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    short = config.supervised.model_copy(update={"max_steps": 1, "low": 0.99})
    other = config.model_copy(update={"model": str(bare), "supervised": short})
    with pytest.raises(MaskDpoError, match="0% of the base model's sentences are true"):
        run_real_study(other, tmp_path / "run")


def test_a_model_folder_is_required(config: RealConfig, tmp_path: Path) -> None:
    other = config.model_copy(update={"model": str(tmp_path / "nothing")})
    with pytest.raises(InputError, match=r"holds no config\.json"):
        run_real_study(other, tmp_path / "run")


def test_one_gguf_file_is_required(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no \*\.gguf file"):
        find_gguf(tmp_path)
    (tmp_path / "a.gguf").touch()
    assert find_gguf(tmp_path) == tmp_path / "a.gguf"
    (tmp_path / "b.gguf").touch()
    with pytest.raises(InputError, match=r"has 2 \*\.gguf files"):
        find_gguf(tmp_path)


def test_the_kl_is_that_of_the_first_responses_of_each_person(
    config: RealConfig, finished: Path
) -> None:
    folder = finished / "seed-0"
    rows = read_annotations(folder / "scores" / "span")
    rows = [row for row in rows if int(row.id.rsplit("-", 1)[1]) < config.kl_responses]
    found = measure_divergence(folder / "span", folder / "base", rows)
    expected = mean_with_error([item.kl for item in found], [row.topic for row in rows])
    record = json.loads((folder / "stages" / "score-span.json").read_text())["values"]
    assert record["kl"] == pytest.approx(expected[0], abs=1e-4) and record["kl"] > 0
    assert record["kl_error"] == pytest.approx(expected[1], abs=1e-4)
    base = json.loads((folder / "stages" / "score-base.json").read_text())["values"]
    assert base["kl"] == 0.0


def test_each_seed_trains_with_a_seed_of_its_own(
    config: RealConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds are two training runs: other first weights of the LoRA, another order of pairs."""
    seeds = []

    def run_train(train: TrainConfig, **_: Any) -> StageResult:
        seeds.append(train.seed)
        return StageResult(output=tmp_path, num_rows=0, failures=[], counts={"steps": 1})

    monkeypatch.setattr(preference, "run_train", run_train)
    monkeypatch.setattr(run.Stages, "run", lambda self, name, work: name in METHODS and work())
    monkeypatch.setattr(run, "_require_half", lambda *_: None)
    for seed in (0, 7):
        run._run_seed(
            run._make_seed(config, tmp_path, seed, device="cpu", on_stage=str, on_event=print)
        )
    assert seeds == [0] * len(METHODS) + [7] * len(METHODS)


def test_the_interval_over_seeds_is_that_of_a_t_test() -> None:
    from scipy.stats import ttest_1samp

    values = [0.02, 0.05, 0.04]
    found = t_interval(values)
    test = ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(0.95)
    assert (found["low"], found["high"], found["p"]) == pytest.approx((low, high, test.pvalue))
    assert found["mean"] == pytest.approx(0.11 / 3)


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.1]])
def test_no_interval_without_two_different_seeds(values: list[float]) -> None:
    found = t_interval(values)
    assert found["low"] is None
    assert found["p"] is None
    assert found["mean"] == (pytest.approx(0.1) if values else None)


def test_people_of_two_seeds_are_different_people(finished: Path) -> None:
    rows = read_annotations(finished / "seed-0" / "scores" / "base")
    asked = list_questions(rows)
    answers = {"base": rows, "same": rows}
    one = compare(answers, asked, num_responses=4)
    two = pool({0: (answers, asked), 1: (answers, asked)}, num_responses=4)
    assert two["models"]["base"]["score"] == pytest.approx(one["models"]["base"]["score"])
    assert two["models"]["base"]["num_groups"] == 2 * one["models"]["base"]["num_groups"]
    (pair,) = two["pairs"]
    assert (pair["difference"], pair["p"]) == (0.0, 1.0)


def test_answers_without_sentences_give_no_figure(finished: Path) -> None:
    rows = read_annotations(finished / "seed-0" / "scores" / "base")
    silent = [row.model_copy(update={"text": "", "sentences": []}) for row in rows]
    asked = list_questions(rows)
    found = pool({0: ({"base": silent, "dpo": silent}, asked)}, num_responses=4)
    assert found["models"]["base"]["score"] is None
    assert found["pairs"][0]["difference"] is None
    assert math.isclose(share_true({"true": 0, "wrong": 0}), 0.0)
