"""Kind `dataset`: preference pairs from labels, by the project's builder.

The rule: the builder selects and weighs. What it does not offer is done to its input (which topics
and questions) or to its pairs (random masks, how many), and dataset/ is always what the trainer
reads.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from dataset_builder.build import build_pairs, load_pairs, run_build
from dataset_builder.config import BuildConfig, Granularity, Weighting
from maskdpo.study.lab.labels import NAME as ANNOTATIONS
from maskdpo.study.lab.masks import describe_masks, shuffle_masks
from maskdpo.study.lab.results import read_all
from maskdpo.study.lab.task import Impossible, Job
from maskdpo.study.lab.worlds import people_of, questions_about, world_of
from schemas.config import Section
from schemas.errors import InputError
from schemas.files.jsonl import write_records
from schemas.records import Annotation, Pair

DATASET = "dataset"


class DatasetSettings(Section):
    """Settings of the kind `dataset`."""

    masks: Literal["sentence", "span", "random"] = "sentence"
    """sentence: as Mask-DPO. span: of a wrong sentence only the wrong words train. random: the
    weights of the sentence masks, on random sentences of the same side."""

    confidence_weights: bool = False
    """Weights are the judge's confidence, instead of 0 and 1."""

    context_weight: float = Field(default=0.0, ge=0.0, le=1.0)
    """With span masks: the weight of the rest of a wrong sentence on the rejected side."""

    chosen_context_weight: float = Field(default=0.0, ge=0.0, le=1.0)
    """With span masks: the weight of the rest of a wrong sentence on the chosen side."""

    topics: int | None = Field(default=None, ge=1)
    """Number of people; None: all."""

    kinds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Which questions about each person."""

    num_pairs: int | None = Field(default=None, ge=1)
    """Maximum number of pairs, a random choice; None: all."""

    seed: int = 0
    """Seed of the choice of topics and pairs, and of random masks. Fewer topics or pairs are a part
    of more."""


def run(job: Job) -> dict[str, Any]:
    """Write the folder dataset/; returns the number of pairs and topics, and the masks per side.

    Raises Impossible where the builder finds no pair.
    """
    settings = job.settings(DatasetSettings)
    path = job.folder / ANNOTATIONS
    rows = _choose_rows(job, settings)
    write_records(path, rows)
    output = job.folder / DATASET
    shutil.rmtree(output, ignore_errors=True)
    is_changed = settings.masks == "random" or settings.num_pairs is not None
    built = job.folder / "built" if is_changed else output
    pairs = _build(settings, rows, path, built)
    if is_changed:
        pairs = _change(pairs, settings)
        output.mkdir()
        write_records(output / "train.jsonl", pairs)
    return {
        "num_pairs": len(pairs),
        "num_topics": len({pair.topic for pair in pairs}),
        **describe_masks(pairs),
    }


def _choose_rows(job: Job, settings: DatasetSettings) -> list[Annotation]:
    """The annotations of the chosen people and questions."""
    world = world_of(job.task)
    which = job.task.inputs["labels"].inputs["samples"].settings["people"]
    topics = sorted(person.id for person in people_of(world, which))
    random.Random(settings.seed).shuffle(topics)
    kept = set(topics[: settings.topics])
    questions = {item.id for item in questions_about(world, which, settings.kinds)}
    rows = read_all(job.inputs["labels"].folder / ANNOTATIONS, Annotation)
    return [row for row in rows if row.topic in kept and row.question_id in questions]


def _build(
    settings: DatasetSettings, rows: Sequence[Annotation], path: Path, output: Path
) -> list[Pair]:
    is_span = settings.masks == "span"
    config = BuildConfig(
        granularity=Granularity.SPAN if is_span else Granularity.SENTENCE,
        context_weight=settings.context_weight if is_span else 0.0,
        chosen_context_weight=settings.chosen_context_weight if is_span else 0.0,
        weighting=Weighting.CONFIDENCE if settings.confidence_weights else Weighting.BINARY,
        test_share=0.0,
    )
    if not rows:
        raise Impossible("the data set has no pair, because there are no responses")
    try:
        run_build(config, annotations=path, output=output, workers=1)
    except InputError as error:
        if build_pairs(rows, config).pairs:
            raise
        reason = "; ".join(fault.message for fault in error.faults)
        raise Impossible(f"the data set {reason}") from None
    return load_pairs(output, "train")


def _change(pairs: Sequence[Pair], settings: DatasetSettings) -> list[Pair]:
    """The chosen pairs, in the builder's order, with random masks if asked for."""
    numbers = list(range(len(pairs)))
    random.Random(settings.seed).shuffle(numbers)
    chosen = [pairs[number] for number in sorted(numbers[: settings.num_pairs])]
    if settings.masks != "random":
        return chosen
    return [shuffle_masks(pair, seed=settings.seed) for pair in chosen]
