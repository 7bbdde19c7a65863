"""Scores of models over the same questions, with intervals that respect the questions.

The score of a model is `schemas.scores.ResponseScore` of all its sentences added up, the very
function that selects pairs. Sentences of one question are alike, so intervals resample
questions, not sentences: a 95% percentile bootstrap. Two models answer the same questions, so
their difference is resampled in pairs: the same questions for both.

Degenerate cases: with fewer than two questions, or nothing decided, an interval is None; a
question that a model never answered counts with no sentences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.records import Annotation
from schemas.scores import ResponseScore, score_labels

Counts = NDArray[np.float64]
_CORRECT, _HALLUCINATED, _NO_FACT, _UNDETERMINED, _RESPONSES = range(5)


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A 95% interval; None on both sides where the data allow none."""

    low: float | None
    high: float | None


def compare_models(
    annotations: Mapping[str, Sequence[Annotation]],
    questions: Sequence[str],
    *,
    topics: Mapping[str, str],
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The content of scores.json: `models`, and `differences` from the first of them.

    annotations  by model, in the order of the table
    questions    ids of the questions all models were asked
    topics       topic of each question
    """
    tables = {name: count_by_question(items, questions) for name, items in annotations.items()}
    names = list(annotations)
    models = {
        name: _describe_model(annotations[name], tables[name], topics, num_resamples, seed)
        for name in names
    }
    base = tables[names[0]]
    differences = {
        name: _describe_difference(tables[name], base, num_resamples, seed) for name in names[1:]
    }
    return {
        "score": "correct / (correct + hallucinated) sentences, pooled over responses",
        "interval": f"95% percentile bootstrap over {len(questions)} questions, "
        f"{num_resamples} resamples, paired between models",
        "num_questions": len(questions),
        "baseline": names[0],
        "models": models,
        "differences": differences,
    }


def count_by_question(annotations: Iterable[Annotation], questions: Sequence[str]) -> Counts:
    """Counts [Q, 5]: correct, hallucinated, no-fact, undetermined sentences, and responses."""
    row_of = {question: row for row, question in enumerate(questions)}
    table = np.zeros((len(questions), 5))
    for annotation in annotations:
        table[row_of[annotation.question_id]] += _count(annotation)
    return table


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    num_questions: int,
    *,
    num_resamples: int,
    seed: int,
) -> Interval:
    """A 95% percentile interval of `statistic`, which maps question indices [..., Q] to [...]."""
    if num_questions < 2:
        return Interval(low=None, high=None)
    from scipy import stats

    with warnings.catch_warnings():
        # scipy warns of degenerate data; the nan it answers is what we report as None.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.arange(num_questions),),
            lambda index, axis: statistic(index),
            vectorized=True,
            axis=-1,
            n_resamples=num_resamples,
            batch=200,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    low, high = result.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(low=None, high=None)
    return Interval(low=float(low), high=float(high))


def pooled_scores(table: Counts, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores of resampled question sets: `index` [..., Q] rows of `table`; nan if undecided."""
    sums = table[index].sum(axis=-2)
    decided = sums[..., _CORRECT] + sums[..., _HALLUCINATED]
    with np.errstate(invalid="ignore", divide="ignore"):
        scores: NDArray[np.float64] = sums[..., _CORRECT] / decided
    return scores


def _describe_model(
    annotations: Sequence[Annotation],
    table: Counts,
    topics: Mapping[str, str],
    num_resamples: int,
    seed: int,
) -> dict[str, Any]:
    total = _to_score(table.sum(axis=0))
    num_responses = int(table[:, _RESPONSES].sum())
    interval = bootstrap_interval(
        lambda index: pooled_scores(table, index),
        len(table),
        num_resamples=num_resamples,
        seed=seed,
    )
    return {
        **_describe_score(total, num_responses),
        "low": interval.low,
        "high": interval.high,
        "by_topic": _describe_topics(annotations, topics),
    }


def _describe_difference(
    table: Counts, base: Counts, num_resamples: int, seed: int
) -> dict[str, float | None]:
    everything = np.arange(len(table))
    point = float(pooled_scores(table, everything) - pooled_scores(base, everything))
    interval = bootstrap_interval(
        lambda index: pooled_scores(table, index) - pooled_scores(base, index),
        len(table),
        num_resamples=num_resamples,
        seed=seed,
    )
    return {
        "difference": point if np.isfinite(point) else None,
        "low": interval.low,
        "high": interval.high,
    }


def _describe_score(score: ResponseScore, num_responses: int) -> dict[str, Any]:
    def per_response(count: int) -> float | None:
        return count / num_responses if num_responses else None

    return {
        "score": score.score,
        "coverage": score.coverage,
        "anah_score": score.anah,
        "num_responses": num_responses,
        "num_sentences": score.num_sentences,
        "num_correct": score.num_correct,
        "num_hallucinated": score.num_hallucinated,
        "num_no_fact": score.num_no_fact,
        "num_undetermined": score.num_undetermined,
        "sentences_per_response": per_response(score.num_sentences),
        "correct_per_response": per_response(score.num_correct),
        "hallucinated_per_response": per_response(score.num_hallucinated),
    }


def _describe_topics(
    annotations: Sequence[Annotation], topics: Mapping[str, str]
) -> dict[str, dict[str, float | int | None]]:
    totals: dict[str, ResponseScore] = {}
    for annotation in annotations:
        topic = topics[annotation.question_id]
        score = score_labels(item.verdict.label for item in annotation.sentences)
        totals[topic] = totals.get(topic, ResponseScore()) + score
    return {
        topic: {
            "score": total.score,
            "num_correct": total.num_correct,
            "num_hallucinated": total.num_hallucinated,
        }
        for topic, total in sorted(totals.items())
    }


def _count(annotation: Annotation) -> list[float]:
    score = score_labels(item.verdict.label for item in annotation.sentences)
    return [
        score.num_correct,
        score.num_hallucinated,
        score.num_no_fact,
        score.num_undetermined,
        1,
    ]


def _to_score(sums: Counts) -> ResponseScore:
    return ResponseScore(
        num_correct=int(sums[_CORRECT]),
        num_hallucinated=int(sums[_HALLUCINATED]),
        num_no_fact=int(sums[_NO_FACT]),
        num_undetermined=int(sums[_UNDETERMINED]),
    )
