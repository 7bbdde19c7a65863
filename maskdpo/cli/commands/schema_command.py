"""`maskdpo schema NAME`."""

from __future__ import annotations

import json

import click

from maskdpo.cli.options import DocumentedCommand
from schemas.errors import ConfigError, nearest


@click.command(
    "schema",
    cls=DocumentedCommand,
    examples="""
    maskdpo schema
    maskdpo schema annotation > annotation.schema.json
    """,
)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the JSON Schema of the record NAME; without NAME, list the names."""
    from schemas.json_schemas import RECORDS, json_schema

    if name is None:
        click.echo("\n".join(RECORDS))
    elif name in RECORDS:
        click.echo(json.dumps(json_schema(name), indent=2))
    else:
        raise ConfigError(f"unknown record {name!r}; {nearest(name, list(RECORDS))}")
