"""The only module of the lab that calls the world: everything that the kinds need of it.

The rule: a task's world is that of the base model at the root of its inputs. It is made again from
its settings and seed in every process.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from maskdpo.study.lab.task import Task
from maskdpo.study.world.base import train_base
from maskdpo.study.world.config import BaseConfig, WorldConfig
from maskdpo.study.world.people import Person, World, make_world
from maskdpo.study.world.truth import Fact, find_facts, label_response
from maskdpo.study.world.writing import make_questions, write_answer
from schemas.events import ignore
from schemas.records import Annotation, Question, Response

__all__ = ["BaseConfig", "World", "WorldConfig"]

_KEPT_WORLDS = 4
_TOWARDS_BASE = ("base", "model", "samples", "labels")  # names of inputs


def base_of(task: Task) -> Task:
    """The base task that a task's files come from."""
    while task.kind != "base":
        task = next(task.inputs[name] for name in _TOWARDS_BASE if name in task.inputs)
    return task


def world_of(task: Task) -> World:
    """The world of a task."""
    settings = base_of(task).settings
    return _make_world(json.dumps(settings["world"], sort_keys=True), settings["seed"])


@lru_cache(maxsize=_KEPT_WORLDS)
def _make_world(config: str, seed: int) -> World:
    return make_world(WorldConfig.parse(json.loads(config), where="world"), seed=seed)


def train_base_model(world: World, output: Path, config: BaseConfig) -> float:
    """Train a base model into the folder `output`; returns its last loss in nats per token."""
    return train_base(world, output, config, on_event=ignore)


def people_of(world: World, which: str) -> Sequence[Person]:
    """The people of the preference data (`seen`), or those of evaluation (`unseen`)."""
    return world.people if which == "seen" else world.unseen


def questions_about(world: World, which: str, kinds: Sequence[int]) -> list[Question]:
    """One question per person of this group and per fact group (`kind`)."""
    return make_questions(world, people_of(world, which), kinds=kinds)


def label(world: World, response: Response) -> Annotation:
    """The exact verdict for each sentence of a response."""
    return label_response(world, response)


def facts_of(world: World, response: Response) -> Sequence[Fact]:
    """The atomic facts of a response: their places, and whether each is true."""
    return find_facts(world, response)


def write_from_document(
    world: World, question: Question, *, rng: random.Random, share: float
) -> str:
    """An answer of an author who has the document at hand; `share` of its values are wrong."""
    return write_answer(world, question, rng=rng, corrupted_share=share, fixed_errors=False)
