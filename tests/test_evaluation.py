"""Scores of models: what they are over, their intervals, and every pair."""

from __future__ import annotations

import json
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_support import (
    BAD,
    EMPTY,
    GOOD,
    OPEN,
    QUESTIONS,
    annotation,
    compare,
    example_answers,
)

from annotator.agreement.intervals import SHARE, find_interval, name_group
from maskdpo.evaluation.config import EvaluateConfig
from maskdpo.evaluation.means import mean_over_questions
from maskdpo.evaluation.outcomes import Outcome, tally_model
from maskdpo.evaluation.scores import compare_models
from maskdpo.evaluation.show import print_scores
from maskdpo.evaluation.words import conclude, describe_pair, find_pair
from schemas.errors import ConfigError
from schemas.records import Annotation


def show(scores: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the terminal shows of `scores`."""
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(scores, allow_nan=False))
    print_scores(path)
    return capsys.readouterr().out


def test_a_score_is_a_mean_over_questions_pooled_over_their_responses() -> None:
    rows = [
        annotation("a", 0, [GOOD, GOOD, BAD]),
        annotation("a", 1, [GOOD, OPEN]),
        annotation("b", 0, [BAD, EMPTY]),
    ]
    row = compare({"m": rows}, ["a", "b", "c"])["models"]["m"]
    assert row["score"] == row["own_score"] == (3 / 4 + 0) / 2
    assert (row["num_questions"], row["own_num_questions"]) == (2, 2)
    assert row["coverage"] == pytest.approx(6 / 7)
    assert row["anah_score"] == pytest.approx(1 - 2 / 6)
    assert (row["num_responses"], row["num_sentences"]) == (3, 7)
    assert row["correct_per_response"] == 1.0
    assert row["by_topic"]["topic of b"]["score"] == 0.0


def test_every_response_has_an_outcome() -> None:
    rows = [
        annotation("a", 0, [GOOD, OPEN, EMPTY]),
        annotation("a", 1, [OPEN, EMPTY]),
        annotation("b", 0, [EMPTY]),
        annotation("b", 1, []),
    ]
    tally = tally_model(rows, ["a", "b", "c"], 2)
    assert tally.outcomes == {
        Outcome.ANSWERED: 1,
        Outcome.UNDECIDED: 1,
        Outcome.ABSTAINED: 2,
        Outcome.FAILED: 2,
    }
    assert list(tally.answered_questions) == ["a"]
    row = compare({"m": rows}, ["a", "b", "c"], num_responses=2)["models"]["m"]
    assert (row["answered"], row["abstained"], row["num_failed"]) == (1 / 6, 2 / 6, 2)
    assert (row["facts_per_answer"], row["sentences_per_answer"]) == (1.0, 3.0)
    assert row["characters_per_answer"] == len("Aa. Aa. Aa.")
    assert row["no_fact_share"] == pytest.approx(3 / 6)


def test_responses_asked_for_are_known_or_the_most_that_were_given() -> None:
    rows = [annotation("a", index, [GOOD]) for index in range(3)]
    assert compare({"m": rows, "n": []}, ["a", "b"])["models"]["m"]["answered"] == 3 / 6
    known = compare({"m": rows, "n": []}, ["a", "b"], num_responses=4)["models"]
    assert (known["m"]["answered"], known["n"]["answered"], known["n"]["num_failed"]) == (
        3 / 8,
        0,
        8,
    )


def test_the_headline_is_over_the_questions_that_every_model_answered() -> None:
    models = {
        "a": [annotation("x", 0, [GOOD]), annotation("y", 0, [BAD]), annotation("z", 0, [GOOD])],
        "b": [annotation("x", 0, [BAD]), annotation("y", 0, [GOOD])],
        "c": [annotation("y", 0, [GOOD]), annotation("z", 0, [GOOD])],
    }
    scores = compare(models, ["x", "y", "z"])
    assert scores["num_common_questions"] == 1  # y
    assert [row["score"] for row in scores["models"].values()] == [0.0, 1.0, 1.0]
    assert [row["own_score"] for row in scores["models"].values()] == [2 / 3, 0.5, 1.0]
    # A pair is compared on what these two answered, whatever a third one did.
    assert [(p["compared_with"], p["model"], p["num_questions"]) for p in scores["pairs"]] == [
        ("a", "b", 2),
        ("a", "c", 2),
        ("b", "c", 1),
    ]
    assert find_pair(scores, "b", "a")["difference"] == 0.0  # x lost, y won
    assert find_pair(scores, "c", "a")["difference"] == 0.5
    assert find_pair(scores, "a", "c")["difference"] == -0.5


def test_intervals_hold_the_score_and_the_better_model_is_seen_to_be_better() -> None:
    scores = compare(example_answers(), QUESTIONS)
    for row in scores["models"].values():
        assert 0 <= row["low"] < row["score"] < row["high"] <= 1
    gap = scores["differences"]["mask_dpo"]
    assert gap["low"] > 0 and gap["p"] < 0.05
    assert gap["difference"] == pytest.approx(
        scores["models"]["mask_dpo"]["score"] - scores["models"]["base"]["score"]
    )
    assert scores["warnings"] == []
    assert "mask_dpo is best" in conclude(scores)[0]
    (pair,) = scores["pairs"]
    assert {key: pair[key] for key in gap} == gap
    mirrored = find_pair(scores, "base", "mask_dpo")
    assert (mirrored["low"], mirrored["high"]) == (-gap["high"], -gap["low"])
    value = f"{100 * gap['difference']:.1f}"
    assert describe_pair(mirrored).startswith(f"base scores {value} points lower than mask_dpo (")
    assert f"mask_dpo scores {value} points higher than base (95% interval" in conclude(scores)[1]
    assert f"interval {100 * gap['low']:.1f} to {100 * gap['high']:.1f})" in describe_pair(mirrored)


def test_a_model_does_not_differ_from_itself() -> None:
    models = example_answers()
    scores = compare({"a": models["base"], "b": models["base"]}, QUESTIONS)
    gap = scores["differences"]["b"]
    assert gap == {"difference": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "num_questions": 12}
    assert "No model is clearly best" in conclude(scores)[0]
    assert conclude(scores)[1].startswith("There is no clear difference between a and b: +0.0")


def test_copies_of_a_response_say_nothing_new() -> None:
    """Ten copies of each response must not narrow an interval."""
    questions = [f"q{index}" for index in range(8)]
    once = [annotation(q, 0, [GOOD if i % 2 else BAD] * 4) for i, q in enumerate(questions)]
    copies = [a.model_copy(update={"id": f"{a.id}-{k}"}) for a in once for k in range(10)]
    rows = compare({"once": once, "copies": copies}, questions)["models"]
    ends = [(row["low"], row["high"]) for row in rows.values()]
    assert ends[0] == ends[1]


def test_intervals_are_over_topics_not_questions() -> None:
    """Three alike questions per topic count as one: the interval of one question per topic."""
    scores = {f"q{index}": (index % 4) / 3 for index in range(10)}
    apart = mean_over_questions(scores, {name: name_group("", name) for name in scores}, SHARE)
    tripled = {f"{name}{copy}": value for name, value in scores.items() for copy in "abc"}
    together = mean_over_questions(
        tripled, {name: name_group(name[:-1], name) for name in tripled}, SHARE
    )
    assert (together.num_questions, together.num_groups) == (30, 10)
    assert together.interval.low == pytest.approx(apart.interval.low)
    as_questions = mean_over_questions(
        tripled, {name: name_group("", name) for name in tripled}, SHARE
    )
    assert apart.interval.low is not None and as_questions.interval.low is not None
    assert as_questions.interval.low > apart.interval.low + 0.05


def test_a_question_and_a_topic_of_one_name_stay_apart() -> None:
    rows = [annotation("x", 0, [GOOD]), annotation("y", 0, [BAD])]
    scores = compare_models({"m": rows}, ["x", "y"], topics={"x": "", "y": "x"})
    row = scores["models"]["m"]
    assert row["num_groups"] == 2
    assert set(row["by_topic"]) == {"x", "x (no topic)"}


def test_no_common_question_is_a_warning_not_a_crash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {"m": [annotation("a", 0, [GOOD])], "n": [annotation("b", 0, [GOOD])]}
    scores = compare(models, ["a", "b"])
    assert [row["score"] for row in scores["models"].values()] == [None, None]
    assert [row["own_score"] for row in scores["models"].values()] == [1.0, 1.0]
    assert scores["differences"]["n"]["difference"] is None
    assert "No question was answered by every model" in scores["warnings"][0]
    assert "warning: No question" in show(scores, tmp_path, capsys)


def test_degenerate_cases_are_none_not_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = compare({"m": [], "n": []}, ["a", "b"])
    assert nothing["models"]["m"]["score"] is None
    assert nothing["models"]["m"]["low"] is None
    assert nothing["differences"]["n"]["difference"] is None
    assert "There is no score" in show(nothing, tmp_path, capsys)
    single = compare({"m": [annotation("a", 0, [GOOD])]}, ["a"])
    row = single["models"]["m"]
    assert (row["score"], row["low"], row["high"]) == (1.0, None, None)
    assert "m scores 100.0%" in show(single, tmp_path, capsys)


def test_a_perfect_score_of_few_topics_is_not_certain() -> None:
    rows = [annotation(q, 0, [GOOD, GOOD]) for q in ("a", "b", "c")]
    row = compare({"m": rows}, ["a", "b", "c"])["models"]["m"]
    assert (row["score"], row["high"]) == (1.0, 1.0)
    assert row["low"] == pytest.approx(0.025 ** (1 / 3))


def test_the_terminal_shows_every_pair_within_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = example_answers()["mask_dpo"]
    names = [f"a-model-with-quite-a-long-name-{letter}" for letter in "abcd"]
    scores = compare(dict.fromkeys(names, base), QUESTIONS)
    out = show(scores, tmp_path, capsys)
    assert max(len(line) for line in out.splitlines()) <= 80
    pairs = [line for line in out.splitlines() if " - a-model" in line]
    assert len(pairs) == 6
    assert all("+0.0 [+0.0, +0.0]" in line and line.endswith(" 12") for line in pairs)
    short = show(compare(dict.fromkeys(("a", "b", "c"), base), QUESTIONS), tmp_path, capsys)
    for pair in ("b - a", "c - a", "c - b"):
        assert pair in short


def test_resamples_are_no_setting_any_more() -> None:
    with pytest.raises(ConfigError, match="num_resamples"):
        EvaluateConfig.parse({"models": {"m": "x"}, "num_resamples": 500}, where="evaluate")


def test_scores_do_not_depend_on_the_order_of_responses() -> None:
    models = example_answers()
    turned: dict[str, list[Annotation]] = {name: rows[::-1] for name, rows in models.items()}
    assert compare(models, QUESTIONS) == compare(turned, QUESTIONS)


def test_more_responses_than_were_asked_for_are_no_more_than_all() -> None:
    rows = [annotation("a", index, [GOOD]) for index in range(3)]
    row = compare({"m": rows}, ["a"], num_responses=1)["models"]["m"]
    assert (row["num_asked"], row["answered"], row["num_failed"]) == (3, 1.0, 0)


def test_the_most_responses_to_one_question_were_asked_for_of_each() -> None:
    rows = [annotation("a", 0, [GOOD]), annotation("b", 0, [GOOD]), annotation("b", 1, [GOOD])]
    scores = compare({"m": rows, "n": rows[:2]}, ["a", "b"])
    assert scores["num_responses_per_question"] == 2
    assert [row["answered"] for row in scores["models"].values()] == [3 / 4, 2 / 4]


def test_cut_responses_are_counted_and_white_space_around_an_answer_is_no_character() -> None:
    rows = [annotation("a", index, [GOOD]) for index in range(3)]
    cut = rows[1].model_copy(update={"finish_reason": "length", "text": "Aa. \n"})
    row = compare({"m": [rows[0], cut, rows[2]]}, ["a"])["models"]["m"]
    assert row["num_cut"] == 1 and row["characters_per_answer"] == 3.0


def test_a_mean_is_over_questions_and_its_uncertainty_over_groups_of_their_sizes() -> None:
    """Four topics of 1, 1, 2 and 8 questions."""
    sizes = {"a": 1, "b": 1, "c": 2, "d": 8}
    shares = {"a": 0.0, "b": 1.0, "c": 0.5, "d": 0.75}
    values = {f"{t}{index}": shares[t] for t, size in sizes.items() for index in range(size)}
    groups = {name: name_group(name[0], name) for name in values}
    found = mean_over_questions(values, groups, SHARE)
    assert found.value == pytest.approx((0 + 1 + 1 + 6) / 12)
    assert (found.num_questions, found.num_groups) == (12, 4)
    left_out = np.array([8 / 11, 7 / 11, 7 / 10, 2 / 4])
    expected = find_interval(8 / 12, left_out, SHARE, num_groups=12**2 / (1 + 1 + 4 + 64))
    assert found.interval == expected
    assert expected != find_interval(8 / 12, left_out, SHARE, num_groups=4.0)


def test_the_order_of_questions_moves_no_digit() -> None:
    values = {"q1": 0.1, "q2": 0.2, "q3": 0.3}
    groups = {name: name_group("", name) for name in values}
    turned = dict(reversed(values.items()))
    # One by one: `sum` of Python 3.12 and later makes up for the rounding.
    assert reduce(add, values.values()) != reduce(add, turned.values())
    assert mean_over_questions(values, groups, SHARE) == mean_over_questions(turned, groups, SHARE)


def test_the_same_difference_in_every_topic_is_that_of_two_shares() -> None:
    """Not certain, and never past 1, however large."""
    questions = [f"q{index}" for index in range(8)]
    good, bad = ([annotation(q, 0, [label]) for q in questions] for label in (GOOD, BAD))
    (pair,) = compare({"bad": bad, "good": good}, questions)["pairs"]
    assert (pair["difference"], pair["high"]) == (1.0, 1.0)
    assert 0 < pair["low"] < 1 and pair["p"] == pytest.approx(2 * 0.5**8)
