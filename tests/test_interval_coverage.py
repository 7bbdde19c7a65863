"""How often a nominal 95% interval holds the true value, by simulation with fixed seeds.

60 topics of 3 questions, 3 to 8 sentences each; a topic's chance of a correct sentence is drawn
from a beta distribution, so that sentences of one topic are alike (intra-topic correlation ICC).
Topics are drawn again each time: the truth is the mean of the distribution. `-s` prints the table.

The former method, a percentile bootstrap over questions of the pooled score, held the truth in 78%
of draws (`test_the_former_method...`): it took a topic's questions for independent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from annotator.agreement.intervals import (
    DIFFERENCE,
    SHARE,
    Scale,
    effective_groups,
    find_interval,
    leave_one_out,
)

NUM_DRAWS = 4000
Floats = NDArray[np.float64]


def draw_topics(
    rng: np.random.Generator, mean: float, icc: float, *, num_draws: int, num_topics: int
) -> Floats:
    """Each topic's chance [D, G] of a correct sentence."""
    strength = 1 / icc - 1
    return rng.beta(mean * strength, (1 - mean) * strength, (num_draws, num_topics))


def draw_scores(rng: np.random.Generator, chances: Floats, sizes: Sequence[int]) -> Floats:
    """Sums [D, G] over a topic's questions of their scores; `sizes` [G] counts the questions."""
    sums = np.zeros_like(chances)
    for place in range(max(sizes)):
        num_sentences = rng.integers(3, 9, chances.shape)
        scores = rng.binomial(num_sentences, chances) / num_sentences
        sums += np.where(np.array(sizes) > place, scores, 0.0)
    return sums


def measure_coverage(
    sums: Floats, sizes: Sequence[int], truth: Floats | float, scale: Scale
) -> float:
    """Share of draws whose interval of the mean over questions holds the truth."""
    counts = np.array(sizes, dtype=float)
    num_groups = effective_groups(counts)
    truths = np.broadcast_to(truth, len(sums))
    num_held = 0
    for row, true in zip(sums, truths, strict=True):
        left_out = leave_one_out(np.column_stack([row, counts]))
        found = find_interval(
            float(row.sum() / counts.sum()),
            left_out[:, 0] / left_out[:, 1],
            scale,
            num_groups=num_groups,
        )
        assert found.low is not None and found.high is not None
        num_held += found.low <= true <= found.high
    return num_held / len(sums)


def simulate_score(mean: float, icc: float, sizes: Sequence[int], *, seed: int) -> float:
    rng = np.random.default_rng(seed)
    chances = draw_topics(rng, mean, icc, num_draws=NUM_DRAWS, num_topics=len(sizes))
    return measure_coverage(draw_scores(rng, chances, sizes), sizes, mean, SHARE)


def report(capsys: pytest.CaptureFixture[str], name: str, coverage: float) -> None:
    with capsys.disabled():
        print(f"\n  {name}: {coverage:.1%}", end="")


@pytest.mark.parametrize("icc", [0.3, 0.5])
@pytest.mark.parametrize(("mean", "least"), [(0.5, 0.93), (0.6, 0.93), (0.9, 0.92)])
def test_the_interval_of_a_score_holds_the_truth(
    capsys: pytest.CaptureFixture[str], *, mean: float, least: float, icc: float
) -> None:
    coverage = simulate_score(mean, icc, [3] * 60, seed=1)
    report(capsys, f"score {mean}, ICC {icc}, 60 topics", coverage)
    assert least <= coverage <= 0.97


@pytest.mark.parametrize("icc", [0.3, 0.5])
@pytest.mark.parametrize("num_topics", [5, 8, 12])
def test_few_topics_get_intervals_that_are_wide_enough(
    capsys: pytest.CaptureFixture[str], *, num_topics: int, icc: float
) -> None:
    coverage = simulate_score(0.6, icc, [3] * num_topics, seed=2)
    report(capsys, f"score 0.6, ICC {icc}, {num_topics} topics", coverage)
    assert coverage >= 0.92


def test_topics_of_unequal_size_are_held_too(capsys: pytest.CaptureFixture[str]) -> None:
    coverage = simulate_score(0.6, 0.4, [1, 2, 3, 9] * 15, seed=3)
    report(capsys, "score 0.6, ICC 0.4, 60 topics of 1, 2, 3 and 9 questions", coverage)
    assert 0.93 <= coverage <= 0.97


@pytest.mark.parametrize("num_topics", [8, 60])
@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_the_interval_of_a_paired_difference_holds_the_truth(
    capsys: pytest.CaptureFixture[str], *, num_topics: int, gain: float
) -> None:
    """The second model keeps a topic's chance and improves on it by an amount of its own."""
    rng = np.random.default_rng(4)
    sizes = [3] * num_topics
    first = draw_topics(rng, 0.5, 0.4, num_draws=NUM_DRAWS, num_topics=num_topics)
    own = draw_topics(rng, 2 * gain, 0.3, num_draws=NUM_DRAWS, num_topics=num_topics) if gain else 0
    second = first + (1 - first) * own  # on average + (1 - 0.5) * 2 * gain
    difference = draw_scores(rng, second, sizes) - draw_scores(rng, first, sizes)
    coverage = measure_coverage(difference, sizes, gain, DIFFERENCE)
    report(capsys, f"difference {gain}, {num_topics} topics", coverage)
    assert 0.93 <= coverage <= 0.97


def test_the_former_method_missed_the_truth_once_in_five(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A percentile bootstrap over questions, 500 draws: far from 95%."""
    rng = np.random.default_rng(5)
    num_topics, num_each, mean, icc = 60, 3, 0.6, 0.4
    num_questions = num_topics * num_each
    chances = draw_topics(rng, mean, icc, num_draws=500, num_topics=num_topics)
    num_held = 0
    for row in chances:
        num_sentences = rng.integers(3, 9, num_questions)
        num_correct = rng.binomial(num_sentences, np.repeat(row, num_each))
        draws = rng.multinomial(num_questions, np.full(num_questions, 1 / num_questions), 1000)
        low, high = np.percentile((draws @ num_correct) / (draws @ num_sentences), [2.5, 97.5])
        num_held += low <= mean <= high
    coverage = num_held / len(chances)
    report(capsys, "former method, score 0.6, ICC 0.4, 60 topics", coverage)
    assert coverage < 0.85
