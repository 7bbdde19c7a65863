"""The interval's contract, case by case; how often it holds the truth: test_interval_coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from annotator.agreement.intervals import (
    BALANCED,
    CHANGE,
    DIFFERENCE,
    SHARE,
    Interval,
    Scale,
    effective_groups,
    find_interval,
    leave_one_out,
    name_group,
)

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=30)


def interval_of(values: list[float], scale: Scale = SHARE) -> Interval:
    """The interval of a mean of one value per group."""
    table = np.column_stack([np.array(values), np.ones(len(values))])
    sums = leave_one_out(table)
    with np.errstate(invalid="ignore"):
        left_out = sums[:, 0] / sums[:, 1]
    return find_interval(
        float(np.mean(values)), left_out, scale, num_groups=effective_groups(table[:, 1])
    )


def test_the_interval_of_a_mean_is_students() -> None:
    """Without bounds and with even groups: the textbook t interval and its p."""
    values = list(np.linspace(-0.4, 0.6, 40))  # even: as many degrees of freedom as there can be
    found = interval_of(values, CHANGE)
    test = stats.ttest_1samp(values, 0.0)
    expected = test.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.p == pytest.approx(test.pvalue)


def test_topics_and_questions_never_share_a_name() -> None:
    assert name_group("q1", "other") != name_group("", "q1")
    assert name_group("t", "q1") == name_group("t", "q2")


def test_an_undefined_value_loses_nothing_but_itself() -> None:
    left_out = np.array([0.4, np.nan, 0.5, 0.6, 0.55])
    found = find_interval(0.5, left_out, SHARE, num_groups=5)
    others = find_interval(0.5, left_out[[0, 2, 3, 4]], SHARE, num_groups=4)
    assert found == others
    assert found.low is not None
    assert find_interval(0.5, np.array([0.4, np.nan]), SHARE, num_groups=2) == Interval()
    assert find_interval(float("nan"), left_out, SHARE, num_groups=5) == Interval()


def test_fewer_than_two_groups_have_no_interval() -> None:
    assert interval_of([0.5]) == Interval()
    assert effective_groups(np.array([3.0, 0.0])) == 0.0
    assert effective_groups(np.ones(10), np.array([1.0, 0.0])) == 0.0
    assert effective_groups(np.ones(10), np.ones(4)) == 4.0
    assert effective_groups(np.array([9.0, 1.0])) == pytest.approx(100 / 82)


@pytest.mark.parametrize("count", [2, 5, 30])
def test_a_share_of_one_in_every_group_is_not_certain(count: int) -> None:
    """A group as one trial: the two-sided Clopper-Pearson bound of `count` out of `count`."""
    exact = stats.binomtest(count, count).proportion_ci(0.95, method="exact")
    found = interval_of([1.0] * count)
    assert (found.low, found.high) == pytest.approx((exact.low, 1.0))
    none = interval_of([0.0] * count)
    assert (none.low, none.high) == pytest.approx((0.0, 1 - exact.low))
    middle = interval_of([0.4] * count)
    assert middle.low is not None and middle.high is not None
    assert middle.low < 0.4 < middle.high


def test_no_difference_anywhere_is_exact_and_the_same_difference_everywhere_is_not() -> None:
    assert interval_of([0.0] * 5, DIFFERENCE) == Interval(low=0.0, high=0.0, p=1.0)
    found = interval_of([1.0] * 10, DIFFERENCE)
    assert found.low is not None and 0 < found.low < 1.0 == found.high
    assert found.p == pytest.approx(2 * 0.5**10)
    assert interval_of([1.0] * 3, DIFFERENCE).p == pytest.approx(0.25)


@given(VALUES)
def test_the_interval_holds_the_figure_within_its_range(values: list[float]) -> None:
    found = interval_of(values, DIFFERENCE)
    assert found.low is not None and found.high is not None and found.p is not None
    value = float(np.mean(values))
    assert -1 <= found.low <= value + 1e-9 and value - 1e-9 <= found.high <= 1
    assert 0 <= found.p <= 1


@given(VALUES)
def test_p_is_below_5_percent_exactly_where_the_interval_leaves_zero_out(
    values: list[float],
) -> None:
    found = interval_of(values, DIFFERENCE)
    assert found.low is not None and found.high is not None and found.p is not None
    if min(abs(found.low), abs(found.high), abs(found.p - 0.05)) > 1e-6:
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@given(VALUES)
def test_swapping_the_sides_mirrors_a_difference(values: list[float]) -> None:
    one, other = interval_of(values, DIFFERENCE), interval_of([-v for v in values], DIFFERENCE)
    assert one.low is not None and one.high is not None
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.p == pytest.approx(one.p)


def test_a_mean_that_one_large_group_decides_is_uncertain() -> None:
    """Twenty groups of one question, and one of forty: sizes count, not the number of groups."""

    def width(sizes: list[float]) -> float:
        shares = np.array([0.3, 0.7] * (len(sizes) // 2) + [0.7] * (len(sizes) % 2))
        table = np.column_stack([shares * sizes, sizes])
        sums = leave_one_out(table)
        total = table.sum(axis=0)
        found = find_interval(
            total[0] / total[1],
            sums[:, 0] / sums[:, 1],
            SHARE,
            num_groups=effective_groups(table[:, 1]),
        )
        assert found.low is not None and found.high is not None
        return found.high - found.low

    assert width([1.0] * 20 + [40.0]) > 2 * width([1.0] * 21)


def test_degrees_of_freedom_follow_what_decides_the_figure() -> None:
    """Student's quantile at G - 1 is too small where one group of thirty holds the variance."""

    def quantile(values: list[float], num_groups: float) -> float:
        table = np.column_stack([np.array(values), np.ones(len(values))])
        left_out = leave_one_out(table)[:, 0] / (len(values) - 1)
        found = find_interval(float(np.mean(values)), left_out, CHANGE, num_groups=num_groups)
        assert found.low is not None and found.high is not None
        return (found.high - found.low) / 2 / float(stats.sem(values))

    spread = list(np.linspace(0, 1, 30))
    assert quantile(spread, 30) == pytest.approx(stats.t.ppf(0.975, 29))
    assert quantile(spread, 3) == pytest.approx(stats.t.ppf(0.975, 2))  # three of them decide
    one = [0.0] * 29 + [1.0]
    freedom = 2 * 30 / (stats.kurtosis(one, fisher=False) - 1)
    assert freedom < 3
    assert quantile(one, 30) == pytest.approx(stats.t.ppf(0.975, freedom))
    assert quantile(spread, 1.01) == pytest.approx(stats.t.ppf(0.975, 1))  # never below 1


def test_p_is_that_of_the_value_that_means_chance() -> None:
    """Balanced accuracies are compared with 0.5: as differences from it, stretched to [-1, 1]."""
    values = [0.5, 0.6, 0.75, 0.45, 0.7]
    found = interval_of(values, BALANCED)
    stretched = interval_of([2 * value - 1 for value in values], DIFFERENCE)
    assert found.p is not None and found.p == pytest.approx(stretched.p)
    assert interval_of([0.4, 0.5, 0.6], BALANCED).p == pytest.approx(1.0)
    same = interval_of([0.75] * 6, BALANCED)
    assert same.p == pytest.approx(2 * 1.5**-6)
    assert interval_of([0.5] * 4, BALANCED) == Interval(low=0.5, high=0.5, p=1.0)
