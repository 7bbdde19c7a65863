"""The study with a real model, on a tiny one: resume, figures, refusals."""

from __future__ import annotations

import hashlib
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
from maskdpo.study.real import convert, preference, run
from maskdpo.study.real.belief import share_true
from maskdpo.study.real.config import RealConfig, SupervisedConfig, quick_config
from maskdpo.study.real.convert import convert_gguf, find_gguf, read_source
from maskdpo.study.real.preference import METHODS, read_annotations
from maskdpo.study.real.results import compare, pool, t_interval
from maskdpo.study.real.run import MODELS, run_real_study
from maskdpo.study.real.stages import Stages
from maskdpo.study.real.table import render_table
from maskdpo.study.world.base import train_base
from maskdpo.study.world.config import BaseConfig
from maskdpo.study.world.people import make_world
from schemas.errors import ConfigError, InputError, MaskDpoError
from schemas.events import Event, Noted
from schemas.records import Annotation, Question
from schemas.stage import StageResult
from trainer.config import TrainConfig

STAGES = [
    *("base", "samples", "score-base", "belief", "dataset"),
    *("dpo", "score-dpo", "mask_dpo", "score-mask_dpo", "span", "score-span"),
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


def test_fewer_seeds_keep_the_results_of_more(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(finished, tmp_path / "run")
    for name in ("seed-1", "seed-2", "seed-x"):
        shutil.copytree(copied / "seed-0", copied / name)
    (copied / "seed-2" / "stages" / "score-span.json").unlink()
    run_real_study(config, copied)
    results = read_results(copied)
    assert [seed["seed"] for seed in results["seeds"]] == [0, 1]
    assert results["over_seeds"]["models"]["base"]["num_seeds"] == 2
    assert (copied / "table.md").read_text(encoding="utf-8") == render_table(results)


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

    stages = Stages(folder=tmp_path, device="cpu")
    with pytest.raises(InputError):
        stages.run("one", fail)
    assert stages.usages() == []
    assert stages.run("one", lambda: {"n": 1, "earlier": {"cpu_s": 100.0}}) == {"n": 1}
    (row,) = stages.usages()
    assert row["cpu_s"] >= 100.0
    assert row["wall_s"] < 100.0
    assert row["peak_mb"] > 0


def test_the_results_list_the_device_of_each_stage(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(finished, tmp_path / "run")
    changed = {"score-dpo": "cuda", "dpo": None}  # None: a record from before devices were kept
    for name, device in changed.items():
        path = copied / "seed-0" / "stages" / f"{name}.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record.pop("device") == "cpu"
        path.write_text(json.dumps(record | ({"device": device} if device else {})))
    run_real_study(config, copied, device="cuda")  # nothing is left to run on it
    results = read_results(copied)
    found = {row["stage"]: row["device"] for row in results["seeds"][0]["usage"]}
    assert found == dict.fromkeys(STAGES, "cpu") | changed
    assert results["devices"] == ["cpu", "cuda", None]
    assert read_results(finished)["devices"] == ["cpu"]


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


def test_a_smoke_run_has_a_folder_of_its_own(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its settings are others, and a folder is for one study."""
    folders: list[Path] = []

    def start(config: RealConfig, folder: Path, **_: Any) -> Path:
        folders.append(folder)
        return shutil.copytree(finished, folder) / "results.json"

    monkeypatch.setattr(study_real, "run_real_study", start)
    for more in (["--quick"], []):
        given = ["study_real.py", "--model", "m", "--output", str(tmp_path), *more]
        monkeypatch.setattr(sys, "argv", given)
        study_real.main()
    assert folders == [tmp_path / "study-quick", tmp_path / "study"]


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "three"])
def test_a_number_of_seeds_is_positive(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["study_real.py", "--model", "m", "--output", "runs", "--seeds", value]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as stop:
        study_real.main()
    assert stop.value.code == 2
    expected = f"argument --seeds: must be a whole number of 1 or more, not {value}"
    assert capsys.readouterr().err.endswith(f"error: {expected}\n")


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


def test_stages_of_an_earlier_version_are_not_continued(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(finished, tmp_path / "run")
    study = json.loads((copied / "study.json").read_text(encoding="utf-8"))
    del study["procedure"]
    (copied / "study.json").write_text(json.dumps(study), encoding="utf-8")
    with pytest.raises(ConfigError, match="another model or of an earlier version"):
        run_real_study(config, copied)


def test_without_a_base_that_half_believes_the_study_ends(
    config: RealConfig, tmp_path: Path
) -> None:
    limits = config.supervised.model_copy(update={"low": 0.99, "max_steps": 1})
    strict = config.model_copy(update={"supervised": limits})
    for expected in (4, 0):  # the second run reads the records
        begun: list[str] = []
        with pytest.raises(MaskDpoError, match="no seed is left") as stop:
            run_real_study(strict, tmp_path / "run", on_stage=begun.append)
        assert "true, and 99 to 100% counts as half" in str(stop.value)
        assert len(begun) == expected
        assert not (tmp_path / "run" / "results.json").exists()


def test_a_seed_that_does_not_half_believe_is_left_out_and_the_others_continue(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(finished, tmp_path / "run")
    shutil.copytree(copied / "seed-0", copied / "seed-1")
    stages = copied / "seed-0" / "stages"
    for name in STAGES[4:]:
        (stages / f"{name}.json").unlink()
    record = json.loads((stages / "belief.json").read_text())
    record["values"] |= {"share_true": 0.72, "passed": False}
    (stages / "belief.json").write_text(json.dumps(record))
    (copied / "seed-1" / "stages" / "score-span.json").unlink()
    begun: list[str] = []
    events: list[Event] = []
    run_real_study(
        config.model_copy(update={"num_seeds": 2}),
        copied,
        on_stage=begun.append,
        on_event=events.append,
    )
    assert begun == ["seed 1: score-span"]
    results = read_results(copied)
    assert [seed["seed"] for seed in results["seeds"]] == [1]
    assert results["left_out"] == [{"seed": 0, "share_true": 0.72, "low": 0.0, "high": 1.0}]
    text = (
        "Seed 0 is left out: 72.0% of its base model's sentences are true, and 0 to 100% counts "
        "as half."
    )
    assert Noted(text=text) in events
    assert text in (copied / "table.md").read_text(encoding="utf-8").splitlines()
    assert study_real.summarise(results)["left_out"] == results["left_out"]


def test_a_folder_without_weights_starts_from_random_ones(
    config: RealConfig, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(config.model, bare, ignore=shutil.ignore_patterns("*.safetensors"))
    short = config.supervised.model_copy(update={"max_steps": 1, "low": 0.99})
    other = config.model_copy(update={"model": str(bare), "supervised": short})
    with pytest.raises(MaskDpoError, match=r"left out: 0\.0% of its base model's sentences"):
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


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that was made from `a.gguf`; a conversion copies the bytes of the file."""

    def copy(source: Path, output: Path) -> None:
        output.mkdir()
        (output / "model.safetensors").write_bytes(source.read_bytes())

    monkeypatch.setattr(convert, "_convert", copy)
    for name in ("a", "b"):
        (tmp_path / f"{name}.gguf").write_text(f"weights {name}")
    convert_gguf(tmp_path / "a.gguf", tmp_path / "model")
    return tmp_path / "model"


def test_a_converted_model_is_used_for_its_own_file_only(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(b"weights a").hexdigest()
    assert read_source(converted) == {"name": "a.gguf", "bytes": 9, "sha256": digest}
    monkeypatch.delattr(convert, "_convert")  # it is not converted again
    with pytest.raises(ConfigError, match=r"is a model from a\.gguf, with other weights than .*b"):
        convert_gguf(tmp_path / "b.gguf", converted)
    shutil.copy(tmp_path / "a.gguf", tmp_path / "renamed.gguf")
    convert_gguf(tmp_path / "renamed.gguf", converted)


def test_a_model_from_before_the_record_gets_it_from_the_same_file_only(
    converted: Path, tmp_path: Path
) -> None:
    before = read_source(converted)
    (converted / "gguf.json").unlink()
    with pytest.raises(ConfigError, match="from a file that is not recorded"):
        convert_gguf(tmp_path / "b.gguf", converted)
    assert read_source(converted) is None
    convert_gguf(tmp_path / "a.gguf", converted)
    assert read_source(converted) == before
    assert not converted.with_name("model.unfinished").exists()


def test_the_results_name_the_file_of_the_model(
    config: RealConfig, finished: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(config.model, tmp_path / "model")
    (model / "gguf.json").write_text('{"name": "small.gguf"}')
    copied = shutil.copytree(finished, tmp_path / "run")
    run_real_study(config.model_copy(update={"model": str(model)}), copied)
    assert read_results(copied)["source"] == {"name": "small.gguf"}
    assert read_results(finished)["source"] is None


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
    monkeypatch.setattr(run, "_describe_left_out", lambda *_: None)
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
