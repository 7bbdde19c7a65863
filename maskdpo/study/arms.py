"""The arms of the study: one way of training in one world, and the tasks that it is made of.

The rule: everything of an arm follows from its world's number. World, base model, samples, masks
and the order of the pairs are seeded by it, so worlds are independent repetitions, and two arms of
one world share base, samples and labels unless they differ in exactly that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from maskdpo.study.lab.task import Task

Masks = Literal["none", "sentence", "span", "random"]
Source = Literal["policy", "other", "document"]
ALL_KINDS = (0, 1, 2)
_OTHER_SEED = 500_000  # added to a world's number: the seed of another base model in that world
_SCORE_SEED = 1_000_000  # of the samples that are scored


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """How pairs become a loss.

    masks             none: every token of both answers (stock DPO); sentence: Mask-DPO; span: only
                      the wrong words of wrong sentences; random: sentence masks in random places
    weights           confidence: a sentence weighs as much as the judge is sure of it
    label_smoothing   assumed share of wrong preferences (cDPO)
    """

    masks: Masks
    weights: Literal["plain", "confidence"] = "plain"
    label_smoothing: float = 0.0


METHODS: Mapping[str, Method] = {
    "dpo": Method(masks="none"),
    "mask_dpo": Method(masks="sentence"),
    "span_masks": Method(masks="span"),
    "random_masks": Method(masks="random"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One trained model: its name in tables, and what it is trained on.

    noise    share of the sentences that the judge labels wrongly
    topics   number of people in the preference data; None: all
    kinds    which of the three questions about each person
    source   who wrote the responses: the policy itself, another base model, or the world's own
             writer with the document at hand
    """

    name: str
    world: int
    method: Method
    rate: float
    steps: int
    noise: float = 0.0
    topics: int | None = None
    kinds: tuple[int, ...] = ALL_KINDS
    source: Source = "policy"


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Sizes that all experiments share.

    world, base      settings of `maskdpo.study.world`, as JSON values
    num_responses    responses per question from which pairs are chosen
    num_scored       responses per question about unseen people that are scored
    num_best_of      the same for best of N
    steps            optimiser steps after which each method is scored, in rising order
    rates            the grid of learning rates
    """

    world: Mapping[str, Any] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    num_responses: int = 8
    num_scored: int = 4
    num_best_of: int = 16
    steps: tuple[int, ...] = (24, 48, 72, 96)
    rates: tuple[float, ...] = (5e-5, 1e-4, 2e-4, 4e-4)
    batch_size: int = 8
    beta: float = 0.1

    @property
    def last_step(self) -> int:
        """The number of steps at which methods are compared."""
        return self.steps[-1]


def base_task(setup: Setup, world: int, *, other: bool = False) -> Task:
    """The base model of a world; `other`: of the same world, from another seed."""
    base = {**setup.base, "seed": world + _OTHER_SEED if other else world}
    settings = {"world": dict(setup.world), "seed": world, "base": base}
    return Task(kind="base", settings=settings)


def score_base(setup: Setup, world: int, *, num_responses: int | None = None) -> Task:
    """The score of the base model on unseen people."""
    base = base_task(setup, world)
    return _score(setup, world, base, base, num_responses or setup.num_scored)


def score_arm(setup: Setup, arm: Arm, *, num_responses: int | None = None) -> Task:
    """The score of an arm's model on unseen people."""
    base = base_task(setup, arm.world)
    return _score(setup, arm.world, _model(setup, arm), base, num_responses or setup.num_scored)


def dataset_task(setup: Setup, arm: Arm) -> Task:
    """The pairs that an arm trains on."""
    settings = {
        "masks": "sentence" if arm.method.masks == "none" else arm.method.masks,
        "confidence_weights": arm.method.weights == "confidence",
        "topics": arm.topics,
        "kinds": list(arm.kinds),
        "seed": arm.world,
    }
    return Task(kind="dataset", settings=settings, inputs={"labels": _labels(setup, arm)})


def _labels(setup: Setup, arm: Arm) -> Task:
    base = base_task(setup, arm.world, other=arm.source == "other")
    settings = {
        "people": "seen",
        "kinds": list(ALL_KINDS),
        "num_responses": setup.num_responses,
        "seed": arm.world,
        "writer": "document" if arm.source == "document" else "policy",
        "temperature": 1.0,
    }
    samples = Task(kind="samples", settings=settings, inputs={"model": base})
    return Task(
        kind="labels",
        settings={"noise": arm.noise, "seed": arm.world},
        inputs={"samples": samples},
    )


def _model(setup: Setup, arm: Arm) -> Task:
    uses_spans = arm.method.masks != "none"
    settings = {
        "use_spans": uses_spans,
        "eos": "neither" if uses_spans else "both",
        "learning_rate": arm.rate,
        "steps": arm.steps,
        "batch_size": setup.batch_size,
        "beta": setup.beta,
        "label_smoothing": arm.method.label_smoothing,
        "seed": arm.world,
    }
    inputs = {"base": base_task(setup, arm.world), "dataset": dataset_task(setup, arm)}
    return Task(kind="model", settings=settings, inputs=inputs)


def _score(setup: Setup, world: int, model: Task, base: Task, num_responses: int) -> Task:
    settings = {
        "people": "unseen",
        "kinds": list(ALL_KINDS),
        "num_responses": num_responses,
        "seed": world + _SCORE_SEED,
    }
    return Task(kind="score", settings=settings, inputs={"model": model, "base": base})
