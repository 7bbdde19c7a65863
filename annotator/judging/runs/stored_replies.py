"""What a judging run finds in its store before its first call: models, settings, stored calls.

The rule: the run's own dialogues are followed through the store with the assumed replies of
annotator/judging/estimating_judge.py, so the counted calls are those that the run will look up,
each once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from annotator.calls.changes import describe_changes
from annotator.calls.estimate import Estimator
from annotator.calls.identity import AskedModel, IdentifiedModels, identify_models
from annotator.calls.store import Store
from annotator.judging.annotator import Annotator
from annotator.judging.cascade_judge import CascadeJudge
from annotator.judging.estimating_judge import EstimatingJudge
from annotator.judging.judge import Judge, JudgeTask
from annotator.judging.llm_judge import CALL_KIND, LlmJudge
from schemas.events import Noted

# Settings that earlier versions recorded with a run; they have no effect any more.
_FORMER_SETTINGS = ("protocol_version",)


def begin_run(
    annotator: Annotator, tasks: Sequence[JudgeTask], *, stage: str, same_model: bool
) -> IdentifiedModels:
    """Record a run of `stage` with its models and settings, before anything is spent.

    The cost of a changed setting is reported as an event. Raises ConfigError where another model is
    served than in the last run on the store (annotator/calls/identity.py).
    """
    store, judge = annotator.store, annotator.judge
    assert store is not None

    def count() -> int:
        return count_serving(judge, tasks)

    models = identify_judge(store, judge, same_model=same_model, count_serving=count)
    now = judge.fingerprint()
    before = store.begin_run(stage, now, models=models.records)
    if before is None or not find_model_judges(judge):
        return models
    before = {name: value for name, value in before.items() if name not in _FORMER_SETTINGS}
    if before != now and (num_stored := store.count(CALL_KIND)):
        changed = describe_changes(before, now, num_stored=num_stored, num_serving=count())
        if changed:
            annotator.on_event(Noted(text=changed))
    return models


def identify_judge(
    store: Store, judge: Judge, *, same_model: bool, count_serving: Callable[[], int]
) -> IdentifiedModels:
    """What servers report for the models within `judge` (annotator/calls/identity.py)."""
    asked = asked_models(judge)
    return identify_models(store, asked, same_model=same_model, count_serving=count_serving)


def asked_models(judge: Judge) -> list[AskedModel]:
    """The models within `judge`."""
    return [
        AskedModel(role=CALL_KIND, setting="annotate.llm", backend=item.backend)
        for item in find_model_judges(judge)
    ]


def find_model_judges(judge: Judge) -> list[LlmJudge]:
    """The judges within `judge` that call a model."""
    if isinstance(judge, LlmJudge):
        return [judge]
    if isinstance(judge, CascadeJudge):
        return [*find_model_judges(judge.first), *find_model_judges(judge.second)]
    return []


def count_serving(judge: Judge, tasks: Sequence[JudgeTask]) -> int:
    """How many stored calls `judge` would look up for `tasks`; makes no call."""
    estimators: list[Estimator] = []
    for _ in _without_asking(judge, estimators).judge(tasks):
        pass
    return sum(estimator.num_stored for estimator in estimators)


def _without_asking(judge: Judge, estimators: list[Estimator]) -> Judge:
    """The judge with every model in it replaced by one that makes no calls."""
    if isinstance(judge, LlmJudge):
        estimating = EstimatingJudge(judge)
        estimators.append(estimating.estimator)
        return estimating
    if isinstance(judge, CascadeJudge):
        return CascadeJudge(
            judge.config,
            first=_without_asking(judge.first, estimators),
            second=_without_asking(judge.second, estimators),
        )
    return judge
