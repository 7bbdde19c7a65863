"""The sidecar of annotations: everything that decided the verdicts, without a path or an address.

The rule: unknown values are not written. Prompts and served models are those of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotator.calls.identity import IdentifiedModels, describe_served
from annotator.judging.annotator import Annotator
from annotator.judging.make_judge import asks_a_model
from annotator.judging.runs.stored_replies import find_model_judges
from annotator.sampling.sample import BACKEND_PACKAGES
from schemas.files.sidecar import Sidecar, make_sidecar

# Libraries whose versions decide a text's language and which passages are shown.
_DECIDING_PACKAGES = ("py3langid", "bm25s")


def describe_run(
    annotator: Annotator,
    *,
    inputs: Mapping[str, Mapping[str, Any]],
    models: IdentifiedModels,
    counts: Mapping[str, int],
    timings: Mapping[str, float],
) -> Sidecar:
    """The sidecar of one run; `inputs` as `describe_files` returned them before it."""
    config, judge = annotator.config, annotator.judge
    backend = config.llm.backend if asks_a_model(config) and config.llm else None
    served = [model for found in models.served.values() for model in found]
    prompts = {
        language: digest
        for item in find_model_judges(judge)
        for language, digest in item.fingerprint()["prompts"].items()
    }
    return make_sidecar(
        "annotation",
        config=config.model_dump(mode="json"),
        inputs=inputs,
        packages=(
            config.text.splitter,
            *_DECIDING_PACKAGES,
            *(BACKEND_PACKAGES[backend] if backend else ()),
        ),
        models={"judge": judge.name},
        served={"judge": describe_served(served)} if served else {},
        prompts=prompts,
        counts=counts,
        timings=timings,
    )
