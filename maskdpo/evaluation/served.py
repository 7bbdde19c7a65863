"""Before any call: whether the served models are those whose replies are stored.

The rule: the servers of all models and of the judge are compared with their last runs before the
first model is sampled (annotator/calls/identity.py), because each of them costs money.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from annotator.calls.identity import AskedModel, identify_models
from annotator.calls.store import Store
from annotator.judging.config import AnnotateConfig
from annotator.judging.facts.run import STORE_KIND as FACTS_KIND
from annotator.judging.make_judge import asks_a_model, make_judge
from annotator.models.config import SampleConfig
from annotator.models.make_backend import make_backend
from annotator.sampling.slots import REPLY_KIND
from maskdpo.evaluation.factscore.config import Writer


def check_served(
    samples: Mapping[str, SampleConfig],
    annotate: AnnotateConfig,
    store: Path,
    *,
    same_model: bool,
    writer: Writer | None = None,
) -> None:
    """Raise ConfigError if a server reports another model than in the last run with `store`.

    Local models need no check: the digest of their files is in the key of each call.
    """
    from annotator.judging.llm_judge import CALL_KIND
    from annotator.judging.runs.stored_replies import identify_judge

    served = [sample for sample in samples.values() if sample.backend == "openai"]
    is_judge_served = (
        asks_a_model(annotate) and annotate.llm is not None and annotate.llm.backend == "openai"
    )
    if writer is not None and writer.config.backend != "openai":
        writer = None
    if not store.exists() or not (served or is_judge_served or writer):
        return
    with Store(store) as calls:
        asked = [
            AskedModel(role=REPLY_KIND, setting="sample", backend=make_backend(sample))
            for sample in served
        ]
        identify_models(
            calls,
            asked,
            same_model=same_model,
            count_serving=lambda: calls.count(REPLY_KIND),
        )
        if is_judge_served:
            identify_judge(
                calls,
                make_judge(annotate, store=calls),
                same_model=same_model,
                count_serving=lambda: calls.count(CALL_KIND),
            )
        if writer is not None:
            backend = make_backend(writer.config)
            identify_models(
                calls,
                [AskedModel(role=FACTS_KIND, setting=writer.section, backend=backend)],
                same_model=same_model,
                count_serving=lambda: calls.count(FACTS_KIND),
            )
