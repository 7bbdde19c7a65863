"""Kind `labels`: a verdict for each sentence of samples, exact or from a judge that errs.

The rule: the truth comes from the world alone; `maskdpo.study.lab.noise` is the only source of
errors.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from maskdpo.study.lab.noise import add_noise
from maskdpo.study.lab.results import read_all
from maskdpo.study.lab.task import Job
from maskdpo.study.lab.worlds import facts_of, label, world_of
from schemas.config import Section
from schemas.files.jsonl import write_records
from schemas.labels import CORRECT_LABELS
from schemas.records import Annotation, Response

NAME = "annotations.jsonl"


class LabelsSettings(Section):
    """Settings of the kind `labels`."""

    noise: float = Field(default=0.0, ge=0.0, le=0.4)
    """Mean error probability of the judge per sentence; 0: the truth."""

    seed: int = 0
    """Seed of the errors."""


def run(job: Job) -> dict[str, Any]:
    """Write annotations.jsonl; returns the number of responses and sentences, and the share of
    labels that are wrong (None without sentences)."""
    settings = job.settings(LabelsSettings)
    world = world_of(job.task)
    rows: list[Annotation] = []
    num_sentences = num_wrong = 0
    for response in read_all(job.inputs["samples"].folder / "responses.jsonl", Response):
        truth = label(world, response)
        places = [(fact.start, fact.end) for fact in facts_of(world, response)]
        row = add_noise(truth, places, noise=settings.noise, seed=settings.seed)
        rows.append(row)
        num_sentences += len(row.sentences)
        num_wrong += _count_differences(truth, row)
    write_records(job.folder / NAME, rows)
    return {
        "num_responses": len(rows),
        "num_sentences": num_sentences,
        "wrong_labels": num_wrong / num_sentences if num_sentences else None,
    }


def _count_differences(truth: Annotation, row: Annotation) -> int:
    """Number of sentences that are correct in one of the two and not in the other."""
    pairs = zip(truth.sentences, row.sentences, strict=True)
    return sum(
        (one.verdict.label in CORRECT_LABELS) != (other.verdict.label in CORRECT_LABELS)
        for one, other in pairs
    )
