"""What commands share: config options, the settings list of --help, the final lines."""

from __future__ import annotations

import functools
import glob
import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskdpo.config import load_run_config
from maskdpo.config_sections import section_model
from schemas.errors import Fault, InputError
from schemas.files.writing import is_special_file
from schemas.stage import StageResult, check_failures, failures_path
from schemas.text.counted import count_of
from schemas.text.terminal import printable

if TYPE_CHECKING:
    from annotator.calls.estimate import Estimate
    from annotator.calls.usage import Limits
    from annotator.judging.config import AnnotateConfig
    from annotator.models.prices import Prices

INPUT_FILE = click.Path(path_type=Path, dir_okay=False)
INPUT_ROWS = click.Path(path_type=Path)
RUN_CONFIG = click.Path(path_type=Path)  # a file, or the name of a packaged run config


class _OutputFile(click.Path):
    """A file to write: no folder, no device, no pipe, and not the empty name of an unset variable.

    Refused here, before anything is paid for; what writes refuses it once more.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("the name of the file is empty", param, ctx)
        if is_special_file(value):
            self.fail(f"{value} is a device or a pipe, and the output must be a file", param, ctx)
        return super().convert(value, param, ctx)


OUTPUT_FILE = _OutputFile(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


class DocumentedCommand(click.Command):
    """A command whose help ends with the settings of its config section and with examples."""

    def __init__(self, *args: Any, section: str = "", examples: str = "", **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.section = section
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The base's; for an option that is a setting, the error shows the right --set."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = _hint_for_option(error.option_name, given, self.section)
            if not hint:
                raise
            raise click.UsageError(f"No such option {error.option_name!r}{hint}", ctx) from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings of the command's section, then its examples."""
        if self.section:
            from maskdpo.cli.settings_help import setting_rows

            title = f"Settings (--set {self.section}.KEY=VALUE, or section {self.section!r})"
            with formatter.section(title):
                formatter.write_dl(list(setting_rows(section_model(self.section))))
        if self.examples:
            with formatter.section("Examples"):
                for line in textwrap.dedent(self.examples).strip().splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def _hint_for_option(option: str, given: Sequence[str], section: str) -> str:
    from maskdpo.cli.setting_hints import hint_for_option

    value = ""
    for index, text in enumerate(given):
        if text.partition("=")[0] == option:
            value = text.partition("=")[2] or next(iter(given[index + 1 : index + 2]), "")
    return hint_for_option(option, "" if value.startswith("-") else value, section)


_config_option = click.option(
    "--config",
    "config_path",
    type=RUN_CONFIG,
    metavar="FILE|NAME",
    help="Run config: a YAML file, or the name of a packaged one (maskdpo recipes).",
)
_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Override one setting; may be repeated.",
)
_domain_option = click.option(
    "--domain",
    metavar="NAME|FILE",
    help="Guidance for a judge model: a packaged domain (biography, general, legal, medical, "
    "zh_general), one of your own, or its YAML file [annotate.domain].",
)


def config_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --config and --set, and pass it the loaded `RunConfig` as `config`."""

    @_config_option
    @_set_option
    @functools.wraps(function)
    def wrapped(config_path: Path | None, overrides: tuple[str, ...], **options: Any) -> Any:
        return function(config=load_run_config(config_path, overrides), **options)

    return wrapped


def judge_config_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `config_options`, with --domain: it sets annotate.domain, whatever else gives one."""

    @_config_option
    @_set_option
    @_domain_option
    @functools.wraps(function)
    def wrapped(
        config_path: Path | None, overrides: tuple[str, ...], domain: str | None, **options: Any
    ) -> Any:
        # Quoted: the value of an override is read as YAML, and a domain may be called `no`.
        given = () if domain is None else (f"annotate.domain={json.dumps(domain)}",)
        config = load_run_config(config_path, (*overrides, *given))
        return function(config=config, **options)

    return wrapped


config_name_option = click.option(
    "--config-name", metavar="NAME", help="Configuration of a data set that has several."
)


def table_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --split and --config-name, which choose a part of a data set."""
    help_text = "Split of a data set folder or Hub data set [the only one, else train]."
    return click.option("--split", metavar="NAME", help=help_text)(config_name_option(function))


def require_file(path: Path, *, made_by: str) -> Path:
    """`path`; raises InputError with the command that makes it if it is missing."""
    if not path.exists():
        raise InputError([Fault(path=str(path), line=None, message=f"not found; {made_by}")])
    return path


def expand_inputs(patterns: Iterable[Path], *, made_by: str) -> list[Path]:
    """The files of paths, folders of rows and glob patterns, each once, sorted.

    An existing path is used literally, even with pattern characters. Raises InputError for a path
    or pattern that matches no file.
    """
    from schemas.files.row_folder import list_row_files

    found: set[Path] = set()
    for pattern in patterns:
        if pattern.exists():
            found.update(list_row_files(pattern))
            continue
        names = glob.glob(str(pattern), recursive=True)  # noqa: PTH207 - patterns may be absolute
        files = [path for path in map(Path, names) if path.is_file()]
        if not files:
            require_file(pattern, made_by=made_by)
        found.update(files)
    return sorted(found)


def paid_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that calls models --max-calls, --max-tokens, --max-cost and --retry-failed.

    It is passed them as `limits` (annotator.calls.usage.Limits) and `retry_failed`.
    """

    @click.option(
        "--max-calls",
        type=click.IntRange(0),
        help="Stop before more calls than this; failed calls count too. [no limit]",
    )
    @click.option(
        "--max-tokens",
        type=click.IntRange(0),
        help="Stop before more tokens than this: the sum of prompt and completion tokens of all "
        "calls of this run. [no limit]",
    )
    @click.option(
        "--max-cost",
        type=click.FloatRange(0.0),
        help="Stop before this run costs more than this, in the currency of the setting prices, "
        "which must be set. [no limit]",
    )
    @click.option("--retry-failed", is_flag=True, help="Repeat calls that failed in earlier runs.")
    @functools.wraps(function)
    def wrapped(
        max_calls: int | None,
        max_tokens: int | None,
        max_cost: float | None,
        retry_failed: bool,
        **options: Any,
    ) -> Any:
        from annotator.calls.usage import Limits

        limits = Limits(max_calls=max_calls, max_tokens=max_tokens, max_cost=max_cost)
        return function(limits=limits, retry_failed=retry_failed, **options)

    return wrapped


estimate_option = click.option(
    "--estimate",
    "estimate_only",
    is_flag=True,
    help="Print the remaining calls, tokens and cost; call no model, write nothing.",
)


def choose_plots(wanted: bool | None) -> bool:
    """Whether to draw: as asked for, else where matplotlib is installed, with a note if it is not.

    Raises MissingPackageError for plots that were asked for and cannot be drawn.
    """
    from schemas.packages import install_command, is_installed, require

    if wanted:
        require("matplotlib", needed_for="--plots")
    if wanted is None and not is_installed("matplotlib"):
        how = install_command("matplotlib")
        click.echo(f"note: the card gets no plots: matplotlib is not installed ({how})", err=True)
        return False
    return wanted is not False


plots_option = click.option(
    "--plots/--no-plots",
    default=None,
    callback=lambda _context, _option, wanted: choose_plots(wanted),
    help="Draw the card's plots [where matplotlib is installed].",
)


def announce_limits(limits: Limits, *prices: Prices | None) -> None:
    """Print a note if a limit on cost has no effect because all `prices` of the models are 0."""
    if limits.max_cost is None or not prices:
        return
    if all(item is not None and item.is_free for item in prices):
        click.echo(
            f"note: --max-cost {limits.max_cost:g} has no effect: the prices are 0, so this run "
            "costs nothing",
            err=True,
        )


def show_estimate(estimate: Estimate) -> None:
    """Print the remaining calls of a run, and what the estimate leaves out."""
    show_estimates([("", estimate)])


def show_estimates(parts: Sequence[tuple[str, Estimate]]) -> None:
    """Print the remaining calls for each of several models, by name, and the sum."""
    from annotator.calls.estimate import total_rows

    estimates = [estimate for _, estimate in parts]
    for note in dict.fromkeys(note for estimate in estimates for note in estimate.notes):
        click.echo(f"note: {printable(note)}", err=True)
    if any(item.num_calls and item.prices is None for item in estimates):
        click.echo("note: prices are not set, so not all costs are known", err=True)
    if not parts:
        click.echo("calls to make: 0")
    for title, estimate in parts:
        if len(parts) > 1:
            click.echo(f"{title}:")
        for name, value in estimate.rows():
            click.echo(f"{'  ' if len(parts) > 1 else ''}{name}: {value}")
    if len(parts) > 1:
        click.echo("in all:")
        for name, value in total_rows(estimates):
            click.echo(f"  {name}: {value}")


def announce_judge(settings: AnnotateConfig) -> list[str]:
    """Print and return the notes of a judge that needs no model, before any other output."""
    from annotator.judging.make_judge import make_judge

    notes = make_judge(settings).notes() if settings.judge == "lexical" else []
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return notes


def report_result(result: StageResult, max_failed: float, *, announced: Sequence[str] = ()) -> None:
    """Print the result of a command, then raise TooManyFailuresError if too many rows failed.

    `announced` are notes that were printed already.
    """
    for note in result.notes:
        if note not in announced:
            click.echo(f"note: {printable(note)}", err=True)
    counts = ", ".join(f"{name} {count:,}" for name, count in result.counts.items())
    if not result.fatal:
        click.echo(f"wrote {result.output}" + (f" ({counts})" if counts else ""))
    if result.table:
        print_table(result.table)
    if result.failures:
        reasons: dict[str, int] = {}
        for failure in result.failures:
            reasons[failure.reason] = reasons.get(failure.reason, 0) + 1
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        click.echo(
            f"{count_of(len(result.failures), 'row')} failed ({listed}); see "
            f"{failures_path(result.output)}",
            err=True,
        )
    check_failures(result, max_failed)


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Print (name, value) rows to the terminal; any text is safe."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(Text(printable(name)), Text(printable(value)))  # Text: not markup
    Console(stderr=True).print(table)
