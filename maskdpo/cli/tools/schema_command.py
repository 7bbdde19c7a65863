"""`maskdpo schema NAME`."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from maskdpo.cli.options import DocumentedCommand
from schemas.errors import ConfigError, nearest

CONFIG = "config"
_CONFIG_LINE = "A whole run config (YAML), with every section: for editors."
_SENTENCE_END = re.compile(r"(?<=\.) ")


@click.command(
    "schema",
    cls=DocumentedCommand,
    examples="""
    maskdpo schema
    maskdpo schema annotation > annotation.schema.json
    maskdpo schema config > maskdpo.schema.json   (then, as first line of a run config:
        # yaml-language-server: $schema=maskdpo.schema.json)
    """,
)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """Print the JSON Schema of the record NAME, or of a run config (`config`).

    Without NAME, list the names, one per line. An editor with a YAML language server
    completes and checks a run config by the schema of `config`.
    """
    from schemas.json_schemas import RECORDS

    if name is None:
        formatter = click.HelpFormatter(width=100)
        formatter.write_dl([(CONFIG, _CONFIG_LINE), *_record_lines()])
        click.echo(formatter.getvalue(), nl=False)
    elif name == CONFIG or name in RECORDS:
        click.echo(json.dumps(_schema(name), indent=2))
    else:
        raise ConfigError(f"unknown record {name!r}; {nearest(name, [CONFIG, *RECORDS])}")


def _schema(name: str) -> dict[str, Any]:
    from maskdpo.config_schema import config_schema
    from schemas.json_schemas import json_schema

    return config_schema() if name == CONFIG else json_schema(name)


def _record_lines() -> list[tuple[str, str]]:
    """Each record with the first sentence of its description."""
    from schemas.json_schemas import RECORDS

    return [
        (name, _SENTENCE_END.split(" ".join((model.__doc__ or "").split()), maxsplit=1)[0])
        for name, model in RECORDS.items()
    ]
