"""One learning rate per method, chosen on worlds of their own.

The rule: a method's rate is the one of the grid with the highest mean score on the tuning worlds
after the last step. No result of the study is read from a tuning world, so choosing cannot favour
the method that was tried more often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maskdpo.study.arms import METHODS, Arm, Setup, score_arm
from maskdpo.study.figures import mean_over_worlds
from maskdpo.study.lab.lab import Lab
from maskdpo.study.lab.task import Task

WORLDS = (1_000, 1_001, 1_002)


def tuning_arms(setup: Setup, worlds: Sequence[int] = WORLDS) -> list[Arm]:
    """Every method at every rate in every tuning world."""
    return [
        Arm(name=name, world=world, method=method, rate=rate, steps=setup.last_step)
        for world in worlds
        for name, method in METHODS.items()
        for rate in setup.rates
    ]


def choose_rates(lab: Lab, setup: Setup, worlds: Sequence[int] = WORLDS) -> dict[str, Any]:
    """Run what is missing of the grid.

    Returns `rates` by method, and the `grid`: per method and rate the score over the tuning worlds.
    """
    arms = tuning_arms(setup, worlds)
    results = lab.run([score_arm(setup, arm) for arm in arms])
    scores: dict[str, dict[float, dict[int, float | None]]] = {}
    for arm in arms:
        found = results[score_arm(setup, arm)].values.get("sentence_score")
        scores.setdefault(arm.name, {}).setdefault(arm.rate, {})[arm.world] = found
    grid = {
        name: {f"{rate:g}": mean_over_worlds(values).as_json() for rate, values in row.items()}
        for name, row in scores.items()
    }
    return {"rates": {name: _best(row) for name, row in grid.items()}, "grid": grid}


def tuning_tasks(setup: Setup, worlds: Sequence[int] = WORLDS) -> list[Task]:
    """The tasks of `choose_rates`, for counting."""
    return [score_arm(setup, arm) for arm in tuning_arms(setup, worlds)]


def _best(row: Mapping[str, Mapping[str, Any]]) -> float:
    """The rate with the highest mean, the lower of equal ones; without any score the first."""
    ranked = [(figure["value"], -float(rate)) for rate, figure in row.items()]
    known = [item for item in ranked if item[0] is not None]
    return -max(known)[1] if known else float(next(iter(row)))
