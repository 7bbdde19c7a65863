"""What an experiment found, as the JSON that tables and plots are made from.

The rule: everything printed or drawn is in this JSON, and it follows from the results of the tasks
alone; nothing is rounded here.

    {"experiment", "question", "paper", "worlds", "setup", "rates", "core_hours",
     "arms": [{"name", "steps", "rate", "score", "true_share", "kl", ...: Figure}],
     "comparisons": [{"ours", "theirs", "at", "difference": Figure}],
     "best_of": {arm: {n: Figure}}}           only in best-of-n
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annotator.agreement.intervals import CHANGE, SHARE
from maskdpo.study.arms import Arm, Setup
from maskdpo.study.experiments.plan import BASE, Experiment
from maskdpo.study.figures import (
    Figure,
    difference_over_worlds,
    mean_over_worlds,
    score_at_kl,
    shared_kl,
)

Values = Mapping[str, Any]
Key = tuple[str, int]  # an arm's name and its steps; the base has 0 steps
_MEANS = ("kl", "mean_facts", "mean_tokens")
_SHARES = ("true_share", "respond_ratio")
# What a comparison is of.
LAST, TRUE_FACTS, EQUAL_KL = "last step", "true facts", "equal KL"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The score task's values of each arm in each world; the base is an arm without steps."""

    arms: dict[Key, dict[int, Values]]
    rates: dict[Key, float | None]

    def scores(self, key: Key) -> dict[int, float | None]:
        """The score of an arm by world."""
        return {world: _score(values) for world, values in self.arms[key].items()}

    def numbers(self, key: Key, name: str) -> dict[int, float | None]:
        """Another figure of an arm by world."""
        return {world: values.get(name) for world, values in self.arms[key].items()}

    def last(self, name: str) -> Key:
        """The arm of this name after its last step."""
        return max(key for key in self.arms if key[0] == name)


def collect(arms: Sequence[Arm], values: Sequence[Values], bases: Mapping[int, Values]) -> Scored:
    """Group the values of score tasks by arm; `values` belong to `arms` one by one."""
    grouped: dict[Key, dict[int, Values]] = {(BASE, 0): dict(bases)}
    rates: dict[Key, float | None] = {(BASE, 0): None}
    for arm, found in zip(arms, values, strict=True):
        grouped.setdefault((arm.name, arm.steps), {})[arm.world] = found
        rates[arm.name, arm.steps] = arm.rate
    return Scored(arms=grouped, rates=rates)


def summarise(
    experiment: Experiment,
    setup: Setup,
    scored: Scored,
    *,
    worlds: Sequence[int],
    rates: Mapping[str, float],
    core_hours: float,
) -> dict[str, Any]:
    """The JSON of an experiment."""
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "paper": experiment.paper,
        "worlds": list(worlds),
        "setup": asdict(setup) | {"steps": list(setup.steps), "rates": list(setup.rates)},
        "rates": dict(rates),
        "core_hours": core_hours,
        "arms": [_describe(key, scored) for key in scored.arms],
        "comparisons": [row for pair in experiment.comparisons for row in compare(scored, *pair)],
    }


def _describe(key: Key, scored: Scored) -> dict[str, Any]:
    row: dict[str, Any] = {"name": key[0], "steps": key[1], "rate": scored.rates[key]}
    row["score"] = mean_over_worlds(scored.scores(key)).as_json()
    for name, scale in (dict.fromkeys(_SHARES, SHARE) | dict.fromkeys(_MEANS, CHANGE)).items():
        row[name] = mean_over_worlds(scored.numbers(key, name), scale).as_json()
    return row


def compare(scored: Scored, ours: str, theirs: str) -> list[dict[str, Any]]:
    """The difference of two arms after their last steps, and at equal KL where both have paths.

    After the last steps also that of the share of true facts, which does not change with the
    number of facts in a sentence.
    """
    first, second = scored.last(ours), scored.last(theirs)
    found = {
        LAST: difference_over_worlds(scored.scores(first), scored.scores(second)),
        TRUE_FACTS: difference_over_worlds(
            scored.numbers(first, "true_share"), scored.numbers(second, "true_share")
        ),
    }
    rows: list[dict[str, Any]] = [
        {"ours": ours, "theirs": theirs, "at": at, "difference": difference.as_json()}
        for at, difference in found.items()
    ]
    if BASE not in (ours, theirs) and _has_path(scored, ours) and _has_path(scored, theirs):
        at_kl, kl = _at_equal_kl(scored, ours, theirs)
        row = {"ours": ours, "theirs": theirs, "at": EQUAL_KL, "difference": at_kl.as_json()}
        rows.append(row | {"kl": kl})
    return rows


def _has_path(scored: Scored, name: str) -> bool:
    return sum(key[0] == name for key in scored.arms) > 1


def _at_equal_kl(scored: Scored, ours: str, theirs: str) -> tuple[Figure, dict[str, Any]]:
    """The difference at the largest KL that both reached in each world, and that KL."""
    ours_at: dict[int, float | None] = {}
    theirs_at: dict[int, float | None] = {}
    places: dict[int, float | None] = {}
    for world in scored.arms[BASE, 0]:
        paths = {name: _path(scored, name, world) for name in (ours, theirs)}
        is_known = all(len(points) > 1 for points in paths.values())  # not the base alone
        place = shared_kl(paths) if is_known else None
        places[world] = place
        ours_at[world] = None if place is None else score_at_kl(paths[ours], place)
        theirs_at[world] = None if place is None else score_at_kl(paths[theirs], place)
    return (
        difference_over_worlds(ours_at, theirs_at),
        mean_over_worlds(places, CHANGE).as_json(),
    )


def _path(scored: Scored, name: str, world: int) -> list[tuple[float, float]]:
    """(KL, score) of a method in one world after each number of steps, from the base on."""
    base = _score(scored.arms[BASE, 0][world])
    points = [] if base is None else [(0.0, base)]
    for key, row in scored.arms.items():
        if key[0] == name and world in row:
            score, kl = _score(row[world]), row[world].get("kl")
            if score is not None and kl is not None:
                points.append((kl, score))
    return points


def _score(values: Values) -> float | None:
    """The score of a model in one world; None for a task that was impossible, too."""
    found: float | None = values.get("sentence_score")
    return found
