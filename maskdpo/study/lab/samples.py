"""Kind `samples`: several responses to each question about the people of a world.

The rule: the responses are those of `maskdpo sample` from the model, or texts of an author who has
the document at hand. Equal seeds give equal responses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from annotator.models.config import SampleConfig
from annotator.sampling.sample import run_sample
from maskdpo.study.lab.base import MODEL
from maskdpo.study.lab.task import Job
from maskdpo.study.lab.worlds import questions_about, world_of, write_from_document
from schemas.config import Section
from schemas.errors import BackendError
from schemas.files.jsonl import write_records
from schemas.hashing import stable_seed
from schemas.records import Question, Response

NAME = "responses.jsonl"
BATCH_SIZE = 256
MAX_TOKENS = 192
People = Literal["seen", "unseen"]


class SamplesSettings(Section):
    """Settings of the kind `samples`."""

    people: People = "seen"
    """Whose questions: the people of the preference data, or those of evaluation."""

    kinds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Which questions about each person."""

    num_responses: int = Field(default=8, ge=0)
    """Responses per question."""

    seed: int = 0
    """Seed of the responses."""

    writer: Literal["policy", "document"] = "policy"
    """policy: the model of the input. document: an author who has the document at hand."""

    wrong_share: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of wrong values of that author."""

    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    """Sampling temperature of the model."""


def run(job: Job) -> dict[str, Any]:
    """Write responses.jsonl; returns the number of responses."""
    settings = job.settings(SamplesSettings)
    world = world_of(job.task)
    questions = questions_about(world, settings.people, settings.kinds)
    if settings.writer == "document":
        rows = _write_all(world, questions, settings)
        return {"num_responses": write_records(job.folder / NAME, rows)}
    number = sample(
        job.inputs["model"].folder / MODEL,
        questions,
        job.folder,
        num_responses=settings.num_responses,
        seed=settings.seed,
        temperature=settings.temperature,
    )
    return {"num_responses": number}


def sample(
    model: Path,
    questions: Sequence[Question],
    folder: Path,
    *,
    num_responses: int,
    seed: int,
    temperature: float,
) -> int:
    """Write `num_responses` per question into responses.jsonl of `folder`; returns their number.

    Raises BackendError where a response could not be made.
    """
    output = folder / NAME
    if not num_responses or not questions:
        return write_records(output, [])
    write_records(folder / "questions.jsonl", questions)
    store = folder / "store.sqlite"
    config = SampleConfig(
        model=str(model),
        device="cpu",
        batch_size=BATCH_SIZE,
        num_responses=num_responses,
        temperature=temperature,
        max_tokens=MAX_TOKENS,
        seed=seed,
    )
    result = run_sample(config, questions=folder / "questions.jsonl", output=output, store=store)
    if result.failures:
        first = result.failures[0]
        raise BackendError(
            f"{len(result.failures)} of {result.num_rows} responses could not be made; the first: "
            f"{first.id}: {first.reason} {first.detail}"
        )
    for path in folder.glob(f"{store.name}*"):  # everything in it is in the output now
        path.unlink()
    return result.num_rows


def _write_all(
    world: Any, questions: Sequence[Question], settings: SamplesSettings
) -> Iterator[Response]:
    for question in questions:
        for index in range(settings.num_responses):
            name = f"{question.id}-{index}"
            rng = random.Random(stable_seed(settings.seed, name))
            yield Response(
                id=name,
                question_id=question.id,
                topic=question.topic,
                language=question.language,
                document_ids=question.document_ids,
                prompt=question.messages,
                text=write_from_document(world, question, rng=rng, share=settings.wrong_share),
                model="document",
                finish_reason="stop",
            )
