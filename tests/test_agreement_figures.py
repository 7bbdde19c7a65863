"""The arithmetic of agreement: calibration and comparison against scikit-learn and theory."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from annotator.agreement.calibration import measure_calibration
from annotator.agreement.compare import Comparison, compare_judges, exact_mcnemar
from annotator.agreement.figures import (
    compute_figures,
    count_groups,
    estimate_figures,
)
from annotator.agreement.gold_verdicts import JudgedSentence
from schemas.labels import Label
from schemas.records import Annotation, Message, Sentence, Verdict

CONFIDENCES = st.floats(0.0, 1.0).map(lambda value: round(value, 3))
VERDICTS = st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=80)
YES, NO, OPEN = True, False, None


# Counts and intervals


def test_golden_figures() -> None:
    """6 found, 2 missed, 3 false alarms, 9 rightly passed, 5 left open; by hand."""
    values = compute_figures(np.array([6, 2, 3, 9, 5]))
    assert {name: round(float(value), 4) for name, value in values.items()} == {
        "balanced_accuracy": 0.75,
        "precision_hallucinated": 0.6667,
        "recall_hallucinated": 0.75,
        "f1_hallucinated": 0.7059,
        "precision_factual": 0.8182,
        "recall_factual": 0.75,
        "f1_factual": 0.7826,
        "kappa": 0.4898,
        "coverage": 0.8,
    }


def test_figures_of_many_counts_at_once_are_those_of_each() -> None:
    counts = np.random.default_rng(0).integers(0, 4, (50, 5))
    together = compute_figures(counts)
    for index, row in enumerate(counts):
        for name, value in compute_figures(row).items():
            assert np.array_equal(value, together[name][index], equal_nan=True)


def test_groups_are_counted_by_name_whatever_their_order() -> None:
    rows = [("b", YES, YES), ("a", YES, NO), ("b", NO, YES), ("a", NO, NO), ("a", NO, OPEN)]
    np.testing.assert_array_equal(count_groups(rows), [[0, 1, 0, 1, 1], [1, 0, 1, 0, 0]])
    np.testing.assert_array_equal(count_groups(rows[::-1]), count_groups(rows))
    assert count_groups([]).shape == (0, 5)


def test_intervals_agree_with_theory() -> None:
    """Coverage of 400 groups of one sentence is a mean of coin flips: a normal interval."""
    rows = [(f"{i:03}", NO, OPEN if i % 4 == 0 else NO) for i in range(400)]
    found = estimate_figures(count_groups(rows))["coverage"]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - half, abs=0.006)
    assert found.high == pytest.approx(0.75 + half, abs=0.006)


def test_copies_within_a_group_do_not_narrow_an_interval() -> None:
    rows = [(f"g{i}", i % 2 == 0, i % 3 == 0) for i in range(30)]
    once = estimate_figures(count_groups(rows))
    copied = estimate_figures(count_groups(rows * 10))
    assert copied == once


def test_an_interval_needs_two_groups_that_decided_something() -> None:
    rows = [("a", YES, YES), ("a", NO, NO), ("b", YES, OPEN)]
    found = estimate_figures(count_groups(rows))
    assert found["balanced_accuracy"].value == 1.0
    assert found["balanced_accuracy"].low is None
    assert found["coverage"].low is not None


def test_balanced_accuracy_needs_two_groups_of_each_class() -> None:
    """One group of thirty has the only hallucinated sentence: its recall could be anything."""
    rows = [("rare", YES, YES), *((f"g{i}", NO, NO) for i in range(29))]
    found = estimate_figures(count_groups(rows))
    assert (found["balanced_accuracy"].value, found["balanced_accuracy"].low) == (1.0, None)
    assert found["recall_hallucinated"].low is None
    assert found["recall_factual"].low == pytest.approx(0.025 ** (1 / 29))
    two = estimate_figures(count_groups([*rows, ("other", YES, YES)]))
    assert two["balanced_accuracy"].low is not None
    assert two["balanced_accuracy"].low < 0.2  # two groups decide, however many there are


def test_a_figure_of_few_groups_gets_a_wide_interval() -> None:
    """The same recall of two groups or of thirty, among 400 groups in which nothing is wrong."""
    plain = [(f"g{i:03}", NO, NO) for i in range(400)]

    def width(num_groups: int) -> float:
        rare = [(f"h{i}", YES, judged) for i in range(num_groups) for judged in (YES, i % 2 == 0)]
        found = estimate_figures(count_groups([*plain, *rare]))["recall_hallucinated"]
        assert found.value == 0.75 and found.low is not None and found.high is not None
        return found.high - found.low

    assert width(2) > 0.9
    assert width(30) < 0.25


# Calibration


@given(VERDICTS)
def test_calibration_equals_scikit_learn(verdicts: list[tuple[float, bool]]) -> None:
    found = measure_calibration(verdicts)
    assert found is not None
    confidence = np.array([item[0] for item in verdicts])
    right = np.array([item[1] for item in verdicts])
    assert found.brier_score == pytest.approx(
        brier_score_loss(right, confidence, pos_label=True, labels=[False, True])
    )
    if len(set(right)) == 2:
        assert found.auroc == pytest.approx(roc_auc_score(right, confidence))
    else:
        assert found.auroc is None
    # scikit-learn puts an edge into the lower bin; away from edges both are one table.
    if not np.isin(np.round(confidence * 10, 9) % 1, 0).any():
        shares, means = calibration_curve(right, confidence, n_bins=10)
        rows = [row for row in found.bins if row.num_sentences]
        assert [row.share_right for row in rows] == pytest.approx(list(shares))
        assert [row.mean_confidence for row in rows] == pytest.approx(list(means))
    assert sum(row.num_sentences for row in found.bins) == len(verdicts)
    assert 0.0 <= found.expected_calibration_error <= 1.0
    json.dumps(found.to_dict(), allow_nan=False)


@given(VERDICTS, st.randoms(use_true_random=False))
def test_the_order_of_verdicts_moves_no_figure(
    verdicts: list[tuple[float, bool]], rng: random.Random
) -> None:
    before = measure_calibration(verdicts)
    shuffled = list(verdicts)
    rng.shuffle(shuffled)
    after = measure_calibration(shuffled)
    assert before is not None and after is not None
    assert after.area_under_risk_coverage == pytest.approx(before.area_under_risk_coverage)
    assert after.expected_calibration_error == pytest.approx(before.expected_calibration_error)
    assert after.auroc == pytest.approx(before.auroc)


def test_golden_calibration() -> None:
    """Two bins by hand: 0.8 said, 0.5 right; 0.6 said, 1.0 right. Edges open the upper bin."""
    found = measure_calibration([(0.8, True), (0.8, False), (0.6, True), (0.6, True)])
    assert found is not None
    assert found.expected_calibration_error == pytest.approx(0.5 * 0.3 + 0.5 * 0.4)
    assert [(row.low, row.num_sentences) for row in found.bins if row.num_sentences] == [
        (0.6, 2),
        (0.8, 2),
    ]
    # Half a wrong verdict in each of the first two places: 0.5, 1 / 2, 1 / 3, 1 / 4.
    assert found.risk_coverage == pytest.approx([0.5, 0.5, 1 / 3, 1 / 4])
    assert found.area_under_risk_coverage == pytest.approx((0.5 + 0.5 + 1 / 3 + 1 / 4) / 4)


def test_every_edge_opens_its_own_bin() -> None:
    found = measure_calibration([(number / 10, True) for number in range(11)])
    assert found is not None
    assert [row.num_sentences for row in found.bins] == [1] * 9 + [2]


def test_a_calibrated_judge_and_a_ranking_one() -> None:
    honest = measure_calibration([(0.75, True)] * 3 + [(0.75, False)])
    assert honest is not None
    assert honest.expected_calibration_error == 0.0
    assert honest.auroc == 0.5  # one confidence ranks nothing
    assert honest.area_under_risk_coverage == pytest.approx(1 - honest.share_right)
    ranking = measure_calibration([(0.9, True), (0.2, False)])
    assert ranking is not None
    assert (ranking.auroc, ranking.area_under_risk_coverage) == (1.0, 0.25)


def test_no_confidence_is_no_calibration() -> None:
    assert measure_calibration([]) is None
    assert measure_calibration([(None, True), (None, False)]) is None
    some = measure_calibration([(None, True), (0.5, True)])
    assert some is not None
    assert (some.num_sentences, some.num_without_confidence, some.auroc) == (1, 1, None)


# Comparison


def sentences_of(rows: Sequence[tuple[str, bool, bool | None]]) -> list[JudgedSentence]:
    """One response per row: (group, people say hallucinated, the judge does)."""
    made = []
    for index, (group, person, judged) in enumerate(rows):
        own = Sentence(start=0, end=1, verdict=make_verdict(person))
        gold = Annotation(
            id=str(index),
            question_id=group,
            prompt=[Message(role="user", content="?")],
            text="x",
            sentences=[own],
        )
        made.append(JudgedSentence(gold=gold, sentence=own, verdict=make_verdict(judged)))
    return made


def make_verdict(is_hallucinated: bool | None) -> Verdict:
    if is_hallucinated is None:
        return Verdict(label=Label.UNDETERMINED, reason="unsure")
    return Verdict(label=Label.HALLUCINATED if is_hallucinated else Label.NO_HALLUCINATION)


Judgement = tuple[str, bool, bool | None, bool | None]


def compare(rows: Sequence[Judgement]) -> Comparison:
    first = sentences_of([(group, person, one) for group, person, one, _ in rows])
    second = sentences_of([(group, person, other) for group, person, _, other in rows])
    return compare_judges(first, second)


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.booleans(),
        st.sampled_from([YES, NO, OPEN]),
        st.sampled_from([YES, NO, OPEN]),
    ),
    max_size=40,
)


@given(ROWS)
def test_swapping_the_judges_flips_the_sign(rows: list[Judgement]) -> None:
    one = compare(rows)
    other = compare([(group, person, b, a) for group, person, a, b in rows])
    if one.difference is None:
        assert other.difference is None
    else:
        assert other.difference == -one.difference
    if one.low is None or one.high is None:
        assert other.low is other.high is None
    else:
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert (other.p, other.mcnemar_p) == (one.p, one.mcnemar_p)
    assert (other.num_first_better, other.num_second_better) == (
        one.num_second_better,
        one.num_first_better,
    )
    assert (other.num_first_only, other.num_neither) == (one.num_second_only, one.num_neither)
    json.dumps(one.to_dict(), allow_nan=False)


@given(ROWS)
def test_every_sentence_is_counted_once(rows: list[Judgement]) -> None:
    found = compare(rows)
    assert found.num_compared == (
        found.num_both_right
        + found.num_first_better
        + found.num_second_better
        + found.num_both_wrong
    )
    assert len(rows) == (
        found.num_compared + found.num_first_only + found.num_second_only + found.num_neither
    )


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_sentences_moves_no_comparison(
    rows: list[Judgement], rng: random.Random
) -> None:
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert compare(shuffled) == compare(rows)


def test_a_judge_does_not_differ_from_itself() -> None:
    rows = [(f"g{i % 6}", i % 2 == 0, i % 3 == 0, i % 3 == 0) for i in range(36)]
    found = compare(rows)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert (found.p, found.mcnemar_p) == (1.0, 1.0)


def test_a_better_judge_is_seen_to_be_better() -> None:
    rows = [(f"g{i % 20}", i % 2 == 0, i % 2 == 0, i % 4 < 2) for i in range(200)]
    found = compare(rows)
    assert (found.first_balanced_accuracy, found.second_balanced_accuracy) == (1.0, 0.5)
    assert found.difference == 0.5
    assert found.low is not None and found.low > 0.2
    assert found.p is not None and found.p < 0.01
    assert (found.num_first_better, found.num_second_better) == (100, 0)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**100)


def test_the_interval_respects_groups_and_mcnemar_does_not() -> None:
    """Four groups of fifty like sentences: three for the first judge, one for the second."""
    rows: list[Judgement] = []
    for group, first_is_right in zip("abcd", (YES, YES, YES, NO), strict=True):
        for index in range(50):
            person = index % 2 == 0
            right, wrong = person, not person
            pair = (right, wrong) if first_is_right else (wrong, right)
            rows.append((group, person, *pair))
    found = compare(rows)
    assert found.mcnemar_p is not None and found.mcnemar_p < 1e-10
    assert found.p is not None and found.p > 0.2


def test_degenerate_comparisons_are_none() -> None:
    empty = compare([])
    assert (empty.num_compared, empty.difference, empty.mcnemar_p) == (0, None, None)
    apart = compare([("a", YES, YES, OPEN), ("b", NO, OPEN, NO), ("c", NO, OPEN, OPEN)])
    assert (apart.num_first_only, apart.num_second_only, apart.num_neither) == (1, 1, 1)
    assert (apart.difference, apart.mcnemar_p) == (None, None)
    one_class = compare([("a", NO, NO, YES), ("b", NO, NO, NO)])
    assert (one_class.difference, one_class.p, one_class.mcnemar_p) == (None, None, 1.0)
    one_group = compare([("a", YES, YES, NO), ("a", NO, NO, NO)])
    assert (one_group.difference, one_group.low, one_group.p) == (0.5, None, None)


def test_exact_mcnemar_by_hand() -> None:
    assert exact_mcnemar(0, 0) == 1.0
    assert exact_mcnemar(3, 3) == 1.0
    assert exact_mcnemar(1, 5) == exact_mcnemar(5, 1) == pytest.approx(2 * (1 + 6) / 64)
