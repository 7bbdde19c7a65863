"""Prediction-powered estimates: formulas by hand, the peer, degenerate cases, how often they hold.

`python tests/test_people_powered.py 2000` prints the coverage of a larger simulation.
"""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from annotator.agreement.intervals import SHARE, Group
from maskdpo.evaluation.means import mean_over_questions
from maskdpo.evaluation.people.powered import Powered, Unit, estimate_difference, estimate_mean

Units = dict[str, Unit]


def unit(judge: float, people: float | None = None) -> Unit:
    return Unit(judge=judge, people=people, checked=None if people is None else judge)


def own_groups(units: Units) -> dict[str, Group]:
    """Each question a topic of its own."""
    return {name: ("topic", name) for name in units}


def draw_units(rng: np.random.Generator, num_reviewed: int, num_other: int) -> Units:
    truth = rng.random(num_reviewed + num_other)
    judge = np.clip(truth + rng.normal(0, 0.2, len(truth)), 0, 1)
    return {
        f"q{place:03}": unit(
            float(judge[place]), float(truth[place]) if place < num_reviewed else None
        )
        for place in range(len(truth))
    }


def arrays(units: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People's and the judge's scores of the reviewed units, and the judge's of the others."""
    reviewed = [item for item in units.values() if item.people is not None]
    others = [item.judge for item in units.values() if item.people is None]
    return (
        np.array([item.people for item in reviewed]),
        np.array([item.judge for item in reviewed]),
        np.array(others),
    )


def test_the_estimate_is_the_published_formula_for_independent_units() -> None:
    units = draw_units(np.random.default_rng(1), 15, 60)
    found = estimate_mean(units, own_groups(units))
    people, judge, others = arrays(units)
    power = found.power
    assert power is not None and 0 < power < 1
    # arXiv 2311.01453 writes the first mean over the units without a review.
    published = power / (1 + len(people) / len(others))
    expected = published * others.mean() + (people - published * judge).mean()
    assert found.value == pytest.approx(expected, abs=1e-12)
    assert (found.num_units, found.num_reviewed, found.num_reviewed_groups) == (75, 15, 15)


def test_lambda_makes_the_estimate_least_uncertain() -> None:
    """Against a search over lambda of the variance that the contract names."""
    rng = np.random.default_rng(2)
    units = draw_units(rng, 24, 48)
    names = list(units)
    rng.shuffle(names)
    groups = {name: ("topic", str(place // 4)) for place, name in enumerate(names)}
    found = estimate_mean(units, groups)
    people, judge, others = arrays(units)
    everywhere = np.append(judge, others).mean()

    def variance(power: float) -> float:
        parts: dict[Group, float] = {}
        for name, item in units.items():
            part = power * (item.judge - everywhere) / len(units)
            if item.people is not None:
                part += (item.people - people.mean() - power * (item.judge - judge.mean())) / len(
                    people
                )
            parts[groups[name]] = parts.get(groups[name], 0.0) + part
        return sum(part**2 for part in parts.values())

    grid = np.linspace(0, 1, 2001)
    best = grid[np.argmin([variance(float(power)) for power in grid])]
    assert found.power == pytest.approx(best, abs=1e-3)


@pytest.mark.skipif(not importlib.util.find_spec("ppi_py"), reason="needs ppi-python, the peer")
def test_the_peer_gives_the_same_estimate() -> None:
    from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

    for seed in range(5):
        units = draw_units(np.random.default_rng(seed), 30, 200)
        found = estimate_mean(units, own_groups(units))
        people, judge, others = arrays(units)
        assert found.power is not None and found.interval.low is not None
        power = found.power / (1 + len(people) / len(others))
        peer = ppi_mean_pointestimate(people, judge, others, lam=power)
        assert found.value == pytest.approx(float(np.squeeze(peer)), abs=1e-12)
        low, high = ppi_mean_ci(people, judge, others, alpha=0.05)
        width = float(np.squeeze(high - low))
        assert found.interval.high - found.interval.low == pytest.approx(width, rel=0.25)


def test_no_review_and_one_topic_give_no_interval_and_no_nan() -> None:
    units = {"a": unit(0.5), "b": unit(0.75)}
    none = estimate_mean(units, own_groups(units))
    assert (none.value, none.interval.low, none.power) == (None, None, None)
    assert estimate_mean({}, {}) == Powered()
    assert estimate_difference(units, units, own_groups(units)).value is None
    one = estimate_mean(units | {"c": unit(0.25, 1.0)}, own_groups(units | {"c": unit(0.25)}))
    assert (one.value, one.interval.low, one.num_reviewed_groups) == (1.0, None, 1)


def test_when_all_is_reviewed_it_is_peoples_own_mean_exactly() -> None:
    rng = np.random.default_rng(3)
    units = {f"q{place}": unit(rng.random(), rng.random()) for place in range(30)}
    groups = {name: ("topic", str(place // 3)) for place, name in enumerate(units)}
    own = mean_over_questions(
        {name: item.people or 0.0 for name, item in units.items()}, groups, SHARE
    )
    found = estimate_mean(units, groups)
    assert (found.value, found.power) == (own.value, 0.0)
    assert found.interval == own.interval


def test_a_perfect_judge_decides_alone_and_a_constant_one_not_at_all() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random(40)
    perfect = {f"q{n:02}": unit(x, x if n < 10 else None) for n, x in enumerate(map(float, truth))}
    found = estimate_mean(perfect, own_groups(perfect))
    assert found.power == pytest.approx(1.0, abs=0.02)
    assert found.value == pytest.approx(truth.mean(), abs=0.01)
    constant = {name: unit(0.7, item.people) for name, item in perfect.items()}
    found = estimate_mean(constant, own_groups(constant))
    assert (found.power, found.value) == (0.0, pytest.approx(truth[:10].mean()))


def test_a_judge_against_people_is_not_used() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(60)
    units = {
        f"q{n:02}": unit(1 - x, x if n < 20 else None) for n, x in enumerate(map(float, truth))
    }
    assert estimate_mean(units, own_groups(units)).power == 0.0


def test_equal_models_do_not_differ_and_a_constant_bias_cancels() -> None:
    units = draw_units(np.random.default_rng(6), 20, 40)
    groups = own_groups(units)
    same = estimate_difference(units, units, groups)
    assert (same.value, same.interval.low, same.interval.high, same.interval.p) == (
        0.0,
        0.0,
        0.0,
        1.0,
    )
    assert (same.num_reviewed, same.num_units) == (20, 60)
    better = {
        name: unit(item.judge, None if item.people is None else item.people / 2)
        for name, item in units.items()
    }
    worse = estimate_difference(better, units, groups)
    people = arrays(units)[0]
    assert worse.value is not None and worse.interval.high is not None
    # Both have the judge's same scores, so people alone see that one is worse.
    assert worse.value == pytest.approx(-people.mean() / 2)
    assert worse.interval.high < 0


def test_models_that_are_reviewed_on_other_questions_are_compared_too() -> None:
    rng = np.random.default_rng(7)
    first = draw_units(rng, 30, 30)
    names = list(first)
    second = dict(zip(names, reversed(draw_units(rng, 30, 30).values()), strict=True))
    found = estimate_difference(second, first, own_groups(first))
    assert found.num_reviewed == 0 and found.value is not None
    assert found.interval.low is not None and found.interval.low < found.value


def test_the_order_of_questions_moves_no_digit_and_an_estimate_stays_in_range() -> None:
    units = draw_units(np.random.default_rng(8), 15, 60)
    turned = dict(reversed(units.items()))
    assert estimate_mean(units, own_groups(units)) == estimate_mean(turned, own_groups(turned))
    high = {f"q{n}": unit(0.9 if n < 8 else 1.0, 1.0 if n < 8 else None) for n in range(40)}
    found = estimate_mean(high, own_groups(high))
    assert found.value == 1.0 and found.interval.high == 1.0


def simulate(
    *,
    num_draws: int,
    num_reviewed: int,
    num_topics: int = 60,
    error: float = 0.2,
    scattered: bool = False,
    seed: int = 1,
) -> tuple[float, float, float]:
    """Coverage of 95% intervals, and mean widths: with the judge, and of people alone.

    Topics of 3 questions with 3 to 8 sentences; a topic's chance of a correct sentence is drawn
    (mean 0.6, ICC 0.3), and so is the share of its sentences in which the judge guesses:
    it calls them correct nine times in ten. Whole topics are reviewed; with `scattered`, that many
    questions.
    """
    rng = np.random.default_rng(seed)
    held, width, width_alone = 0, 0.0, 0.0
    for _ in range(num_draws):
        chances = rng.beta(0.6 * 7 / 3, 0.4 * 7 / 3, num_topics)
        errors = rng.beta(5 * error, 5 * (1 - error), num_topics)
        size = 3 * num_topics if scattered else num_topics
        reviewed = set(rng.choice(size, num_reviewed, replace=False).tolist())
        units, groups = {}, {}
        for topic in range(num_topics):
            for place in range(3):
                count = rng.integers(3, 9)
                truth = rng.random(count) < chances[topic]
                wrong = rng.random(count) < errors[topic]
                judged = np.where(wrong, rng.random(count) < 0.9, truth)
                name = f"{topic}-{place}"
                groups[name] = ("topic", str(topic))
                drawn = 3 * topic + place if scattered else topic
                people = float(truth.mean()) if drawn in reviewed else None
                units[name] = unit(float(judged.mean()), people)
        found = estimate_mean(units, groups)
        alone = mean_over_questions(
            {name: item.people for name, item in units.items() if item.people is not None},
            groups,
            SHARE,
        )
        assert found.interval.low is not None and found.interval.high is not None
        assert alone.interval.low is not None and alone.interval.high is not None
        held += found.interval.low <= 0.6 <= found.interval.high
        width += found.interval.high - found.interval.low
        width_alone += alone.interval.high - alone.interval.low
    return held / num_draws, width / num_draws, width_alone / num_draws


@pytest.mark.parametrize(("num_reviewed", "scattered"), [(5, False), (20, False), (40, True)])
def test_intervals_hold_the_truth_and_are_narrower_than_of_people_alone(
    num_reviewed: int, scattered: bool
) -> None:
    held, width, alone = simulate(num_draws=150, num_reviewed=num_reviewed, scattered=scattered)
    print(f"{num_reviewed} of 60 topics reviewed: {held:.1%}, {width:.3f}, {alone:.3f}")
    assert held >= 0.93
    assert width < 0.8 * alone


def simulate_difference(*, num_draws: int, num_reviewed: int, paired: bool, seed: int = 2) -> float:
    """Coverage of the intervals of a difference of 0.1, over 60 topics of one question.

    The judge takes a third of what is wrong for right, and for the better model more of it. The
    reviewed questions are the same for both (`paired`), or drawn for each.
    """
    rng = np.random.default_rng(seed)
    held = 0
    groups = {str(topic): ("topic", str(topic)) for topic in range(60)}
    for _ in range(num_draws):
        chances = rng.beta(1.5, 1.5, 60)
        drawn = [set(rng.choice(60, num_reviewed, replace=False).tolist()) for _ in range(2)]
        sides: list[Units] = []
        for side, gain in enumerate((0.0, 0.2)):
            units = {}
            for topic, chance in enumerate(chances + (1 - chances) * gain):
                truth = rng.random(6) < chance
                judged = truth | (rng.random(6) < 0.3 + gain)
                people = float(truth.mean()) if topic in drawn[0 if paired else side] else None
                units[str(topic)] = unit(float(judged.mean()), people)
            sides.append(units)
        found = estimate_difference(sides[1], sides[0], groups).interval
        assert found.low is not None and found.high is not None
        held += found.low <= 0.1 <= found.high
    return held / num_draws


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_a_difference_hold_it(paired: bool) -> None:
    held = simulate_difference(num_draws=200, num_reviewed=20, paired=paired)
    print(f"difference, paired {paired}: {held:.1%}")
    assert held >= 0.93


if __name__ == "__main__":
    for is_paired in (True, False):
        for count in (5, 10, 20, 40):
            held = simulate_difference(
                num_draws=int(sys.argv[1]), num_reviewed=count, paired=is_paired
            )
            print(f"difference, {count} of 60 topics, paired {is_paired}: {held:.1%}")
    for count in (10, 40):
        held, width, alone = simulate(
            num_draws=int(sys.argv[1]), num_reviewed=count, scattered=True
        )
        print(f"{count} of 180 questions: {held:.1%}, {width:.3f}, {alone:.3f}")
    for share in (0.05, 0.2, 0.5):
        for count in (3, 5, 10, 20, 40):
            held, width, alone = simulate(
                num_draws=int(sys.argv[1]), num_reviewed=count, error=share
            )
            print(f"errors {share}, {count} of 60 topics: {held:.1%}, {width:.3f}, {alone:.3f}")
