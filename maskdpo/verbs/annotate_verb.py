"""`maskdpo annotate`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.config import RunConfig
from maskdpo.verbs.common import (
    INPUT_FILE,
    OUTPUT_FILE,
    VerbCommand,
    announce_judge,
    config_options,
    finish,
    require_file,
)


@click.command(
    "annotate",
    cls=VerbCommand,
    section="annotate",
    examples="""
    maskdpo annotate --config run.yaml
    maskdpo annotate --responses responses.jsonl --documents documents.jsonl \\
        --output annotations.jsonl
    maskdpo annotate --config run.yaml --set annotate.text.language=zh
    """,
)
@config_options
@click.option("--responses", type=INPUT_FILE, help="Responses [RUN/responses.jsonl].")
@click.option("--documents", type=INPUT_FILE, help="Reference documents [RUN/documents.jsonl].")
@click.option("--output", type=OUTPUT_FILE, help="Annotations [RUN/annotations.jsonl].")
@click.option("--store", type=OUTPUT_FILE, help="Finished calls [store.sqlite beside the output].")
def command(
    config: RunConfig,
    responses: Path | None,
    documents: Path | None,
    output: Path | None,
    store: Path | None,
) -> None:
    """Label each sentence of each response against its documents. A rerun continues."""
    from annotator.judging.annotate import run_annotate
    from annotator.judging.config import AnnotateConfig

    settings = config.section(AnnotateConfig, "annotate")
    output = output or config.run.path("annotations.jsonl")
    source = responses or config.run.path("responses.jsonl")
    require_file(source, made_by="make it with: maskdpo sample")
    references = documents or config.run.path("documents.jsonl")
    require_file(references, made_by="give --documents FILE, or set run.documents")
    announce_judge(settings)
    result = run_annotate(
        settings,
        responses=source,
        documents=references,
        output=output,
        store=store or output.parent / "store.sqlite",
    )
    finish(result, settings.max_failed, with_notes=False)
