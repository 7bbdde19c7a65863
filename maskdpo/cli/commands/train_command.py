"""`maskdpo train`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from maskdpo.cli.errors import print_error
from maskdpo.cli.options import (
    FOLDER,
    DocumentedCommand,
    config_name_option,
    config_options,
    report_result,
    require_file,
)
from maskdpo.config import RunConfig


def _ends_together(function: Callable[..., None]) -> Callable[..., None]:
    """Several processes, started by a launcher, end together, and an error is printed once."""

    @functools.wraps(function)
    def wrapped(**options: Any) -> None:
        from trainer.ending import ending_together

        with ending_together(print_error):
            function(**options)

    return wrapped


@click.command(
    "train",
    cls=DocumentedCommand,
    section="train",
    examples="""
    maskdpo train --config run.yaml
    maskdpo train --dataset dataset --model ./my-model --output model
    maskdpo train --dataset org/pairs@main --split train_prefs --model ./my-model --output model
    maskdpo train --config run.yaml --set train.use_spans=false --output dpo-model
    maskdpo train --config run.yaml --set train.lora={} --set train.learning_rate=5e-6
    maskdpo train --config run.yaml --set train.lora.rank=64 --set train.early_stopping_patience=2
    maskdpo train --config llama-3.1-8b-lora --set train.report_to=tensorboard
    maskdpo recipes fsdp2 > fsdp2.yaml
    accelerate launch --config_file fsdp2.yaml --num_processes 4 \\
        -m maskdpo train --config llama-3.1-8b-4gpu
    """,
)
@_ends_together
@config_options
@click.option(
    "--dataset",
    metavar="DATASET",
    help="Data set: a folder, a file of pairs (.jsonl, .json, .parquet, .arrow), a folder of the "
    "library datasets, or ORG/NAME[@REVISION] on the Hub [RUN/dataset].",
)
@click.option(
    "--split", metavar="NAME", help="Split that trains, of a folder or a Hub data set [train]."
)
@click.option(
    "--test-split",
    metavar="NAME",
    help="Split on which the loss is measured [test, where there is one].",
)
@config_name_option
@click.option("--model", help="Model folder or Hub id to train.")
@click.option("--output", type=FOLDER, help="Folder for the trained model [RUN/model].")
def command(
    config: RunConfig,
    *,
    dataset: str | None,
    split: str | None,
    test_split: str | None,
    config_name: str | None,
    model: str | None,
    output: Path | None,
) -> None:
    """Train a model with Mask-DPO on a built data set. A rerun continues.

    DATASET may also be preference pairs made elsewhere (columns prompt, chosen, rejected): pairs
    without sentence spans train as stock DPO. A path that exists wins over a Hub data set.

    The model folder also gets training_log.jsonl and its curves, curves.html. Recipes for models
    and GPUs: maskdpo recipes. All settings: docs/training.md.
    """
    from maskdpo.data_sets.training import Chosen, find_training_data
    from trainer.config import TrainConfig
    from trainer.processes import is_main
    from trainer.run import run_train

    settings = config.section(TrainConfig, "train", model=model)
    chosen = Chosen(split=split, test_split=test_split, config_name=config_name)
    source = find_training_data(dataset or str(config.run.path("dataset")), chosen)
    if isinstance(source, Path):
        require_file(source, made_by="make it with: maskdpo build")
    result = run_train(settings, dataset=source, output=output or config.run.path("model"))
    if is_main():
        _draw_curves(result.output)
        report_result(result, settings.max_failed)


def _draw_curves(folder: Path) -> None:
    """Write the run's curves next to its model; a full disk here does not fail the run."""
    from maskdpo.report.training_page import write_training_page
    from schemas.packages import install_command, is_installed

    if not is_installed("matplotlib"):
        how = install_command("matplotlib")
        click.echo(f"note: curves were not drawn: matplotlib is not installed ({how})", err=True)
        return
    try:
        page = write_training_page(folder)
    except OSError as error:
        click.echo(f"note: {folder}: curves were not written: {error.strerror or error}", err=True)
        return
    if page is not None:
        click.echo(f"curves: {page}")
