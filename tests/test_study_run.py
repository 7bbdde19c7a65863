"""`maskdpo study` with made-up results of its tasks: files, words, rates, estimates."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

from maskdpo.cli.main import cli
from maskdpo.study import run as module
from maskdpo.study.lab.score import ROWS, ResponseRow
from maskdpo.study.lab.task import Result, Task
from maskdpo.study.outputs import sealed
from maskdpo.study.run import estimate_study, run_study
from maskdpo.study.tables import make_tables
from schemas.errors import ConfigError
from schemas.files.jsonl import write_records

GAIN = {"sentence": 0.1, "random": 0.02}


def steps_of(task: Task) -> int:
    model = task.inputs["model"]
    return model.settings["steps"] if model.kind == "model" else 0


class FakeLab:
    """Gives each score task a value by its settings, and writes its rows; keeps what was asked."""

    asked: ClassVar[list[Task]] = []

    def __init__(self, *, folder: Path, workers: int, on_event) -> None:
        self.folder = folder

    def run(self, tasks):
        FakeLab.asked += tasks
        return {task: self._score(task) for task in tasks}

    def _score(self, task: Task) -> Result:
        folder = self.folder / task.name
        folder.mkdir(parents=True, exist_ok=True)
        model = task.inputs["model"]
        gain = rate = 0.0
        if model.kind == "model":
            gain = GAIN.get(model.inputs["dataset"].settings["masks"], 0.05)
            rate = model.settings["learning_rate"]
        score = 0.4 + gain - abs(rate - 2e-4)
        count = task.settings["num_responses"]
        write_records(folder / ROWS, [row(number, score) for number in range(count)])
        values = {
            "sentence_score": score if count else None,
            "kl": steps_of(task) / 10,
            "true_share": score,
            "respond_ratio": 1.0,
            "mean_facts": 4.0,
            "mean_tokens": 25.0,
        }
        return Result(folder=folder, values=values)


def row(number: int, score: float) -> ResponseRow:
    correct = 10 if number % 10 < 10 * score else 0
    return ResponseRow(
        id=f"r{number}",
        question_id="q",
        topic="t",
        correct=correct,
        hallucinated=10 - correct,
        no_fact=0,
        true_facts=correct,
        false_facts=10 - correct,
        abstained=0,
        num_tokens=20,
        log_ratio=0.1,
        kl=0.1,
    )


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(module, "Lab", FakeLab)
    monkeypatch.setattr(FakeLab, "asked", [])
    return FakeLab


def test_an_experiment_uses_the_tuned_rates_and_writes_json_table_and_picture(fake, tmp_path):
    result = run_study("samples", tmp_path, num_worlds=2)
    found = json.loads(result.json.read_text())
    assert set(found["rates"].values()) == {2e-4}
    assert {row["rate"] for row in found["arms"]} == {None, 2e-4}
    tuning = json.loads((tmp_path / "tuning.json").read_text())
    assert len(tuning["grid"]) == 4
    assert {len(row) for row in tuning["grid"].values()} == {4}
    assert result.tables == make_tables(found)
    assert result.json.with_suffix(".md").read_text() == sealed(result.tables)
    assert "<svg" in result.picture.read_text()
    worlds = {task.inputs["base"].settings["seed"] for task in fake.asked}
    assert worlds == {0, 1, 1_000, 1_001, 1_002}  # tuning worlds are not those of results


def test_quick_has_fewer_worlds_and_no_tuning(fake, tmp_path):
    result = run_study("methods", tmp_path, quick=True)
    found = json.loads(result.json.read_text())
    assert found["worlds"] == [0, 1, 2]
    assert not (tmp_path / "tuning.json").exists()


def test_a_quick_run_leaves_the_full_result(fake, tmp_path):
    full = run_study("samples", tmp_path, num_worlds=2).json
    before = full.read_bytes()
    quick = run_study("samples", tmp_path, quick=True).json
    assert quick.name == "samples-quick.json"
    assert full.read_bytes() == before


@pytest.mark.parametrize("name", ["samples.json", "samples.md", "samples.svg", "tuning.json"])
def test_files_of_a_person_are_refused_before_anything_is_done(fake, tmp_path, name):
    (tmp_path / name).write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"{name}: is not a file that maskdpo study wrote"):
        run_study("samples", tmp_path, num_worlds=1)
    assert (tmp_path / name).read_text(encoding="utf-8") == '{"mine": 1}'
    assert fake.asked == []


def test_an_edited_table_is_refused_and_an_own_one_is_replaced(fake, tmp_path):
    first = run_study("samples", tmp_path, num_worlds=1)
    run_study("samples", tmp_path, num_worlds=2)
    table = first.json.with_suffix(".md")
    table.write_text(table.read_text(encoding="utf-8") + "\nmy note\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"samples\.md: is not a file"):
        run_study("samples", tmp_path, num_worlds=2)
    assert table.read_text(encoding="utf-8").endswith("my note\n")


def test_a_run_that_ended_between_json_and_table_is_continued(fake, tmp_path):
    table = run_study("samples", tmp_path, num_worlds=1).json.with_suffix(".md")
    old = table.read_bytes()
    run_study("samples", tmp_path, num_worlds=2)
    table.write_bytes(old)
    run_study("samples", tmp_path, num_worlds=2)
    assert table.read_bytes() != old


def test_all_checks_the_files_of_every_experiment_first(fake, tmp_path):
    (tmp_path / "samples.md").write_text("mine", encoding="utf-8")
    shown = CliRunner().invoke(cli, ["study", "all", "--output", str(tmp_path)])
    assert isinstance(shown.exception, (ConfigError, SystemExit)) and shown.exit_code
    assert fake.asked == []


def test_the_estimate_of_the_tuning_counts_its_tasks(tmp_path):
    assert not estimate_study(["tuning"], tmp_path).startswith("tuning: 0 tasks to do")
    for words in (["--quick"], ["--worlds", "2"], ["--estimate", "--worlds", "2"]):
        shown = CliRunner().invoke(cli, ["study", "tuning", *words, "--output", str(tmp_path)])
        assert shown.exit_code
        assert "grid of its own" in f"{shown.output}{shown.exception}"


def test_best_of_n_has_a_curve_of_each_model(fake, tmp_path):
    found = json.loads(run_study("best-of-n", tmp_path, num_worlds=2).json.read_text())
    curves = found["best_of"]
    assert list(curves) == ["base", "dpo", "mask_dpo"]
    values = [figure["value"] for figure in curves["base"].values()]
    assert values == sorted(values)
    assert values[-1] == 1.0
    assert curves["mask_dpo"]["1"]["value"] > curves["base"]["1"]["value"]
    assert {task.settings["num_responses"] for task in fake.asked[-6:]} == {16}
    assert "n = 16" in make_tables(found)


def test_no_response_at_all_has_clear_words(fake, tmp_path, monkeypatch):
    setup = module.make_setup(quick=True)
    monkeypatch.setattr(
        module, "make_setup", lambda quick: type(setup)(num_scored=0, num_best_of=0, steps=(8,))
    )
    for name in ("methods", "best-of-n"):
        text = run_study(name, tmp_path, num_worlds=1, quick=True).tables
        assert "no world has a score of both" in text
        assert "nan" not in text.lower().split()


def test_an_estimate_counts_what_is_missing_and_does_nothing(tmp_path):
    text = estimate_study(["topics"], tmp_path, num_worlds=1)
    assert "0 tasks are done" in text
    assert "core-hours" in text
    assert not list(tmp_path.iterdir())
    shown = CliRunner().invoke(cli, ["study", "all", "--estimate", "--output", str(tmp_path)])
    assert shown.exit_code == 0
    assert shown.output.startswith("methods, topics, noise, best-of-n, samples: ")


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    shown = CliRunner().invoke(cli, ["study", "method"])
    assert shown.exit_code == 2
    assert "'methods'" in shown.output
