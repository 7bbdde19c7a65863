"""The expected best of n, against every way to choose n; and the curve of a model."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from evaluation_support import BAD, EMPTY, GOOD, annotation, compare, example_answers

import maskdpo
from maskdpo.evaluation.best_of import best_of_curve, best_of_n, curve_steps


def by_brute_force(scores: list[float], n: int) -> float:
    """The mean of the best over all choices."""
    return float(np.mean([max(chosen) for chosen in combinations(scores, n)]))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_n_is_the_mean_over_every_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, 9) / 4 if seed % 2 else rng.random(9)  # with ties, and without
    for n in range(1, 10):
        assert best_of_n(scores, n) == pytest.approx(by_brute_force(list(scores), n), abs=1e-12)


def test_one_response_equal_scores_and_refusals() -> None:
    assert best_of_n([0.3], 1) == 0.3
    assert best_of_n([0.25] * 64, 17) == pytest.approx(0.25, abs=1e-15)
    assert best_of_n([None, None], 2) == 0.0
    # A refusal is never better than a wrong response.
    assert best_of_n([None, 1.0], 1) == best_of_n([0.0, 1.0], 1) == 0.5
    assert best_of_n([0.2, 0.9, 0.4], 1) == pytest.approx(0.5)
    assert best_of_n([0.2, 0.9, 0.4], 3) == 0.9


@pytest.mark.parametrize(
    ("scores", "n"), [([], 1), ([0.5], 0), ([0.5], 2), ([0.5, float("nan")], 1)]
)
def test_what_cannot_be_estimated_is_refused(scores: list[float], n: int) -> None:
    with pytest.raises(ValueError, match=r"must be 1 to|finite"):
        best_of_n(scores, n)


def test_many_responses_lose_no_digit() -> None:
    scores = [place / 1000 for place in range(1001)]
    # The best of n of the numbers 1 to K is n (K + 1) / (n + 1) on average.
    assert best_of_n(scores, 500) * 1000 + 1 == pytest.approx(500 * 1002 / 501, rel=1e-12)


def test_the_curve_doubles_and_ends_at_all() -> None:
    assert curve_steps(1) == [1]
    assert curve_steps(4) == [1, 2, 4]
    assert curve_steps(6) == [1, 2, 4, 6]


def test_the_curve_is_over_all_questions_and_counts_what_is_missing_as_0() -> None:
    answers = [
        annotation("q1", 0, [GOOD, BAD]),
        annotation("q1", 1, [GOOD]),
        annotation("q2", 0, [EMPTY]),  # abstains; and its second response failed
    ]
    groups = {name: ("topic", name) for name in ("q1", "q2", "q3")}
    curve = best_of_curve(answers, ["q1", "q2", "q3"], groups, 2)
    assert curve["num_without_fact"] == 4
    one, two = curve["points"]
    assert (one["n"], two["n"]) == (1, 2)
    assert one["score"] == pytest.approx((0.75 + 0 + 0) / 3)
    assert two["score"] == pytest.approx((1.0 + 0 + 0) / 3)
    assert one["low"] < one["score"] < one["high"]


def test_scores_have_a_curve_only_where_a_question_has_several_responses() -> None:
    models = compare(example_answers(), sorted({a.question_id for a in example_answers()["base"]}))
    curve = models["models"]["base"]["best_of"]
    assert [point["n"] for point in curve["points"]] == [1, 2, 3]
    scores = [point["score"] for point in curve["points"]]
    assert scores == sorted(scores)
    single = compare({"one": [annotation("q1", 0, [GOOD])]}, ["q1"])
    assert single["models"]["one"]["best_of"] is None


def test_no_question_and_one_topic_give_none_not_nan() -> None:
    empty = best_of_curve([], [], {}, 2)
    assert [point["score"] for point in empty["points"]] == [None, None]
    one = best_of_curve([annotation("q", 0, [GOOD])], ["q"], {"q": ("topic", "t")}, 2)
    assert [(point["score"], point["low"]) for point in one["points"]] == [(0.5, None), (1.0, None)]


def test_it_is_part_of_the_python_api() -> None:
    assert maskdpo.best_of_n([0.2, None, 0.8], 2) == pytest.approx((0.2 + 0.8 + 0.8) / 3)
