"""`maskdpo sample`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.config import RunConfig
from maskdpo.run_store import find_run_store, same_model_option, store_option
from maskdpo.verbs.common import (
    INPUT_FILE,
    OUTPUT_FILE,
    VerbCommand,
    config_options,
    estimate_option,
    finish,
    paid_options,
    require_file,
    show_estimate,
)

if TYPE_CHECKING:
    from annotator.generation.usage import Limits


@click.command(
    "sample",
    cls=VerbCommand,
    section="sample",
    examples="""
    maskdpo sample --config run.yaml
    maskdpo sample --questions q.jsonl --model ./my-model --output responses.jsonl
    maskdpo sample --questions q.jsonl --model my-model --output responses.jsonl \\
        --set sample.backend=openai --set sample.base_url=http://127.0.0.1:8000/v1
    """,
)
@config_options
@paid_options
@estimate_option
@click.option("--questions", type=INPUT_FILE, help="Questions [RUN/questions.jsonl].")
@click.option("--model", help="Model folder, Hub id, or the name a server gives it.")
@click.option("--output", type=OUTPUT_FILE, help="Responses [RUN/responses.jsonl].")
@store_option
@same_model_option
def command(
    config: RunConfig,
    *,
    limits: Limits,
    retry_failed: bool,
    estimate_only: bool,
    questions: Path | None,
    model: str | None,
    output: Path | None,
    store: Path | None,
    same_model: bool,
) -> None:
    """Sample K responses a question from the policy. A rerun continues where it was."""
    from annotator.generation.config import SampleConfig
    from annotator.generation.sample import estimate_sample, run_sample

    settings = config.section(SampleConfig, "sample", model=model)
    output = output or config.run.path("responses.jsonl")
    source = questions or config.run.path("questions.jsonl")
    require_file(source, made_by="give --questions FILE, one JSON object a line, or run.questions")
    run_store = find_run_store(config, output, given=store)
    if estimate_only:
        with run_store.to_read() as calls:
            show_estimate(
                estimate_sample(settings, questions=source, store=calls, retry_failed=retry_failed)
            )
        return
    result = run_sample(
        settings,
        questions=source,
        output=output,
        store=run_store.take_over(),
        limits=limits,
        retry_failed=retry_failed,
        same_model=same_model,
    )
    finish(result, settings.max_failed)
