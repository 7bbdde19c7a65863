"""The demo's world is sound, and its chain of real stages runs, resumes and adds up."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.text.sentences import split_sentences
from maskdpo.demo.base_model import BaseModelConfig, train_base_model
from maskdpo.demo.config import DemoConfig
from maskdpo.demo.run import run_demo
from maskdpo.demo.run_values import METHODS
from maskdpo.demo.truth import true_sentences
from maskdpo.demo.world import make_world, write_biography, write_document
from maskdpo.evaluation.words import describe_pair
from schemas.errors import ConfigError
from schemas.events import Advanced, Ended, Event, Started

WORLD = make_world(num_people=30, seed=3)


def test_a_world_follows_from_its_seed_in_every_process() -> None:
    script = (
        "from maskdpo.demo.world import *; w = make_world(num_people=30, seed=3); "
        "print(write_document(w, w.people[7]).text)"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "11"},
    )
    assert other.stdout.strip() == write_document(WORLD, WORLD.people[7]).text
    assert make_world(num_people=30, seed=4) != WORLD


def test_names_and_values_are_told_apart() -> None:
    names = [word for person in WORLD.people for word in person.name.split()]
    values = [value for attribute in WORLD.attributes for value in attribute.values]
    assert len(set(names)) == len(names)
    assert len(set(values)) == len(values)  # no value could be true of two attributes
    assert not set(names) & set(values)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_biographies_are_corrupted_as_asked(share: float) -> None:
    rng = random.Random(0)
    num_true = num_all = 0
    for person in WORLD.people:
        text = write_biography(WORLD, person, corrupted_share=share, rng=rng)
        spans = split_sentences(text, language="en")
        assert len(spans) == len(WORLD.attributes)
        truth = true_sentences(WORLD, person)
        num_true += sum(text[start:end] in truth for start, end in spans)
        num_all += len(spans)
    assert num_true / num_all == pytest.approx(1 - share, abs=0.08 if share == 0.5 else 0)


TINY = DemoConfig(
    num_people=9,
    num_unseen=3,
    num_responses=4,
    epochs=3.0,
    batch_size=2,
    max_tokens=80,
    base_model=BaseModelConfig(hidden_size=32, num_layers=2, num_steps=220, batch_size=16),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "run"
    run_demo(TINY, folder)
    return folder


def test_the_base_model_reports_its_steps_and_draws_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events: list[Event] = []
    config = BaseModelConfig(hidden_size=32, num_layers=1, num_steps=3, batch_size=2)
    train_base_model(WORLD, tmp_path / "base", config, on_event=events.append)
    assert events == [
        Started(stage="base model", total=3, unit="step"),
        *[Advanced(stage="base model", count=1)] * 3,
        Ended(stage="base model"),
    ]
    assert "base model" not in capsys.readouterr().err


def test_the_whole_way(demo: Path) -> None:
    scores = json.loads((demo / "evaluation" / "scores.json").read_text())
    assert list(scores["models"]) == ["base", *METHODS]
    for row in scores["models"].values():
        assert row["num_responses"] == TINY.num_unseen * TINY.num_responses
        assert row["num_sentences"] == sum(
            row[f"num_{kind}"] for kind in ("correct", "hallucinated", "no_fact", "undetermined")
        )
        assert 0 <= row["low"] <= row["score"] <= row["high"] <= 1
    page = (demo / "evaluation" / "report.html").read_text()
    assert page.count("<svg") >= 4  # scores, sentences, topics, and curves of the training runs
    assert "Who is " in page
    for name in METHODS:
        assert scores["models"][name]["description"] == METHODS[name].description
        assert METHODS[name].description in page
        assert "<svg" in (demo / name / "curves.html").read_text()


def test_it_ends_with_what_it_shows(demo: Path) -> None:
    scores = json.loads((demo / "evaluation" / "scores.json").read_text())
    (pair,) = [
        pair
        for pair in scores["pairs"]
        if (pair["model"], pair["compared_with"]) == ("mask_dpo", "dpo")
    ]
    said = run_demo(TINY, demo).conclusion
    assert said.startswith("On 3 people who were not in training: ")
    assert said.endswith(describe_pair(pair))
    assert f"{100 * abs(pair['difference']):.1f} points" in said
    assert "95% interval" in said


def test_unseen_topics_are_not_in_the_preference_data(demo: Path) -> None:
    import pyarrow.parquet as pq

    unseen = {json.loads(line)["topic"] for line in (demo / "unseen.jsonl").open()}
    (path,) = (demo / "dataset" / "pairs").glob("*.parquet")
    trained = set(pq.read_table(path)["topic"].to_pylist())
    assert trained
    assert not trained & unseen


def test_methods_differ_in_their_weights_alone(demo: Path) -> None:
    runs = {name: json.loads((demo / name / "training.json").read_text()) for name in METHODS}
    steps = {row["counts"]["steps"] for row in runs.values()}
    pairs = {row["counts"]["pairs"] for row in runs.values()}
    assert len(steps) == len(pairs) == 1
    active = [runs[name]["counts"]["active_tokens"] for name in METHODS]
    assert active[0] > active[1] > active[2]
    weights = {(demo / name / "model.safetensors").read_bytes() for name in METHODS}
    assert len(weights) == len(METHODS)


def test_a_rerun_does_nothing_again(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {
        name: (demo / name).read_bytes()
        for name in ("responses.jsonl", "annotations.jsonl", "evaluation/scores.json")
    }
    run_demo(TINY, demo)
    said = capsys.readouterr().out
    assert "exists already" in said
    num_sampled = (TINY.num_people - TINY.num_unseen) * TINY.num_responses
    assert f"asked {num_sampled}, from_store {num_sampled}" in said
    for name, content in before.items():
        assert (demo / name).read_bytes() == content


def test_other_settings_are_refused(demo: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="demo with other settings"):
        run_demo(TINY.model_copy(update={"seed": 5}), demo)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="has files but no demo"):
        run_demo(TINY, tmp_path)
