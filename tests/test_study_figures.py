"""The study's figures: worlds are the unit, degenerate cases have a clear value and no nan."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from maskdpo.study.figures import (
    difference_over_worlds,
    mean_over_worlds,
    score_at_kl,
    shared_kl,
)


def test_a_difference_is_the_paired_t_test_over_worlds():
    ours = {0: 0.61, 1: 0.58, 2: 0.66, 3: 0.60, 4: 0.63}
    theirs = {0: 0.55, 1: 0.57, 2: 0.58, 3: 0.55, 4: 0.60}
    found = difference_over_worlds(ours, theirs)
    values = [ours[world] - theirs[world] for world in ours]
    mean = sum(values) / 5
    error = math.sqrt(sum((value - mean) ** 2 for value in values) / 4 / 5)
    assert found.value == pytest.approx(mean)
    assert found.p == pytest.approx(stats.ttest_rel(list(ours.values()), list(theirs.values()))[1])
    assert found.high == pytest.approx(mean + stats.t.ppf(0.975, 4) * error)


def test_equal_models_differ_by_exactly_zero():
    scores = {0: 0.4, 1: 0.7}
    found = difference_over_worlds(scores, scores)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_world_without_an_answer_is_left_out_and_shows():
    found = difference_over_worlds({0: 0.5, 1: None, 2: 0.6}, {0: 0.4, 1: 0.5, 2: 0.4})
    assert set(found.worlds) == {"0", "2"}
    nothing = mean_over_worlds({0: None})
    assert nothing.as_json() == {"value": None, "low": None, "high": None, "p": None, "worlds": {}}
    one = mean_over_worlds({3: 0.5})
    assert (one.value, one.low, one.p) == (0.5, None, None)


def test_scores_between_points_are_on_straight_lines_over_the_root():
    points = [(16.0, 0.6), (0.0, 0.4), (4.0, 0.7)]
    assert score_at_kl(points, 1.0) == pytest.approx(0.55)
    assert score_at_kl(points, 9.0) == pytest.approx(0.65)
    assert score_at_kl(points, 16.0) == pytest.approx(0.6)
    assert score_at_kl(points, 16.1) is None
    assert score_at_kl([], 0.0) is None
    assert score_at_kl([(0.0, 0.4)], 0.0) == 0.4
    assert score_at_kl([(0.0, 0.4), (-0.01, 0.6)], 0.0) == pytest.approx(0.5)  # noise around 0


@given(st.lists(st.floats(0.01, 9.0), min_size=2, max_size=6, unique=True), st.floats(0.0, 1.0))
def test_two_points_of_one_curve_have_the_same_score_wherever_they_are(places, at):
    """A method that moved further on the same curve, proportional to the root, is not ahead."""
    kl = at * max(places)
    points = [(0.0, 0.4), *((place, 0.4 + 0.1 * math.sqrt(place)) for place in places)]
    assert score_at_kl(points, kl) == pytest.approx(0.4 + 0.1 * math.sqrt(kl))


def test_neighbouring_floats_are_two_points():
    after = math.nextafter(1.0, 2.0)
    assert score_at_kl([(0.0, 0.4), (1.0, 0.5), (after, 0.7)], after) == pytest.approx(0.7)


def test_the_shared_kl_is_what_every_method_reached():
    assert shared_kl({"a": [(0.0, 0.4), (5.0, 0.6)], "b": [(0.0, 0.4), (3.0, 0.5)]}) == 3.0
    assert shared_kl({"a": [(0.0, 0.4)], "b": []}) == 0.0
    assert shared_kl({}) is None


@given(
    st.dictionaries(st.integers(0, 5), st.none() | st.floats(0, 1), max_size=6),
    st.dictionaries(st.integers(0, 5), st.none() | st.floats(0, 1), max_size=6),
)
def test_no_figure_is_ever_nan(ours, theirs):
    found = difference_over_worlds(ours, theirs)
    json.dumps(found.as_json(), allow_nan=False)
    if found.low is not None:
        assert found.low <= found.value <= found.high
