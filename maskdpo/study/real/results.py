"""The figures of the study, from the verdicts on the answers about unseen people.

The rule: a person of one seed is a group. Pooled figures have intervals over the people of all
seeds; `over_seeds` has the mean of the seeds' own figures with a t interval over the seeds, whose
base models and worlds differ. Without two groups or two seeds there is no interval (None).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

from maskdpo.evaluation.scores import compare_models
from schemas.records import Annotation, Question

Answers = Mapping[str, Sequence[Annotation]]
"""Labelled answers by model, in the order of the table."""
RecordT = TypeVar("RecordT", Annotation, Question)
_KEPT = (
    "score",
    "low",
    "high",
    "num_groups",
    "answered",
    "facts_per_answer",
    "num_responses",
    "num_correct",
    "num_hallucinated",
    "num_cut",
    "has_warning",
)


def compare(
    answers: Answers, questions: Sequence[Question], *, num_responses: int
) -> dict[str, Any]:
    """Scores of the models and all differences between them, with intervals over people."""
    found = compare_models(
        answers,
        [question.id for question in questions],
        topics={question.id: question.topic for question in questions},
        num_responses=num_responses,
    )
    return {
        "models": {name: {key: row[key] for key in _KEPT} for name, row in found["models"].items()},
        "pairs": found["pairs"],
        "warnings": found["warnings"],
    }


def pool(
    by_seed: Mapping[int, tuple[Answers, Sequence[Question]]], *, num_responses: int
) -> dict[str, Any]:
    """The same over the people of all seeds together."""
    answers: dict[str, list[Annotation]] = {}
    questions: list[Question] = []
    for seed, (models, asked) in by_seed.items():
        questions += [_rename(question, seed) for question in asked]
        for name, rows in models.items():
            answers.setdefault(name, []).extend(
                _rename(row, seed).model_copy(update={"question_id": f"{seed}/{row.question_id}"})
                for row in rows
            )
    return compare(answers, questions, num_responses=num_responses)


def _rename(record: RecordT, seed: int) -> RecordT:
    return record.model_copy(
        update={"id": f"{seed}/{record.id}", "topic": f"{seed}/{record.topic}"}
    )


def over_seeds(by_seed: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of each model's score and of each difference, with t intervals."""
    tables = list(by_seed.values())
    names = list(tables[0]["models"])
    scores = {name: [table["models"][name]["score"] for table in tables] for name in names}
    pairs = [
        {"model": second, "compared_with": first}
        | t_interval(
            [
                b - a
                for a, b in zip(scores[first], scores[second], strict=True)
                if a is not None and b is not None
            ]
        )
        for first, second in combinations(names, 2)
    ]
    models = {
        name: t_interval([value for value in values if value is not None])
        for name, values in scores.items()
    }
    return {"models": models, "pairs": pairs}


def t_interval(values: Sequence[float]) -> dict[str, Any]:
    """The mean with its 95% interval and the two-sided p of a mean of 0, by Student's t.

    Without values all is None; with one, or with equal ones, there is no interval.
    """
    count = len(values)
    mean = sum(values) / count if count else None
    found: dict[str, Any] = {"mean": mean, "low": None, "high": None, "p": None, "num_seeds": count}
    if mean is None or count < 2:
        return found
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    error = math.sqrt(variance / count)
    if error == 0.0:
        return found
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(count - 1, 0.975)) * error
    p = 2 * float(stdtr(count - 1, -abs(mean) / error))
    return found | {"low": mean - half, "high": mean + half, "p": p}
