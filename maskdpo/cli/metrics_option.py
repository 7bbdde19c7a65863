"""The option --metrics of commands that call a model or judge: a file of what the run counts.

The rule: the file is written before anything is spent and after everything else, whatever ends the
command, and a command without the option counts nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maskdpo.cli.options import OUTPUT_FILE
from maskdpo.config import RunConfig
from schemas.errors import ConfigError
from schemas.files.shard import Shard, part_path

if TYPE_CHECKING:
    from annotator.calls.metrics.counting import RunMetrics


def metrics_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --metrics, and pass it a `RunMetrics` as `metrics`; None without a file.

    Put it under `config_options`: the file may also come from `run.metrics`. With --estimate
    nothing is written.
    """

    @click.option(
        "--metrics",
        "metrics_file",
        type=OUTPUT_FILE,
        metavar="FILE",
        help="Write calls, tokens, cost, latency, labels and more to this file every 5 s, as "
        "OpenMetrics text; .prom for the textfile collector of node_exporter [run.metrics].",
    )
    @functools.wraps(function)
    def wrapped(config: RunConfig, *, metrics_file: Path | None, **options: Any) -> Any:
        path = metrics_file or _default(config, options.get("shard"))
        if path is None or options["estimate_only"]:
            return function(config=config, metrics=None, **options)
        with _counted(path, options) as metrics:
            return function(config=config, metrics=metrics, **options)

    return wrapped


def _default(config: RunConfig, shard: Shard | None) -> Path | None:
    """`run.metrics`, with the number of the part: parts may work at the same time."""
    path = config.run.metrics
    return path if path is None or shard is None else part_path(path, shard)


@contextmanager
def _counted(path: Path, options: Mapping[str, Any]) -> Iterator[RunMetrics]:
    from annotator.calls.metrics.counting import RunMetrics
    from annotator.calls.metrics.metrics_file import STOPS, MetricsFile

    for name, value in options.items():
        if isinstance(value, Path) and value.resolve() == path.resolve():
            raise ConfigError(
                f"--metrics {path} is also --{name.replace('_', '-')}; name another file"
            )
    metrics = RunMetrics()
    stops = (*STOPS, click.Abort)  # Ctrl-C at a question
    with MetricsFile(path, metrics.snapshot, stops=stops, warn=_warn):
        yield metrics


def _warn(text: str) -> None:
    click.echo(f"note: {text}", err=True)
