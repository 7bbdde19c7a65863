"""Scores of models over the same questions: the content of scores.json.

The rule: a model cannot raise its score by saying less. A model's `score` is the mean over
questions of correct / (correct + hallucinated) sentences, pooled over that question's responses
(`schemas.scores.ResponseScore`, the same function that selects pairs), over the questions that
*every* model answered. A mean over questions, not over sentences: shorter answers to hard questions
gain nothing. `own_score` is the same over all questions that the model itself answered.

Next to each score are the model's outcomes (maskdpo/evaluation/outcomes.py), and `warnings` name
every model that answers less often, or with fewer facts, than one it is compared with
(maskdpo/evaluation/silence.py). Intervals: annotator/agreement/intervals.py, over topics; a
question without a topic is a group of its own.

`anah_score` (arXiv 2407.04693) is as published: pooled over sentences, where a sentence without a
fact counts as right. `anah_flag` is a sentence if the model answered less than the baseline.

Degenerate cases: without a question that every model answered, scores are None, with a warning;
with fewer than two groups, intervals are None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.agreement.intervals import INTERVAL_NAME, SHARE, Group, name_group
from maskdpo.evaluation.best_of import best_of_curve
from maskdpo.evaluation.means import mean_over_questions
from maskdpo.evaluation.outcomes import ModelTally, Outcome, QuestionTally, count_facts, tally_model
from maskdpo.evaluation.pairs import compare_pairs
from maskdpo.evaluation.silence import find_warnings, flag_anah
from schemas.records import Annotation

_OF_A_PAIR = ("difference", "low", "high", "p", "num_questions")


def compare_models(
    annotations: Mapping[str, Sequence[Annotation]],
    questions: Sequence[str],
    *,
    topics: Mapping[str, str],
    num_responses: Mapping[str, int] | int | None = None,
    descriptions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The content of scores.json: `models`, every pair of them, `differences` from the first.

    annotations    by model, in the order of the table
    questions      ids of the questions all models were asked
    topics         topic of each question, or ""
    num_responses  requested per question, of all models or of each; None: the most that any model
                   gave to any question
    descriptions   one line about a model, by its name
    """
    groups = {question: name_group(topics[question], question) for question in questions}
    requested = _requested(annotations, num_responses)
    tallies = {
        name: tally_model(items, questions, requested[name]) for name, items in annotations.items()
    }
    names = list(tallies)
    answered = [tally.answered_questions for tally in tallies.values()]
    common = [name for name in questions if all(name in rows for rows in answered)]
    pairs = compare_pairs(tallies, groups)
    warnings = find_warnings(tallies, pairs, num_common=len(common))
    models = {
        name: {"description": (descriptions or {}).get(name, "")}
        | _describe_scores(tally, common, groups)
        | {"anah_score": tally.total.anah, "anah_flag": flag_anah(name, names[0], tallies)}
        | {"has_warning": any(model == name for model, _ in warnings)}
        | _describe_answers(tally)
        | _describe_sentences(tally)
        | {"best_of": _best_of(annotations[name], questions, groups, requested[name])}
        | {"by_topic": _describe_topics(tally, groups)}
        for name, tally in tallies.items()
    }
    return {
        "score": "mean over questions of correct / (correct + hallucinated) sentences, over the "
        f"{len(common)} of {len(questions)} questions that every model answered",
        "interval": f"{INTERVAL_NAME} (topics); differences on the questions that both answered",
        "num_questions": len(questions),
        "num_common_questions": len(common),
        "num_responses_per_question": max(requested.values(), default=1),
        "baseline": names[0],
        "warnings": [text for _, text in warnings],
        "models": models,
        "differences": {
            pair["model"]: {key: pair[key] for key in _OF_A_PAIR}
            for pair in pairs
            if pair["compared_with"] == names[0]
        },
        "pairs": pairs,
    }


def _requested(
    annotations: Mapping[str, Sequence[Annotation]], given: Mapping[str, int] | int | None
) -> Mapping[str, int]:
    """Responses requested per question, by model."""
    if isinstance(given, Mapping):
        return given
    return dict.fromkeys(annotations, _most_responses(annotations) if given is None else given)


def _best_of(
    annotations: Sequence[Annotation],
    questions: Sequence[str],
    groups: Mapping[str, Group],
    num_responses: int,
) -> dict[str, Any] | None:
    """The curve of maskdpo/evaluation/best_of.py; None with one response per question."""
    curve = best_of_curve(annotations, questions, groups, num_responses)
    return curve if curve["num_responses"] > 1 else None


def _most_responses(annotations: Mapping[str, Sequence[Annotation]]) -> int:
    counts = Counter(
        (name, item.question_id) for name, items in annotations.items() for item in items
    )
    return max(counts.values(), default=1)


def _describe_scores(
    tally: ModelTally, common: Sequence[str], groups: Mapping[str, Group]
) -> dict[str, Any]:
    own = _scores_of(tally.answered_questions)
    shared = mean_over_questions({name: own[name] for name in common}, groups, SHARE)
    alone = mean_over_questions(own, groups, SHARE)
    return {
        "score": shared.value,
        "low": shared.interval.low,
        "high": shared.interval.high,
        "num_questions": shared.num_questions,
        "num_groups": shared.num_groups,
        "own_score": alone.value,
        "own_low": alone.interval.low,
        "own_high": alone.interval.high,
        "own_num_questions": alone.num_questions,
    }


def _describe_answers(tally: ModelTally) -> dict[str, Any]:
    outcomes = {f"num_{kind.value}": tally.outcomes[kind] for kind in Outcome}
    facts = count_facts(tally.total)
    sentences = tally.total.num_sentences
    return {
        "num_asked": tally.num_asked,
        **outcomes,
        "answered": tally.answered,
        "abstained": tally.per_asked(Outcome.ABSTAINED),
        "facts_per_answer": tally.per_answer(facts),
        "sentences_per_answer": tally.per_answer(tally.sentences),
        "characters_per_answer": tally.per_answer(tally.characters),
        "no_fact_share": tally.total.num_no_fact / sentences if sentences else None,
        "coverage": tally.total.coverage,
        "num_cut": tally.num_cut,
    }


def _describe_sentences(tally: ModelTally) -> dict[str, Any]:
    total = tally.total

    def per_response(count: int) -> float | None:
        return count / tally.num_responses if tally.num_responses else None

    return {
        "num_responses": tally.num_responses,
        "num_sentences": total.num_sentences,
        "num_correct": total.num_correct,
        "num_hallucinated": total.num_hallucinated,
        "num_no_fact": total.num_no_fact,
        "num_undetermined": total.num_undetermined,
        "sentences_per_response": per_response(total.num_sentences),
        "correct_per_response": per_response(total.num_correct),
        "hallucinated_per_response": per_response(total.num_hallucinated),
    }


def _describe_topics(
    tally: ModelTally, groups: Mapping[str, Group]
) -> dict[str, dict[str, float | int | None]]:
    """By topic, else by question: the mean score of the questions that the model answered."""
    rows: dict[str, list[QuestionTally]] = {}
    named = {name for kind, name in groups.values() if kind == "topic"}
    for question, row in tally.by_question.items():
        kind, name = groups[question]
        if kind == "question" and name in named:
            name = f"{name} (no topic)"
        rows.setdefault(name, []).append(row)
    return {
        name: {
            "score": _mean([row.score for row in part if row.score is not None]),
            "num_correct": sum(row.total.num_correct for row in part),
            "num_hallucinated": sum(row.total.num_hallucinated for row in part),
        }
        for name, part in sorted(rows.items())
    }


def _scores_of(rows: Mapping[str, QuestionTally]) -> dict[str, float]:
    return {name: row.score for name, row in rows.items() if row.score is not None}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
