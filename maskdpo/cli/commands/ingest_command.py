"""`maskdpo ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.options import OUTPUT_FILE, DocumentedCommand, config_options, report_result
from maskdpo.config import RunConfig

TOPIC_RULES = ("file", "folder", "title")


@click.command(
    "ingest",
    cls=DocumentedCommand,
    section="ingest",
    examples="""
    maskdpo ingest papers --output documents.jsonl
    maskdpo ingest papers --config run.yaml --license CC-BY-4.0 --topic folder
    maskdpo ingest 资料 --language zh --set ingest.encoding=gb18030
    """,
)
@config_options
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--output", type=OUTPUT_FILE, help="Documents [RUN/documents.jsonl].")
@click.option(
    "--topic", type=click.Choice(TOPIC_RULES), help="What a document's topic is taken from."
)
@click.option("--language", help="ISO code of the documents' language, if it need not be detected.")
@click.option("--license", "license_name", help="Licence for files that do not name one.")
def command(
    config: RunConfig,
    *,
    folder: Path,
    output: Path | None,
    topic: str | None,
    language: str | None,
    license_name: str | None,
) -> None:
    """Turn a FOLDER of txt, md, html, docx and pdf files, with subfolders, into documents.

    A file without readable text (encrypted, damaged, scanned, too large) is recorded next to the
    output with its reason, and the others are read. Details: docs/ingest.md.
    """
    from annotator.documents.ingest import run_ingest
    from annotator.documents.ingest_config import IngestConfig
    from maskdpo.cli.progress import Progress

    settings = config.section(
        IngestConfig, "ingest", topic=topic, language=language, license=license_name
    )
    result = run_ingest(
        settings,
        folder=folder,
        output=output or config.run.path("documents.jsonl"),
        on_event=Progress(),
    )
    report_result(result, settings.max_failed)
