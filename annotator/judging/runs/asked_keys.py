"""Which calls of a judge are about given responses: their keys, found without any call.

The rule: the judge's own dialogues are followed through the stored replies, repairs included, so
the keys are those under which `annotate` finds the calls. Calls of a judge with other settings,
prompts or documents have other keys and are not found here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from annotator.calls.estimate import Estimator
from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.domains.defaults import with_domain
from annotator.judging.make_judge import asks_a_model, make_judge
from annotator.judging.tasks import prepare_tasks
from schemas.files.jsonl import Row
from schemas.records import Document, Response


def find_asked_keys(
    config: AnnotateConfig,
    responses: Sequence[Response],
    documents: Sequence[Document],
    *,
    store: Path,
) -> set[str]:
    """The keys of the calls that judging `responses` makes; empty for a judge without a model.

    Keys are included whether or not a call is stored. Raises ConfigError or BackendError where the
    judge cannot be made, InputError where the store cannot be read.
    """
    if not asks_a_model(config) or not responses:
        return set()
    config = with_domain(config)  # as `annotate` does
    rows = [Row(line=line, record=item) for line, item in enumerate(responses, start=1)]
    prepared = prepare_tasks(rows, documents, config=config, responses=Path("responses"))
    estimators: list[Estimator] = []
    with Store(store) as calls:
        judge = make_judge(config, store=calls, estimators=estimators)
        for _ in judge.judge(prepared.tasks):
            pass
    return {key for estimator in estimators for key in estimator.keys}
