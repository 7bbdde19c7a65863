"""`maskdpo doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import RUN_CONFIG, DocumentedCommand
from maskdpo.config import RunConfig, load_run_config
from schemas.errors import MaskDpoError

if TYPE_CHECKING:
    from annotator.judging.config import AnnotateConfig
    from annotator.models.config import ModelConfig
    from maskdpo.doctor.checks import Check


@click.command(
    "doctor",
    cls=DocumentedCommand,
    examples="""
    maskdpo doctor
    maskdpo doctor --config run.yaml
    maskdpo doctor --config run.yaml --set annotate.llm.base_url=http://127.0.0.1:8001/v1
    """,
)
@click.option(
    "--config",
    "config_path",
    type=RUN_CONFIG,
    metavar="FILE|NAME",
    help="Also check what this run config needs.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override one setting; may be repeated.",
)
def command(config_path: Path | None, overrides: tuple[str, ...]) -> None:
    """Show what is installed, what each command still needs, and the command that installs it.

    With --config: check servers, the models they serve, keys, prices, documents, questions, their
    ids, domain, prompts, model folders and disk space. No model is called and nothing is written;
    only the configured servers are contacted, for at most 5 seconds each. Exit code 1 on an error.
    Without --config the exit code is 0 even if packages are missing, because you may not need all
    commands.
    """
    if config_path or overrides:
        _check_run(load_run_config(config_path, overrides))
    else:
        _show_packages()


def _show_packages() -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from maskdpo.doctor.doctor import inspect_commands, inspect_packages

    console = Console(soft_wrap=True)
    packages = Table("package", "extra", "needed for", "installed", title="Packages")
    commands = Table("command", "ready", "missing", title="Commands")
    missing = [row for row in inspect_packages() if not row.version]
    for row in inspect_packages():
        name, extra = Text(row.name), Text(row.extra)
        packages.add_row(name, extra, Text(row.needed_for), Text(row.version or "-"))
    for command in inspect_commands():
        ready = "no" if command.missing else "yes"
        commands.add_row(Text(command.name), ready, Text(", ".join(command.missing)))
    console.print(packages)
    console.print(commands)
    # Plain lines, not wrapped and without style, so that they can be copied.
    for command_line in dict.fromkeys(row.command for row in missing):
        names = ", ".join(row.name for row in missing if row.command == command_line)
        click.echo(f"to install {names}:\n    {command_line}")


def _check_run(config: RunConfig) -> None:
    counts = dict.fromkeys(("ok", "warning", "error"), 0)
    for check in _checks(config):
        counts[check.status] += 1
        click.echo(f"{check.status:<8} {check.what}: {check.found}")
        if check.command:
            click.echo(f"{'':<8} next: {check.command}")
    click.echo(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['error']} errors")
    if counts["error"]:
        raise MaskDpoError("the run cannot work yet; first correct what is marked 'error'")


def _checks(config: RunConfig) -> Iterator[Check]:
    from maskdpo.doctor.checks import check_disk, check_files, check_judge

    yield from check_files(config)
    yield from _check_models(config)
    if "annotate" in config.names:
        yield from check_judge(_annotate(config))
    yield check_disk(config.run.dir)


def _check_models(config: RunConfig) -> Iterator[Check]:
    """Every model of the config: its server or its folder."""
    from annotator.models.config import SampleConfig
    from annotator.sampling.questions_config import QuestionsConfig
    from maskdpo.doctor.checks import check_model_folder
    from maskdpo.doctor.servers import check_served_model

    asked: list[tuple[str, ModelConfig]] = []
    if config.given("questions", "model"):
        asked.append(("questions", config.section(QuestionsConfig, "questions")))
    if config.given("sample", "model"):
        asked.append(("sample", config.section(SampleConfig, "sample")))
    if "annotate" in config.names and (judge := _annotate(config).llm):
        asked.append(("annotate.llm", judge))
    for where, settings in asked:
        if settings.backend == "openai":
            yield from check_served_model(where, settings)
        else:
            yield check_model_folder(where, settings.model, may_be_served=True)
    if policy := config.given("train", "model"):
        yield check_model_folder("train", str(policy), may_be_served=False)


def _annotate(config: RunConfig) -> AnnotateConfig:
    from annotator.judging.config import AnnotateConfig

    return config.section(AnnotateConfig, "annotate")
