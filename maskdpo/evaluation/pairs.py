"""Every pair of models, compared on the questions that both answered.

The rule: a question that one of the two did not answer is not compared, so a model gains nothing by
leaving out hard questions. The difference is the second model's score minus the first's, question
by question; `facts_change` is the same for decided sentences per answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from annotator.agreement.intervals import CHANGE, DIFFERENCE, Group
from maskdpo.evaluation.means import mean_over_questions
from maskdpo.evaluation.outcomes import ModelTally, QuestionTally


def compare_pairs(
    tallies: Mapping[str, ModelTally], groups: Mapping[str, Group]
) -> list[dict[str, Any]]:
    """One row per pair of models, in their order: `model` minus `compared_with`, the earlier."""
    return [
        {"model": second, "compared_with": first}
        | compare_two(tallies[first], tallies[second], groups)
        for first, second in combinations(tallies, 2)
    ]


def compare_two(
    first: ModelTally, second: ModelTally, groups: Mapping[str, Group]
) -> dict[str, Any]:
    """The second minus the first: score and facts per answer, with paired intervals."""
    one, other = first.answered_questions, second.answered_questions
    both = [question for question in one if question in other]
    score = mean_over_questions(
        {name: _score(other[name]) - _score(one[name]) for name in both}, groups, DIFFERENCE
    )
    facts = mean_over_questions(
        {name: other[name].facts - one[name].facts for name in both}, groups, CHANGE
    )
    before = sum(one[name].facts for name in both)
    return {
        "difference": score.value,
        "low": score.interval.low,
        "high": score.interval.high,
        "p": score.interval.p,
        "num_questions": score.num_questions,
        "num_groups": score.num_groups,
        "facts_change": facts.value,
        "facts_low": facts.interval.low,
        "facts_high": facts.interval.high,
        "facts_change_share": sum(other[name].facts for name in both) / before - 1
        if both
        else None,
    }


def _score(row: QuestionTally) -> float:
    score = row.score
    assert score is not None  # an answered question has a decided sentence
    return score
