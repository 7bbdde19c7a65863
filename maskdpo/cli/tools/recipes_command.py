"""`maskdpo recipes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import DocumentedCommand

if TYPE_CHECKING:
    from maskdpo.recipes import Recipe


@click.command(
    "recipes",
    cls=DocumentedCommand,
    examples="""
    maskdpo recipes
    maskdpo recipes llama-3.1-8b-lora > mine.yaml
    maskdpo recipes fsdp2 > fsdp2.yaml
    accelerate launch --config_file fsdp2.yaml --num_processes 4 \\
        -m maskdpo train --config llama-3.1-8b-4gpu
    """,
)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the packaged file NAME; without NAME, list them.

    A run config is used by its name (--config NAME), or printed into a file and edited. A file for
    accelerate is printed into a file first: accelerate launch --config_file takes a file only.
    """
    from maskdpo.recipes import accelerate_configs, find_recipe, run_configs

    if name is not None:
        click.echo(find_recipe(name).read(), nl=False)
        return
    click.echo("Run configs, for --config NAME:")
    _list(run_configs())
    click.echo("\nFor accelerate launch --config_file FILE (maskdpo recipes NAME > FILE):")
    _list(accelerate_configs())


def _list(recipes: Mapping[str, Recipe]) -> None:
    width = max(map(len, recipes))
    for recipe in recipes.values():
        click.echo(f"  {recipe.name:<{width}}  {recipe.summary}")
