"""Pieces of what `agreement` prints on the terminal: tables, paragraphs, figures as text.

The rule: names come from data, so they are cut to one line without control characters, and nothing
of them is read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from annotator.agreement.figures import Figure
from schemas.text.terminal import one_line

WIDTH = 80
MAX_NAME_CHARS = 24


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]
) -> None:
    """A titled table whose rows are a name and its cells."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, title_justify="left")
    table.add_column("", no_wrap=True)
    for heading in columns:
        table.add_column(escape(heading), justify="right", no_wrap=True)
    for name, cells in rows:
        table.add_row(escape(name), *(escape(cell) for cell in cells))
    click.echo(f"\n{title}")
    Console(highlight=False).print(table)


def paragraph(text: str, *, indent: int = 2) -> None:
    """One wrapped paragraph with a hanging indent."""
    lines = click.wrap_text(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2)
    )
    click.echo(lines)


def short_name(text: str) -> str:
    """A name of the data, on one line."""
    return one_line(text, MAX_NAME_CHARS)


def interval_of(figure: Figure) -> str:
    """A figure with its interval."""
    if figure.low is None or figure.high is None:
        return f"{digits(figure.value)} [-]"
    return f"{digits(figure.value)} [{digits(figure.low)}, {digits(figure.high)}]"


def digits(value: float | None) -> str:
    """A figure; a dash where it is not defined."""
    return "-" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """A difference."""
    return "-" if value is None else f"{value:+.3f}"


def p_value(value: float | None) -> str:
    """A p with two digits."""
    return "-" if value is None else f"{value:.2g}"
