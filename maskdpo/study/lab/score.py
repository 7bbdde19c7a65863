"""Kind `score`: what a model says about people it was not aligned on, compared with the truth.

    responses.jsonl    its responses
    scores.jsonl       one row per response (`ResponseRow`), in the same order

The rule: sums and means follow from the rows of scores.jsonl. What has no value (a mean of nothing)
is null, never NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import Field

from maskdpo.study.divergence import Divergence, mean_with_error, measure_divergence
from maskdpo.study.lab.base import MODEL
from maskdpo.study.lab.results import read_all
from maskdpo.study.lab.samples import NAME, People, sample
from maskdpo.study.lab.task import Job
from maskdpo.study.lab.worlds import facts_of, label, questions_about, world_of
from schemas.config import Section
from schemas.files.jsonl import write_records
from schemas.records import Record, Response
from schemas.scores import score_labels

ROWS = "scores.jsonl"
_SUMMED = ("correct", "hallucinated", "no_fact", "true_facts", "false_facts", "abstained")


class ScoreSettings(Section):
    """Settings of the kind `score`."""

    people: People = "unseen"
    """Whose questions: those of evaluation, or the people of the preference data."""

    kinds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Which questions about each person."""

    num_responses: int = Field(default=4, ge=0)
    """Responses per question."""

    seed: int = 1
    """Seed of the responses."""

    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    """Sampling temperature. The divergence is only known at 1."""


class ResponseRow(Record):
    """A response compared with the truth: numbers of sentences, of atomic facts and of tokens.

    abstained       1 for a response without any fact, else 0
    kl, log_ratio   estimates of the divergence from the base in nats (`divergence`)
    """

    id: str
    question_id: str
    topic: str
    correct: int
    hallucinated: int
    no_fact: int
    true_facts: int
    false_facts: int
    abstained: int
    num_tokens: int
    kl: float
    log_ratio: float


def run(job: Job) -> dict[str, Any]:
    """Write responses.jsonl and scores.jsonl; returns sums per topic, means and the divergence."""
    settings = job.settings(ScoreSettings)
    world = world_of(job.task)
    policy, reference = (job.inputs[name].folder / MODEL for name in ("model", "base"))
    sample(
        policy,
        questions_about(world, settings.people, settings.kinds),
        job.folder,
        num_responses=settings.num_responses,
        seed=settings.seed,
        temperature=settings.temperature,
    )
    responses = read_all(job.folder / NAME, Response)
    found = measure_divergence(policy, reference, responses)
    rows = [_row(world, *both) for both in zip(responses, found, strict=True)]
    write_records(job.folder / ROWS, rows)
    return summarize(rows, has_divergence=settings.temperature == 1.0)


def summarize(rows: Sequence[ResponseRow], *, has_divergence: bool = True) -> dict[str, Any]:
    """The values of a score task.

    topics          per topic: `responses`, and the sums of the counts of its rows
    true_share      mean over the responses with facts of true facts / facts (FActScore without a
                    length penalty, arXiv 2305.14251)
    sentence_score  mean over the topics of correct / (correct + hallucinated) sentences
    kl, kl_error    the divergence from the base in nats per response, with its standard error
    log_ratio       the same from the sampled tokens alone: as a check, with more variance
    """
    topics: dict[str, list[ResponseRow]] = {}
    for row in rows:
        topics.setdefault(row.topic, []).append(row)
    sums = {topic: _sum(own) for topic, own in sorted(topics.items())}
    kl, error = mean_with_error([row.kl for row in rows], [row.topic for row in rows])
    return {
        "num_responses": len(rows),
        "topics": sums,
        "true_share": _mean(rows, _true_share),
        "sentence_score": _mean(list(sums.values()), _sentence_score),
        "respond_ratio": _mean(rows, lambda row: 1.0 - row.abstained),
        "mean_facts": _mean(rows, lambda row: row.true_facts + row.false_facts),
        "mean_tokens": _mean(rows, lambda row: row.num_tokens),
        "kl": kl if has_divergence else None,
        "kl_error": error if has_divergence else None,
        "log_ratio": _mean(rows, lambda row: row.log_ratio) if has_divergence else None,
    }


def _row(world: Any, response: Response, found: Divergence) -> ResponseRow:
    counts = score_labels(item.verdict.label for item in label(world, response).sentences)
    facts = facts_of(world, response)
    num_true = sum(fact.is_true for fact in facts)
    return ResponseRow(
        id=response.id,
        question_id=response.question_id,
        topic=response.topic,
        correct=counts.num_correct,
        hallucinated=counts.num_hallucinated,
        no_fact=counts.num_no_fact,
        true_facts=num_true,
        false_facts=len(facts) - num_true,
        abstained=int(not facts),
        num_tokens=found.num_tokens,
        kl=found.kl,
        log_ratio=found.log_ratio,
    )


def _sum(rows: Sequence[ResponseRow]) -> dict[str, int]:
    sums = {name: sum(getattr(row, name) for row in rows) for name in _SUMMED}
    return {"responses": len(rows), **sums}


def _true_share(row: ResponseRow) -> float | None:
    total = row.true_facts + row.false_facts
    return row.true_facts / total if total else None


def _sentence_score(sums: dict[str, int]) -> float | None:
    decided = sums["correct"] + sums["hallucinated"]
    return sums["correct"] / decided if decided else None


def _mean(items: Sequence[Any], value: Callable[[Any], float | None]) -> float | None:
    """The mean of the values that are not None; None where there is none."""
    values = [found for item in items if (found := value(item)) is not None]
    return sum(values) / len(values) if values else None
