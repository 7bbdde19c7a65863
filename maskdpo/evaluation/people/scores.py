"""What people's reviews make of the scores: the entry `people` of scores.json.

The rule: the figure is the one of the table, the mean over questions of correct / (correct +
hallucinated) over the questions that every model answered by the judge's verdicts, and every answer
that people looked at is counted: reviewed, partly reviewed, or about another question.

Of a question with several responses, people's score is pooled over the reviewed ones, and the
correction uses the judge's score of the same responses (of all, where it found no fact in them). So
a question is reviewed for a model as soon as one of its responses is: choose responses at random,
or review all of a question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from annotator.agreement.intervals import INTERVAL_NAME, SHARE, Group, name_group
from maskdpo.evaluation.means import mean_over_questions
from maskdpo.evaluation.people.powered import (
    Powered,
    Unit,
    estimate_difference,
    estimate_mean,
)
from maskdpo.evaluation.people.reviewed import PeopleLabels, read_people
from schemas.records import Annotation
from schemas.scores import ResponseScore, score_labels

METHOD = (
    "prediction-powered: lambda * the judge's mean over all questions + mean over reviewed "
    "questions of (people's score - lambda * the judge's); arXiv 2301.09633 and 2311.01453"
)
CONDITION = (
    "It holds if the reviewed answers were chosen at random, not by what they say or how they were "
    "judged."
)


@dataclass(frozen=True, kw_only=True)
class _Model:
    """One model's answers as people and judge see them.

    all_units     of all questions that the judge scored: for differences
    all_reviewed  whether every response to every question that counts is reviewed
    """

    all_units: Mapping[str, Unit]
    all_reviewed: bool
    without_fact: Sequence[str]
    num_reviewed: int
    num_partly: int
    num_elsewhere: int


def powered_scores(
    paths: Sequence[Path],
    annotations: Mapping[str, Sequence[Annotation]],
    topics: Mapping[str, str],
) -> dict[str, Any]:
    """The entry `people` of scores.json.

    paths         reviews.jsonl files, or annotations of people
    annotations   the judged answers, by model
    topics        topic of each question, or ""

    Raises InputError with every fault of the files.
    """
    groups = {question: name_group(topic, question) for question, topic in topics.items()}
    labels = read_people(paths, annotations)
    judged = {name: _judge_scores(items) for name, items in annotations.items()}
    common = [
        question for question in topics if all(question in scores for scores in judged.values())
    ]
    found = {
        name: _view(items, labels, name, judged[name], common)
        for name, items in annotations.items()
    }
    models = {name: _describe(item, common, groups) for name, item in found.items()}
    pairs = [
        {"model": second, "compared_with": first}
        | _describe_difference(found[second].all_units, found[first].all_units, groups)
        for first, second in combinations(found, 2)
    ]
    return {
        "score": METHOD,
        "interval": f"{INTERVAL_NAME} (topics with and without reviews)",
        "condition": CONDITION,
        "num_common_questions": len(common),
        "num_conflicts": labels.num_conflicts,
        "models": models,
        "pairs": pairs,
        "unused": [
            {
                "file": _short_path(item.path),
                "line": item.line,
                "response_id": item.response_id,
                "reason": item.reason,
                "message": item.message,
            }
            for item in labels.unused
        ],
        "notes": _notes(labels, models),
    }


def _judge_scores(items: Sequence[Annotation]) -> dict[str, float]:
    """The judge's score of each question that the model answered."""
    sums: dict[str, ResponseScore] = {}
    for item in items:
        sums[item.question_id] = sums.get(item.question_id, ResponseScore()) + _count(item)
    return {name: total.score for name, total in sums.items() if total.score is not None}


def _count(item: Annotation) -> ResponseScore:
    return score_labels(sentence.verdict.label for sentence in item.sentences)


def _view(
    items: Sequence[Annotation],
    labels: PeopleLabels,
    name: str,
    judged: Mapping[str, float],
    common: Sequence[str],
) -> _Model:
    people: dict[str, ResponseScore] = {}
    checked: dict[str, ResponseScore] = {}
    for place, by_people in labels.scores[name].items():
        item = items[place]
        question = item.question_id
        people[question] = people.get(question, ResponseScore()) + by_people
        checked[question] = checked.get(question, ResponseScore()) + _count(item)
    without_fact = [name for name, total in people.items() if total.score is None]
    units = {}
    for question, score in judged.items():
        if question in without_fact:
            continue
        of_people, of_judge = people.get(question), checked.get(question)
        # Where the judge found no fact in the reviewed ones, its score of all is used.
        units[question] = Unit(
            judge=score,
            people=of_people.score if of_people else None,
            checked=(of_judge.score if of_judge.score is not None else score) if of_judge else None,
        )
    inside = set(common)
    num_given = Counter(item.question_id for item in items)
    num_checked = Counter(items[place].question_id for place in labels.scores[name])
    return _Model(
        all_units=units,
        all_reviewed=all(num_checked[name] == num_given[name] for name in units if name in inside),
        without_fact=[question for question in without_fact if question in inside],
        num_reviewed=len(labels.scores[name]),
        num_partly=len(labels.partly[name]),
        num_elsewhere=sum(question not in inside for question in people),
    )


def _describe(model: _Model, common: Sequence[str], groups: Mapping[str, Group]) -> dict[str, Any]:
    units = {name: model.all_units[name] for name in common if name in model.all_units}
    powered = estimate_mean(units, groups)
    alone = mean_over_questions(
        {name: unit.people for name, unit in units.items() if unit.people is not None},
        groups,
        SHARE,
    )
    return _describe_estimate(powered) | {
        "people_score": alone.value,
        "people_low": alone.interval.low,
        "people_high": alone.interval.high,
        "num_reviewed": model.num_reviewed,
        "num_partly_reviewed": model.num_partly,
        "num_reviewed_without_fact": len(model.without_fact),
        "num_reviewed_of_other_questions": model.num_elsewhere,
        "note": _explain(powered, all_reviewed=model.all_reviewed),
    }


def _describe_estimate(powered: Powered) -> dict[str, Any]:
    return {
        "score": powered.value,
        "low": powered.interval.low,
        "high": powered.interval.high,
        "lambda": powered.power,
        "num_questions": powered.num_units,
        "num_groups": powered.num_groups,
        "num_reviewed_questions": powered.num_reviewed,
        "num_reviewed_groups": powered.num_reviewed_groups,
    }


def _describe_difference(
    one: Mapping[str, Unit], other: Mapping[str, Unit], groups: Mapping[str, Group]
) -> dict[str, Any]:
    powered = estimate_difference(one, other, groups)
    row = _describe_estimate(powered)
    return {"difference": row.pop("score")} | row | {"p": powered.interval.p}


def _explain(powered: Powered, *, all_reviewed: bool) -> str:
    """Why there is no estimate or no interval; "" where there are both."""
    if powered.value is None:
        return "no answer is reviewed, so there is no estimate"
    if powered.interval.low is None and powered.num_reviewed_groups < 2:
        return (
            "all reviewed answers are of one topic, so the estimate is people's mean over it, "
            "without an interval: review answers of at least two topics"
        )
    if all_reviewed:
        return "every answer is reviewed: this is people's own mean"
    return ""


def _notes(labels: PeopleLabels, models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences for the terminal and the report."""
    notes = [f"{name}: {row['note']}." for name, row in models.items() if row["note"]]
    for name, row in models.items():
        if row["num_partly_reviewed"]:
            notes.append(
                f"{name}: {row['num_partly_reviewed']} answers are reviewed in part and are not "
                "used; they count when each of their sentences has a label."
            )
        if row["num_reviewed_without_fact"]:
            notes.append(
                f"{name}: people found no fact in the reviewed answers to "
                f"{row['num_reviewed_without_fact']} questions; these are left out."
            )
        if row["num_reviewed_of_other_questions"]:
            notes.append(
                f"{name}: {row['num_reviewed_of_other_questions']} reviewed questions are not "
                "among those that every model answered; these are not in the score."
            )
    if labels.num_conflicts:
        notes.append(
            f"People disagree in {labels.num_conflicts} places; these are undetermined until "
            "somebody resolves them, and their answers count as reviewed in part."
        )
    reasons = Counter(item.reason for item in labels.unused)
    if labels.unused:
        first = labels.unused[0]
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        notes.append(
            f"{len(labels.unused)} reviews count for no evaluated answer ({listed}); the first is "
            f"{_short_path(first.path)}:{first.line}: {first.message}. All are in scores.json, "
            "people.unused."
        )
    return notes


def _short_path(path: Path) -> str:
    """The file and its folder: no other folder of this machine, as others read scores.json."""
    return "/".join(path.parts[-2:])
