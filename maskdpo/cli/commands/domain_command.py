"""`maskdpo domain new`, `show` and `check`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from annotator.judging.protocols.table import PROTOCOLS
from maskdpo.cli.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    DocumentedCommand,
    announce_judge,
    announce_limits,
    config_options,
    paid_options,
    require_file,
)
from maskdpo.config import RunConfig

if TYPE_CHECKING:
    from annotator.calls.usage import Limits
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.domains.domain import Domain
    from annotator.judging.domains.preview import TriedSentence
    from annotator.judging.judge import JudgeTask


class ProtocolChoice(click.ParamType[str]):
    """A protocol of the table, read when the option is parsed, or `all` of them."""

    name = "protocol"

    def _choice(self) -> click.Choice[str]:
        return click.Choice([*PROTOCOLS, "all"])

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The names, as --help lists them."""
        return self._choice().get_metavar(param, ctx)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, or an error that lists the names."""
        return self._choice().convert(value, param, ctx)


@click.group("domain", epilog="The guide: docs/own-domain.md")
def command() -> None:
    """Make your own domain, and see what the judge is sent.

    A domain is one YAML file: what counts as a checkable fact, what the labels mean, terms,
    examples. `annotate` uses the domain in annotate.domain.
    """


@command.command(
    "new",
    cls=DocumentedCommand,
    examples="""
    maskdpo domain new harbours
    maskdpo domain new gangkou --language zh
    maskdpo domain new harbours --output my/harbours.yaml
    """,
)
@click.argument("name")
@click.option(
    "--language",
    default="auto",
    show_default=True,
    help="ISO code of the responses' language; auto: detect it for each response.",
)
@click.option("--output", type=OUTPUT_FILE, help="File to write [configs/domains/NAME.yaml].")
def new(*, name: str, language: str, output: Path | None) -> None:
    """Write a commented domain NAME that works unchanged. An existing file is not changed."""
    from annotator.judging.domains.domain import FOLDER
    from annotator.judging.domains.templates import new_domain
    from schemas.errors import ConfigError

    text = new_domain(name, language=language)
    path = output or FOLDER / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already and is not changed; choose another name or --output"
        ) from None
    click.echo(f"wrote {path}")
    called = path if output else name
    click.echo(f"edit it, then check it: maskdpo domain check {called}", err=True)


@command.command(
    "show",
    cls=DocumentedCommand,
    examples="""
    maskdpo domain show
    maskdpo domain show medical > my_medical.yaml
    """,
)
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """Print the file of the domain NAME, to copy from; without NAME, list all domains."""
    from annotator.judging.domains.domain import find_domain, known_domains

    if name is None:
        for known in known_domains():
            click.echo(f"{known}: {find_domain(known)}")
        return
    click.echo(find_domain(name).read_bytes(), nl=False)


@command.command(
    "check",
    cls=DocumentedCommand,
    examples="""
    maskdpo domain check medical
    maskdpo domain check medical --protocol sentence
    maskdpo domain check my/harbours.yaml --dry-run --config run.yaml
    maskdpo domain check harbours --documents documents.jsonl --responses responses.jsonl
    """,
)
@config_options
@paid_options
@click.argument("name")
@click.option(
    "--documents", type=INPUT_FILE, help="Show these documents instead of the examples' documents."
)
@click.option(
    "--responses", type=INPUT_FILE, help="Show the first of these responses instead of an example."
)
@click.option(
    "--protocol",
    type=ProtocolChoice(),
    default="all",
    show_default=True,
    help="Protocol whose messages are printed in full; token counts are given for all.",
)
@click.option("--dry-run", is_flag=True, help="Run the configured judge on three sentences.")
@click.option(
    "--store", type=OUTPUT_FILE, help="File for the calls of a dry run [RUN/domain_check.sqlite]."
)
def check(
    config: RunConfig,
    *,
    limits: Limits,
    retry_failed: bool,
    name: str,
    documents: Path | None,
    responses: Path | None,
    protocol: str,
    dry_run: bool,
    store: Path | None,
) -> None:
    """Show what the judge is sent with the domain NAME (or file): prompts, tokens, sentences.

    Without --dry-run it costs nothing and needs no model. With --dry-run, the judge of section
    annotate labels three sentences: the domain's own examples, which are then left out of the
    guidance, or the first three of --responses.
    """
    from annotator.judging.config import AnnotateConfig
    from annotator.judging.domains.defaults import with_domain
    from annotator.judging.domains.domain import find_domain, load_domain
    from annotator.judging.domains.preview import (
        find_doubts,
        first_sentences,
        make_sample,
        make_trials,
        preview_protocols,
        without_tried,
    )
    from maskdpo.report.domain_show import print_domain, print_protocols, print_sentences
    from schemas.errors import ConfigError

    if (documents is None) != (responses is None):
        raise ConfigError("--documents and --responses go together; give both, or neither")
    path, domain = find_domain(name), load_domain(name)
    settings = config.section(AnnotateConfig, "annotate", domain=str(path))
    merged = with_domain(settings, domain)
    tasks = _read_tasks(merged, documents, responses) if documents and responses else []
    task = tasks[0] if tasks else make_sample(domain, merged)
    print_domain(domain, name=name, path=path, doubts=find_doubts(domain, merged))
    print_protocols(preview_protocols(domain, merged, task), wanted=protocol)
    print_sentences(task)
    if dry_run:
        trials = first_sentences(tasks) if tasks else make_trials(domain)
        judged_by = domain if tasks else without_tried(domain)
        path = store or config.run.path("domain_check.sqlite")
        _try(settings, judged_by, trials, store=path, limits=limits, retry_failed=retry_failed)


def _read_tasks(config: AnnotateConfig, documents: Path, responses: Path) -> Sequence[JudgeTask]:
    """The tasks from a user's own files. Raises InputError when no response can be judged."""
    from annotator.judging.tasks import prepare_tasks
    from schemas.errors import InputError
    from schemas.files.jsonl import read_records, read_rows
    from schemas.records import Document, Response

    rows = read_rows(require_file(responses, made_by="make it with: maskdpo sample"), Response)
    require_file(documents, made_by="make it with: maskdpo ingest")
    prepared = prepare_tasks(
        rows, read_records(documents, Document), config=config, responses=responses
    )
    tasks = [task for task in prepared.tasks if any(item.text.strip() for item in task.documents)]
    if not tasks:
        details = [failure.detail for failure in prepared.failures[:1]]
        why = details[0] if details else "none has a document with text"
        raise InputError.of(responses, f"no response can be judged: {why}")
    return tasks


def _try(
    config: AnnotateConfig,
    domain: Domain,
    trials: Sequence[TriedSentence],
    *,
    store: Path,
    limits: Limits,
    retry_failed: bool,
) -> None:
    """Judge the sentences and print the verdicts. Without a judge model nothing is stored."""
    from annotator.calls.store import Store
    from annotator.judging.make_judge import asks_a_model, judge_meter, judge_prices, make_judge
    from maskdpo.cli.options import print_table
    from maskdpo.report.domain_show import print_trials

    tasks = [trial.task for trial in trials]
    meter = judge_meter(config, limits)
    with ExitStack() as stack:
        calls = None
        if asks_a_model(config):
            calls = stack.enter_context(Store(store, retry_failed=retry_failed))
            calls.begin_run("domain check", {})
        else:
            click.echo("note: this judge does not use the domain's guidance for its labels")
        announce_judge(config)
        announce_limits(limits, *judge_prices(config))
        judge = make_judge(config, store=calls, meter=meter, domain=domain)
        outcomes = {id(task): outcome for batch in judge.judge(tasks) for task, outcome in batch}
    print_trials(trials, [outcomes[id(task)] for task in tasks], judge=judge.name)
    if calls is not None:
        print_table(meter.rows())
