"""`maskdpo demo`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.options import FOLDER, DocumentedCommand

# The demo fails unless Mask-DPO is better than the base model by this much.
LEAST_GAIN = 0.05


@click.command(
    "demo",
    cls=DocumentedCommand,
    examples="""
    maskdpo demo
    maskdpo demo --output runs/other --seed 1
    """,
)
@click.option(
    "--output", type=FOLDER, default=Path("runs/demo"), show_default=True, help="Run folder."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the invented people, the base model and the samples.",
)
def command(output: Path, seed: int) -> None:
    """Run the complete pipeline in a closed world of invented people, on a CPU.

    Trains a small model from scratch on half-wrong biographies, then samples, annotates, builds,
    trains DPO and Mask-DPO, and evaluates on people who are not in the preference data. Each
    trained model's folder gets curves.html. Prints the scores, the path of the report, and the
    difference between Mask-DPO and DPO with its 95% interval. Fails if Mask-DPO is not better than
    the base model by 5 points.
    """
    from maskdpo.cli.progress import Progress
    from maskdpo.demo.config import DemoConfig
    from maskdpo.demo.run import run_demo
    from maskdpo.evaluation.show import print_scores
    from schemas.errors import MaskDpoError

    result = run_demo(DemoConfig.parse({"seed": seed}, where="demo"), output, on_event=Progress())
    print_scores(result.scores)
    click.echo(f"report: {result.report}")
    click.echo(result.conclusion)
    before, after = result.models["base"]["score"], result.models["mask_dpo"]["score"]
    if before is None or after is None:
        raise MaskDpoError("no sentence of the base model or of Mask-DPO could be judged")
    gain = after - before
    if gain < LEAST_GAIN:
        raise MaskDpoError(
            f"Mask-DPO is {100 * gain:+.1f} points from the base model, less than the "
            f"{100 * LEAST_GAIN:.0f} that this demo must reach; please report it"
        )
