"""The best of n responses: what a reader gets who samples n times and keeps the best one.

The rule: the expected best of n is computed from all K responses to a question, without drawing and
without bias. Of the C(K, n) ways to choose n of the sorted scores s_1 <= ... <= s_K, the i-th is
the best of C(i - 1, n - 1), so

    E[best of n] = sum over i of s_i * C(i - 1, n - 1) / C(K, n)

(the estimator of pass@k, Chen et al. 2021, arXiv 2107.03374, for scores that are not 0 or 1). The
best one is chosen by the score itself: a selector that knows the truth, so an upper limit of what
reranking can do. n = 1 is the mean score of a response, n = K the best that was seen.

A response without a decided fact has no score. Here it counts as 0, like a response that is wrong
throughout: were it left out, a model that answers only where it is sure would gain, and the curve
would be over other questions for each model. So the mean is over all questions that were asked, and
a refusal is never better than a wrong answer. A response that was requested and is not there counts
as 0, too: every question of a model has the same K, the number requested of it (for answers from a
file: the most that it has for one question). `num_without_fact` is the number of these zeros. The
value for n = 1 is the mean score of one response: unlike the score of the table it is not pooled
over the sentences of a question, and it is over all questions.

Degenerate cases: K = 1 has one point; equal scores give that score for every n; n outside 1 to K is
a ValueError, because it cannot be estimated without assumptions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from annotator.agreement.intervals import SHARE, Group
from maskdpo.evaluation.means import mean_over_questions
from schemas.records import Annotation
from schemas.scores import score_labels


def best_of_n(scores: Iterable[float | None], n: int) -> float:
    """The expected best of n responses to one question, from the scores of all K of them.

    scores   of each response, in any order and of any range; None (no decided fact) counts as 0
    n        how many are drawn, without replacement; 1 to K

    Raises ValueError for another n, without scores, and for a score that is not a finite number.
    """
    ranked = sorted(0.0 if score is None else float(score) for score in scores)
    if not all(map(math.isfinite, ranked)):
        raise ValueError("a score is not a finite number; give None for a response without one")
    if not 1 <= n <= len(ranked):
        raise ValueError(f"n is {n}, but with {len(ranked)} scores it must be 1 to {len(ranked)}")
    # Whole numbers until the division: no rounding for large K.
    num_ways = math.comb(len(ranked), n)
    return math.fsum(
        score * (math.comb(place, n - 1) / num_ways) for place, score in enumerate(ranked)
    )


def curve_steps(most: int) -> list[int]:
    """1, 2, 4, 8 ... and `most` itself."""
    return sorted({1 << power for power in range(most.bit_length())} | {most})


def best_of_curve(
    annotations: Sequence[Annotation],
    questions: Sequence[str],
    groups: Mapping[str, Group],
    num_responses: int,
) -> dict[str, Any]:
    """One model's curve over n = 1, 2, 4 ... `num_responses`, for scores.json.

    Each point has `n`, `score` and its 95% interval (`low`, `high`) over topics.
    """
    found: defaultdict[str, list[float | None]] = defaultdict(list)
    for item in annotations:
        score = score_labels(sentence.verdict.label for sentence in item.sentences).score
        found[item.question_id].append(score)
    most = max([num_responses, *(len(found[name]) for name in questions)])
    for name in questions:
        found[name] += [None] * (most - len(found[name]))
    points = []
    for n in curve_steps(most):
        values = {name: best_of_n(found[name], n) for name in questions}
        mean = mean_over_questions(values, groups, SHARE)
        low, high = mean.interval.low, mean.interval.high
        points.append({"n": n, "score": mean.value, "low": low, "high": high})
    num_without = sum(score is None for name in questions for score in found[name])
    return {"num_responses": most, "num_without_fact": num_without, "points": points}
