"""`study`: runs an experiment in closed worlds and writes what it found.

    FOLDER/cache/KIND-KEY/     base models, samples, labels, pairs, trained models, scores
    FOLDER/NAME.json           the result (maskdpo/study/experiments/results.py)
    FOLDER/NAME.md, NAME.svg   table and picture made from it; NAME-quick of a quick run
    FOLDER/tuning.json         the grid of learning rates on the tuning worlds

The rule: what has a result in the cache is not done again, whatever experiment asked for it, and a
run that was killed continues.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskdpo.study.arms import Setup, score_arm, score_base
from maskdpo.study.best_of import best_of_curves
from maskdpo.study.experiments.plan import BASE, EXPERIMENTS, Experiment
from maskdpo.study.experiments.results import collect, summarise
from maskdpo.study.experiments.tuning import choose_rates, tuning_tasks
from maskdpo.study.lab.lab import Lab
from maskdpo.study.lab.results import read_result, total_cpu_seconds
from maskdpo.study.lab.schedule import expected_seconds, find_missing
from maskdpo.study.lab.task import Task
from maskdpo.study.outputs import check_experiment, check_tuning, write_experiment, write_tuning
from maskdpo.study.setups import QUICK_RATES, QUICK_WORLDS, make_setup
from schemas.errors import ConfigError
from schemas.events import Noted, OnEvent, ignore
from schemas.packages import require

TUNING = "tuning"
CACHE = "cache"


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """The files of an experiment, and its tables."""

    json: Path
    picture: Path | None
    tables: str


def run_study(
    name: str,
    folder: Path,
    *,
    num_worlds: int | None = None,
    quick: bool = False,
    workers: int = 2,
    on_event: OnEvent = ignore,
) -> StudyResult:
    """Run the experiment `name`, or `tuning`, in `folder`.

    num_worlds  worlds 0 to N-1 [the experiment's own number; 3 with `quick`]
    quick       fewer worlds and steps, with the packaged learning rates instead of the grid
    workers     processes, one thread each

    Raises MaskDpoError when a task failed, after all others ended, BackendError when another study
    uses the folder, and ConfigError when it has someone else's files of these names, or for
    `tuning` with `num_worlds` or `quick`.
    """
    require("torch", "transformers", "scipy", "matplotlib", needed_for="study")
    _check_options(name, num_worlds, quick=quick)
    setup = make_setup(quick=quick)
    lab = Lab(folder=folder / CACHE, workers=workers, on_event=on_event)
    check_outputs([name], folder, quick=quick)
    if name == TUNING:
        return _tune(lab, setup, folder)
    path = _path(name, folder, quick=quick)
    rates = QUICK_RATES if quick else _find_rates(lab, setup, folder, on_event)
    plan = _plan(name, setup, rates, num_worlds=num_worlds, quick=quick)
    count = len(plan.worlds)
    on_event(Noted(text=f"{name}: {count} {'world' if count == 1 else 'worlds'}"))
    result = plan.read(lab)
    tables = write_experiment(path, result)
    return StudyResult(json=path, picture=path.with_suffix(".svg"), tables=tables)


def estimate_study(
    names: Sequence[str], folder: Path, *, num_worlds: int | None = None, quick: bool = False
) -> str:
    """What is missing for these experiments, in tasks and core-hours; nothing is done.

    The rates that the tuning will choose are not known before, and change no time.
    """
    setup = make_setup(quick=quick)
    tasks = [] if quick else tuning_tasks(setup)
    for name in names:
        _check_options(name, num_worlds, quick=quick)
        if name != TUNING:
            tasks += _plan(name, setup, QUICK_RATES, num_worlds=num_worlds, quick=quick).tasks
    missing, found = find_missing(tasks, lambda task: read_result(folder / CACHE, task))
    hours = sum(map(expected_seconds, missing)) / 3600
    return (
        f"{', '.join(names)}: {len(missing):,} tasks to do, about {hours:.2g} core-hours; "
        f"{len(found):,} tasks are done"
    )


def check_outputs(names: Iterable[str], folder: Path, *, quick: bool = False) -> None:
    """Raise ConfigError where a file that these experiments would write is someone else's."""
    for name in names:
        if name == TUNING or not quick:
            check_tuning(folder / f"{TUNING}.json")
        if name != TUNING:
            check_experiment(_path(name, folder, quick=quick))


def _path(name: str, folder: Path, *, quick: bool) -> Path:
    return folder / (f"{name}-quick.json" if quick else f"{name}.json")


def _check_options(name: str, num_worlds: int | None, *, quick: bool) -> None:
    if name == TUNING and (quick or num_worlds):
        raise ConfigError(
            "tuning has three worlds and one grid of its own: leave out --worlds and --quick"
        )


def _plan(
    name: str, setup: Setup, rates: Mapping[str, float], *, num_worlds: int | None, quick: bool
) -> _Plan:
    experiment = EXPERIMENTS[name]
    worlds = range(num_worlds or (QUICK_WORLDS if quick else experiment.num_worlds))
    return _Plan(experiment=experiment, setup=setup, rates=rates, worlds=worlds)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """The arms of an experiment in all its worlds."""

    experiment: Experiment
    setup: Setup
    rates: Mapping[str, float]
    worlds: Sequence[int]

    @property
    def num_responses(self) -> int:
        is_best_of = self.experiment.name == "best-of-n"
        return self.setup.num_best_of if is_best_of else self.setup.num_scored

    @property
    def arms(self) -> list[Any]:
        return [
            arm
            for world in self.worlds
            for arm in self.experiment.arms(self.setup, self.rates, world)
        ]

    @property
    def tasks(self) -> list[Task]:
        count = self.num_responses
        bases = [score_base(self.setup, world, num_responses=count) for world in self.worlds]
        return [*bases, *(score_arm(self.setup, arm, num_responses=count) for arm in self.arms)]

    def read(self, lab: Lab) -> dict[str, Any]:
        """Run what is missing; returns the experiment's JSON."""
        results = lab.run(self.tasks)
        found = [results[task] for task in self.tasks]
        bases = dict(zip(self.worlds, found, strict=False))
        values = [item.values for item in found[len(self.worlds) :]]
        scored = collect(self.arms, values, {world: item.values for world, item in bases.items()})
        result = summarise(
            self.experiment,
            self.setup,
            scored,
            worlds=self.worlds,
            rates=self.rates,
            core_hours=_core_hours(lab, self.tasks),
        )
        if self.experiment.name == "best-of-n":
            names = [BASE] * len(self.worlds) + [arm.name for arm in self.arms]
            worlds = [*self.worlds, *(arm.world for arm in self.arms)]
            result["best_of"] = best_of_curves(names, worlds, found)
        return result


def _find_rates(lab: Lab, setup: Setup, folder: Path, on_event: OnEvent) -> Mapping[str, float]:
    on_event(Noted(text="learning rates, on worlds of their own"))
    found = _tuning(lab, setup)
    write_tuning(folder / f"{TUNING}.json", found)
    rates: Mapping[str, float] = found["rates"]
    return rates


def _tune(lab: Lab, setup: Setup, folder: Path) -> StudyResult:
    found = _tuning(lab, setup)
    path = folder / f"{TUNING}.json"
    return StudyResult(json=path, picture=None, tables=write_tuning(path, found))


def _tuning(lab: Lab, setup: Setup) -> dict[str, Any]:
    found = choose_rates(lab, setup)
    return found | {"core_hours": _core_hours(lab, tuning_tasks(setup))}


def _core_hours(lab: Lab, tasks: Iterable[Task]) -> float:
    """Of all tasks behind `tasks`, whichever run did them."""
    behind = {item for task in tasks for item in task.walk()}
    found = (read_result(lab.folder, task) for task in behind)
    return total_cpu_seconds(item for item in found if item is not None) / 3600
