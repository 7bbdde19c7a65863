"""The committed results of the study: tables are those of the JSON, and the page quotes them."""

import json
from pathlib import Path

import pytest

from maskdpo.evaluation.words import points
from maskdpo.study.experiments.plan import EXPERIMENTS
from maskdpo.study.outputs import sealed
from maskdpo.study.real.table import render_table
from maskdpo.study.setups import QUICK_RATES
from maskdpo.study.tables import make_rate_table, make_tables

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "study"
PAGE = (FOLDER.parent / "study.md").read_text(encoding="utf-8")
NAMES = [name for name in EXPERIMENTS if (FOLDER / f"{name}.json").exists()]


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_and_the_picture_are_made_from_the_json(name: str) -> None:
    assert (FOLDER / f"{name}.md").read_text(encoding="utf-8") == sealed(make_tables(read(name)))
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
    assert f"study/{name}.md" in PAGE


def test_the_rates_are_those_of_the_committed_grid() -> None:
    tuning = read("tuning")
    assert (FOLDER / "tuning.md").read_text(encoding="utf-8") == sealed(make_rate_table(tuning))
    assert tuning["rates"] == QUICK_RATES


def test_the_page_quotes_the_two_comparisons_that_decide() -> None:
    for row in read("methods")["comparisons"]:
        if (row["ours"], row["theirs"]) in {("mask_dpo", "dpo"), ("span_masks", "mask_dpo")}:
            found = row["difference"]
            assert points(found["value"]) in PAGE
            assert f"{points(found['low'])} to {points(found['high'])}" in PAGE


@pytest.mark.parametrize("name", NAMES)
def test_each_mean_follows_from_its_worlds(name: str) -> None:
    for row in read(name)["comparisons"]:
        worlds = row["difference"]["worlds"]
        assert len(worlds) == len(read(name)["worlds"])
        assert row["difference"]["value"] == pytest.approx(sum(worlds.values()) / len(worlds))


def test_the_page_quotes_the_real_model_s_differences_over_three_seeds() -> None:
    results = read("real")
    assert (FOLDER / "real.md").read_text(encoding="utf-8") == render_table(results)
    assert len(results["seeds"]) == 3
    for found in results["over_seeds"]["pairs"]:
        if (found["model"], found["compared_with"]) != ("span", "base"):
            shown = f"{points(found['low'])} to {points(found['high'])}"
            assert f"| {points(found['mean'])} ({shown}) |" in PAGE
