"""The kinds of tasks: the version, code, settings and inputs of each.

The rule: a kind's version is part of the key of its tasks and of every task made from them. Raise
it when the code of a kind, or code that it calls, changes what comes out: its tasks are done again.

    base      a world, and a model that half believes it
    samples   responses of a model
    labels    a verdict for each sentence of samples
    dataset   preference pairs with masks
    model     a model trained on a data set
    score     a model on unseen people
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a kind of task is.

    version   part of every key
    run       "module:function", which takes a `maskdpo.study.lab.task.Job` and returns values for
              result.json, or raises Impossible
    settings  "module:class" of a `schemas.config.Section`
    inputs    the kinds that each input may have, by the input's name
    seconds   expected time of one task on one core, for the order of tasks and the estimate
    per       a setting: `seconds` is the time of one unit of it; None: of the whole task
    """

    version: int
    run: str
    settings: str
    inputs: Mapping[str, tuple[str, ...]]
    seconds: float
    per: str | None = None


_LAB = "maskdpo.study.lab"
_MODELS = ("base", "model")

KINDS: dict[str, Kind] = {
    "base": Kind(
        version=1,
        run=f"{_LAB}.base:run",
        settings=f"{_LAB}.base:BaseSettings",
        inputs={},
        seconds=100.0,
    ),
    "samples": Kind(
        version=1,
        run=f"{_LAB}.samples:run",
        settings=f"{_LAB}.samples:SamplesSettings",
        inputs={"model": _MODELS},
        seconds=1.4,
        per="num_responses",
    ),
    "labels": Kind(
        version=1,
        run=f"{_LAB}.labels:run",
        settings=f"{_LAB}.labels:LabelsSettings",
        inputs={"samples": ("samples",)},
        seconds=1.3,
    ),
    "dataset": Kind(
        version=1,
        run=f"{_LAB}.dataset:run",
        settings=f"{_LAB}.dataset:DatasetSettings",
        inputs={"labels": ("labels",)},
        seconds=1.4,
    ),
    "model": Kind(
        version=1,
        run=f"{_LAB}.model:run",
        settings=f"{_LAB}.model:ModelSettings",
        inputs={"base": ("base",), "dataset": ("dataset",)},
        seconds=0.065,
        per="steps",
    ),
    "score": Kind(
        version=2,
        run=f"{_LAB}.score:run",
        settings=f"{_LAB}.score:ScoreSettings",
        inputs={"model": _MODELS, "base": ("base",)},
        seconds=1.1,
        per="num_responses",
    ),
}


def find_kind(name: str) -> Kind:
    """The kind of this name. Raises ConfigError for an unknown one."""
    if name not in KINDS:
        raise ConfigError(f"task of kind {name!r}: no such kind; {nearest(name, sorted(KINDS))}")
    return KINDS[name]


def load_target(target: str) -> Any:
    """What "module:name" names; its module is imported here, and not before it is needed."""
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)
