"""`maskdpo study`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.options import FOLDER, DocumentedCommand

NAMES = ("methods", "topics", "noise", "best-of-n", "samples", "tuning", "all")


@click.command(
    "study",
    cls=DocumentedCommand,
    examples="""
    maskdpo study methods --quick
    maskdpo study topics --worlds 3
    maskdpo study all --estimate
    maskdpo study all --output runs/study
    """,
)
@click.argument("name", type=click.Choice(NAMES))
@click.option(
    "--worlds",
    type=click.IntRange(min=1),
    help="Number of closed worlds [methods: 10, the others: 5; --quick: 3].",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Fewer worlds and steps, and the packaged learning rates: about 5 minutes on two cores.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Worker processes, one thread each.",
)
@click.option(
    "--output",
    type=FOLDER,
    default=Path("runs/study"),
    show_default=True,
    help="Folder for results; OUTPUT/cache has all models, and a rerun continues.",
)
@click.option("--estimate", is_flag=True, help="Only print the core-hours of what is missing.")
def command(
    name: str, *, worlds: int | None, quick: bool, workers: int, output: Path, estimate: bool
) -> None:
    """Test the claims of Mask-DPO in closed worlds, where the truth is exact, on a CPU.

    methods: base, DPO, Mask-DPO, span masks, random masks. topics: topics against questions at
    equal pairs. noise: wrong labels. best-of-n: training against choosing among samples. samples:
    who wrote the responses. tuning: learning rates, on worlds of their own; each experiment runs
    it first. all: everything.

    Each world has its own people, base model and samples, and is one observation: differences have
    intervals and p values over worlds. Writes NAME.json, NAME.md (tables) and NAME.svg, with
    --quick NAME-quick. Expected core-hours are printed first; docs/study.md has the results.
    """
    from maskdpo.cli.progress import Progress
    from maskdpo.study.run import check_outputs, estimate_study, run_study

    names = [item for item in NAMES if item not in ("tuning", "all")] if name == "all" else [name]
    if estimate:
        click.echo(estimate_study(names, output, num_worlds=worlds, quick=quick))
        return
    check_outputs(names, output, quick=quick)
    for item in names:
        result = run_study(
            item, output, num_worlds=worlds, quick=quick, workers=workers, on_event=Progress()
        )
        click.echo(result.tables)
        click.echo(f"wrote {result.json}" + (f", {result.picture}" if result.picture else ""))
