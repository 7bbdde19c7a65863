"""FActScore in scores.json: a part per model, the pairs of models, and what the figures are.

The rule: FActScore is over the responses that respond, as published, so a model can raise it by
refusing to answer: `respond_ratio` is always next to it. A difference of two models is over the
questions to which both respond; of a question, the mean over its responses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from annotator.agreement.intervals import DIFFERENCE, INTERVAL_NAME, Group, name_group
from maskdpo.evaluation.factscore.config import FactScoreConfig
from maskdpo.evaluation.factscore.formula import make_score, score_response
from maskdpo.evaluation.factscore.verdicts import JudgedFacts
from maskdpo.evaluation.means import mean_over_questions

Judged = Mapping[str, JudgedFacts]
_SOURCES = {"model": "by a model, sentence by sentence", "sentences": "each sentence is one fact"}


def with_factscores(
    scores: Mapping[str, Any],
    judged: Mapping[str, Judged],
    config: FactScoreConfig,
    *,
    has_rule: bool = False,
) -> dict[str, Any]:
    """`scores` with `factscore` at the top and in each of its models.

    `judged` is by model and response id. Responses that were asked for and are not in it, because
    there is none or it could not be judged, do not respond.
    """
    gamma = config.gamma
    penalty = f"times exp(1 - {gamma:g} / facts) below {gamma:g} facts" if gamma else "no penalty"
    top = {
        "score": f"mean over the responses that respond of supported / all atomic facts, {penalty}",
        "facts": "by a rule" if has_rule else _SOURCES[config.facts],
        "interval": f"{INTERVAL_NAME} (topics); differences on the questions to which both respond",
        "gamma": gamma,
        "pairs": _compare(judged, gamma),
    }
    models = {
        name: row | {"factscore": _describe(judged[name], row["num_asked"], gamma)}
        for name, row in scores["models"].items()
    }
    return {**scores, "models": models, "factscore": top}


def _describe(judged: Judged, num_asked: int, gamma: float) -> dict[str, Any]:
    score = make_score(
        {name: row.verdicts for name, row in judged.items()},
        {name: _group(row) for name, row in judged.items()},
        gamma=gamma,
        num_asked=num_asked,
    )
    values = asdict(score)
    del values["gamma"]
    return values | {"num_unread_sentences": sum(row.num_unread for row in judged.values())}


def _compare(judged: Mapping[str, Judged], gamma: float) -> list[dict[str, Any]]:
    """One row per pair of models: `model` minus `compared_with`, the earlier."""
    groups = {row.question_id: _group(row) for rows in judged.values() for row in rows.values()}
    means = {name: _by_question(rows, gamma) for name, rows in judged.items()}
    pairs = []
    for first, second in combinations(judged, 2):
        one, other = means[first], means[second]
        both = {name: other[name] - one[name] for name in one if name in other}
        mean = mean_over_questions(both, groups, DIFFERENCE)
        pairs.append(
            {
                "model": second,
                "compared_with": first,
                "difference": mean.value,
                "low": mean.interval.low,
                "high": mean.interval.high,
                "p": mean.interval.p,
                "num_questions": mean.num_questions,
            }
        )
    return pairs


def _by_question(judged: Judged, gamma: float) -> dict[str, float]:
    """The mean of f over the responses to each question that respond."""
    found: dict[str, list[float]] = {}
    for row in judged.values():
        value = score_response(row.verdicts, gamma=gamma)
        if value is not None:
            found.setdefault(row.question_id, []).append(value)
    return {name: _mean(values) for name, values in found.items()}


def _group(row: JudgedFacts) -> Group:
    return name_group(row.topic, row.question_id)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
