"""`maskdpo serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.access import TOKEN_NAME, address_of, find_token
from maskdpo.cli.desk_opening import PACKAGES, desk_pages, open_desk
from maskdpo.cli.options import (
    DocumentedCommand,
    announce_limits,
    judge_config_options,
    paid_options,
)
from maskdpo.config import RunConfig
from maskdpo.run_store import find_run_store, same_model_option, store_option

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from annotator.calls.usage import Limits
    from annotator.judging.config import AnnotateConfig
    from annotator.service.guard.pages import Pages
    from schemas.records import Document


@click.command(
    "serve",
    cls=DocumentedCommand,
    section="serve",
    examples="""
    maskdpo serve
    maskdpo serve --config run.yaml
    maskdpo serve --config run.yaml --port 9000 --max-cost 20
    maskdpo serve --set annotate.judge=llm --set annotate.llm.model=my-judge \\
        --set annotate.llm.base_url=http://127.0.0.1:8000/v1
    """,
)
@judge_config_options
@paid_options
@click.option("--host", help="Address to listen on [serve.host, 127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port [serve.port, 8765].")
@click.option(
    "--review",
    "with_desk",
    is_flag=True,
    help="Have the review desk of the run at /review of the same address.",
)
@store_option
@same_model_option
def command(
    config: RunConfig,
    *,
    limits: Limits,
    retry_failed: bool,
    host: str | None,
    port: int | None,
    with_desk: bool,
    store: Path | None,
    same_model: bool,
) -> None:
    """Serve annotations over HTTP: at 127.0.0.1, unless another host is set.

    The judge is that of the section `annotate`; `serve.judges` adds more by name. Documents come
    with each request, or from the run's documents. A token is needed: that of the environment
    variable MASKDPO_TOKEN, or else one that is made and printed at the start.
    """
    from annotator.judging.config import AnnotateConfig
    from schemas.packages import require

    require("fastapi", "uvicorn", "httptools", "prometheus_client", needed_for="serve")
    from annotator.judging.make_judge import judge_prices
    from annotator.service.config import ServeConfig, judge_configs
    from annotator.service.listening import bind
    from annotator.service.server import serve
    from annotator.service.service import Service

    settings = config.section(ServeConfig, "serve", host=host, port=port)
    judges = judge_configs(config.section(AnnotateConfig, "annotate"), settings)
    announce_limits(limits, *(price for item in judges.values() for price in judge_prices(item)))
    token, is_new = find_token()
    documents = _read_documents(config)
    listener = bind(settings.host, settings.port)
    run_store = find_run_store(config, config.run.path("annotations.jsonl"), given=store)
    service = Service(
        settings,
        judges=judges,
        folder=config.run.dir,
        store=run_store.take_over(),
        documents=documents,
        documents_file=config.run.path("documents.jsonl"),
        limits=limits,
        same_model=same_model,
        retry_failed=retry_failed,
    )
    for note in service.judges.identify(same_model=same_model):
        click.echo(f"note: {note}", err=True)
    number = listener.getsockname()[1]
    address = address_of(settings.host, number)
    pages = _desk_of_run(config, token=token, port=number) if with_desk else []

    def announce() -> None:
        _announce(address, token if is_new else "", judges, documents)
        for item in pages:
            given = token if is_new else f"${TOKEN_NAME}"
            click.echo(f"review desk: {address}{item.prefix}?token={given}")

    serve(service, token=token, listener=listener, announce=announce, pages=pages)


def _desk_of_run(config: RunConfig, *, token: str, port: int) -> list[Pages]:
    from maskdpo.desk.config import ReviewConfig
    from schemas.packages import require

    require(*PACKAGES, needed_for="maskdpo serve --review")
    settings = config.section(ReviewConfig, "review")
    desk = open_desk(config.run.dir, settings, config.run.documents)
    return [desk_pages(desk, settings, token=token, port=port)]


def _read_documents(config: RunConfig) -> Sequence[Document]:
    from schemas.files.jsonl import read_records
    from schemas.records import Document

    path = config.run.path("documents.jsonl")
    if config.run.documents is None and not path.is_file():
        return ()
    return read_records(path, Document)


def _announce(
    address: str, token: str, judges: Mapping[str, AnnotateConfig], documents: Sequence[Document]
) -> None:
    """Print where the service is, and how to call it."""
    names = ", ".join(f"{name} ({item.judge})" for name, item in judges.items())
    click.echo(f"maskdpo serves at {address}  (Ctrl-C stops it)")
    click.echo(f"judges: {names}; documents of the run: {len(documents):,}")
    if token:
        click.echo(f"token: {token}  (for this start only; set {TOKEN_NAME} to choose one)")
    click.echo(f"API: {address}/docs")
