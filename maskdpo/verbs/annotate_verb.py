"""`maskdpo annotate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    INPUT_FILE,
    OUTPUT_FILE,
    VerbCommand,
    announce_judge,
    config_options,
    estimate_option,
    finish,
    paid_options,
    require_file,
    show_estimate,
)
from schemas.errors import InputError
from schemas.files import read_lines

if TYPE_CHECKING:
    from annotator.generation.usage import Limits


@click.command(
    "annotate",
    cls=VerbCommand,
    section="annotate",
    examples="""
    maskdpo annotate --config run.yaml
    maskdpo annotate --responses responses.jsonl --documents documents.jsonl \\
        --output annotations.jsonl
    maskdpo annotate --config run.yaml --set annotate.text.language=zh
    maskdpo annotate --responses responses.jsonl --documents documents.jsonl \\
        --output annotations.jsonl --set annotate.judge=llm --set annotate.llm.model=my-judge \\
        --set annotate.llm.base_url=http://127.0.0.1:8000/v1 --max-calls 1000
    """,
)
@config_options
@paid_options
@estimate_option
@click.option("--responses", type=INPUT_FILE, help="Responses [RUN/responses.jsonl].")
@click.option("--documents", type=INPUT_FILE, help="Reference documents [RUN/documents.jsonl].")
@click.option("--output", type=OUTPUT_FILE, help="Annotations [RUN/annotations.jsonl].")
@click.option("--store", type=OUTPUT_FILE, help="Finished calls [store.sqlite beside the output].")
def command(
    config: RunConfig,
    *,
    limits: Limits,
    retry_failed: bool,
    estimate_only: bool,
    responses: Path | None,
    documents: Path | None,
    output: Path | None,
    store: Path | None,
) -> None:
    """Label each sentence of each response against its documents. A rerun continues."""
    from annotator.judging.annotate import run_annotate
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.estimate import estimate_annotate
    from annotator.judging.language_notes import language_notes

    settings = config.section(AnnotateConfig, "annotate")
    output = output or config.run.path("annotations.jsonl")
    source = responses or config.run.path("responses.jsonl")
    require_file(source, made_by="make it with: maskdpo sample")
    _refuse_labels(source)
    references = documents or config.run.path("documents.jsonl")
    require_file(references, made_by="give --documents FILE, or set run.documents")
    store = store or output.parent / "store.sqlite"
    if estimate_only:
        show_estimate(
            estimate_annotate(
                settings,
                responses=source,
                documents=references,
                store=store,
                retry_failed=retry_failed,
            )
        )
        return
    announce_judge(settings)
    for note in language_notes(settings, source):
        click.echo(f"note: {note}", err=True)
    result = run_annotate(
        settings,
        responses=source,
        documents=references,
        output=output,
        store=store,
        limits=limits,
        retry_failed=retry_failed,
    )
    finish(result, settings.max_failed, with_notes=settings.judge != "lexical")


def _refuse_labels(responses: Path) -> None:
    """Say what labelled responses are for: the first row of such a file has 'sentences'."""
    line, text = next(iter(read_lines(responses)), (1, b""))
    try:
        is_labelled = "sentences" in json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return
    if is_labelled:
        message = (
            "the rows have labels already ('sentences'); measure a judge against them with: "
            f"maskdpo agreement --gold {responses}"
        )
        raise InputError.of(responses, message, line=line)
