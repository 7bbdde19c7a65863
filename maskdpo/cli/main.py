"""The program `maskdpo`: one command per stage, each in its own small module.

The rule: this module imports only click, so that it starts quickly. A command's module is imported
when the command or its help is called, and heavy libraries (torch, transformers, datasets, spacy)
only by the code that runs it.
"""

from __future__ import annotations

import importlib
import io
import sys
import warnings

import click

from maskdpo.cli.errors import print_error
from maskdpo.shadows import find_shadows

# The stages of a run, in its order: maskdpo/cli/commands.
STAGES = {
    "domain": "Make your own domain, and see what the judge is sent.",
    "ingest": "Turn a folder of txt, md, html, docx and pdf files into documents.",
    "questions": "Write questions that your documents answer, with a writer model.",
    "sample": "Sample K responses per question from a policy.",
    "annotate": "Label each sentence of each response against its documents.",
    "import": "Turn human labels, pairs made elsewhere or checked sheets into annotations or "
    "reviews.",
    "agreement": "Measure a judge against human sentence labels, or compare two.",
    "build": "Turn annotations into a preference data set with masks.",
    "merge": "Join the parts of a run or build (--shard I/N) into one.",
    "push": "Push a data set or model to the Hub: one commit, private unless you give --public.",
    "train": "Train a model with Mask-DPO on a built data set.",
    "evaluate": "Sample from models, annotate, score, compare and plot.",
    "skills": "Measure other skills of models (GSM8K, MATH, ...) with lm-eval.",
}
# What looks at files, checks, exports or removes: maskdpo/cli/tools.
TOOLS = {
    "demo": "Run the complete pipeline in a closed world, on a CPU, with built-in settings.",
    "study": "Test the claims of Mask-DPO in closed worlds, with intervals, on a CPU.",
    "serve": "Serve annotations over HTTP: single responses, and jobs that survive a crash.",
    "review": "Review sentences and pairs in a browser, by keyboard, alone or with others.",
    "show": "Show annotations, pairs or responses: marked sentences, evidence, masks.",
    "validate": "Check a data set folder or Hub data set, file by file and row by row.",
    "export": "Write pairs or sentences for TRL, the published code, or a spreadsheet.",
    "forget": "Permanently remove a person's reviews or a response from a run.",
    "recipes": "List the packaged run configs, or print one (--config NAME).",
    "doctor": "Show what is installed and what is missing; --config: check what a run needs.",
    "schema": "Print the JSON Schema of a record, or of a run config.",
}
COMMANDS = STAGES | TOOLS


class _LazyGroup(click.Group):
    """A group that lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        folder = "commands" if cmd_name in STAGES else "tools"
        module = importlib.import_module(f"maskdpo.cli.{folder}.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, COMMANDS))
        for title, commands in (("Stages, in the order of a run", STAGES), ("Tools", TOOLS)):
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in commands.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from schemas.errors import nearest

            ctx.fail(f"unknown command {args[0]!r}; {nearest(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: maskdpo demo. Every command has --help with examples.",
)
@click.version_option(package_name="maskdpo")
def cli() -> None:
    """Label which sentences of a response are wrong, and train a model on exactly these labels."""


def main() -> None:
    """Run the command line. Errors meant for users are one message and an exit code."""
    for sentence in find_shadows():  # first: until then, nothing of maskdpo may be imported
        click.echo(f"error: {sentence}", err=True)
        sys.exit(2)
    warnings.showwarning = _show_warning
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _show_usage(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; run the same command again to continue", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        sys.exit(print_error(error))


def _show_usage(error: click.ClickException) -> None:
    """Print what is wrong with the command line, without any key that it contains."""
    from schemas.secret_values import hide_likely_keys

    shown = io.StringIO()
    error.show(file=shown)
    click.echo(hide_likely_keys(shown.getvalue()), nl=False, err=True)


def _show_warning(  # noqa: PLR0917 - the signature of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Warnings of maskdpo are sentences for the user; a library's are printed with their source."""
    from schemas.secret_values import hide_keys
    from schemas.text.terminal import printable

    ours = category.__module__.split(".")[0] == "schemas"
    origin = "" if ours else f"{category.__name__} in {filename.rsplit('/', 1)[-1]}: "
    click.echo(f"warning: {origin}{printable(hide_keys(str(message)))}", err=True)
