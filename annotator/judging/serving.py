"""How many stored calls serve a run, counted before it asks anything.

The rule: the run's own dialogues are followed through the store with the foreseen replies of
annotator/judging/foreseen.py, so the count is of calls that the run will look up, each once.
"""

from __future__ import annotations

from collections.abc import Sequence

from annotator.generation.estimate import Estimator
from annotator.judging.cascade import CascadeJudge
from annotator.judging.foreseen import ForeseenJudge
from annotator.judging.judge import Judge, JudgeTask
from annotator.judging.llm_judge import LlmJudge


def find_model_judges(judge: Judge) -> list[LlmJudge]:
    """The judges within `judge` that ask a model."""
    if isinstance(judge, LlmJudge):
        return [judge]
    if isinstance(judge, CascadeJudge):
        return [*find_model_judges(judge.first), *find_model_judges(judge.second)]
    return []


def count_serving(judge: Judge, tasks: Sequence[JudgeTask]) -> int:
    """How many stored calls `judge` would look up for `tasks`; asks nothing."""
    estimators: list[Estimator] = []
    for _ in _foresee(judge, estimators).judge(tasks):
        pass
    return sum(estimator.num_stored for estimator in estimators)


def _foresee(judge: Judge, estimators: list[Estimator]) -> Judge:
    """The judge with every model in it replaced by one that asks nothing."""
    if isinstance(judge, LlmJudge):
        foreseen = ForeseenJudge(judge)
        estimators.append(foreseen.estimator)
        return foreseen
    if isinstance(judge, CascadeJudge):
        return CascadeJudge(
            judge.config,
            first=_foresee(judge.first, estimators),
            second=_foresee(judge.second, estimators),
        )
    return judge
