"""`maskdpo forget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.command_line import run_options
from maskdpo.cli.options import DocumentedCommand, config_options
from maskdpo.config import RunConfig
from maskdpo.run_store import find_run_store, store_option

if TYPE_CHECKING:
    from maskdpo.forgetting.forget import Forgetting

_MAX_PATHS = 20


@click.command(
    "forget",
    cls=DocumentedCommand,
    examples="""
    maskdpo forget --who "A. Reader" --config run.yaml --dry-run
    maskdpo forget --who "A. Reader" --config run.yaml
    maskdpo forget --response q12-3 --response q12-4 --set run.dir=runs/mine
    """,
)
@config_options
@click.option(
    "--who", "people", multiple=True, metavar="NAME", help="A reviewer's name; may be repeated."
)
@click.option(
    "--response", "responses", multiple=True, metavar="ID", help="A response's id; may be repeated."
)
@click.option(
    "--dry-run", is_flag=True, help="Print what would be removed from each file; change nothing."
)
@store_option
def command(
    config: RunConfig,
    *,
    people: tuple[str, ...],
    responses: tuple[str, ...],
    dry_run: bool,
    store: Path | None,
) -> None:
    """Permanently remove a person's reviews, or a response and its calls, from a run.

    RUN/forgotten.jsonl keeps a salted hash of each name and id, so that `import`, `sample`,
    `annotate` and `build` do not add them again. Data sets, sheets, models and what was pushed are
    listed but not changed. If the command is stopped, run it again to finish.
    """
    from maskdpo.forgetting.forget import run_forget

    if not people and not responses:
        raise click.UsageError("give what to remove: --who NAME or --response ID")
    if blank := [name for name in (*people, *responses) if not name.strip()]:
        raise click.UsageError(f"{blank[0]!r} is not a name or an id")
    own = find_run_store(config, config.run.path("responses.jsonl"), given=store).path
    done = run_forget(config, people=people, responses=responses, store=own, dry_run=dry_run)
    _print_changes(done, dry_run=dry_run)
    _print_elsewhere(done, config.run.dir)
    if dry_run:
        click.echo("dry run: nothing was changed")


def _print_changes(done: Forgetting, *, dry_run: bool) -> None:
    """Print one line per file, then notes."""
    would = "would be " if dry_run else ""
    for change in done.changes:
        parts = [f"{_count(change.num_removed, 'row')} {would}removed"] * bool(change.num_removed)
        if change.num_masked:
            parts.append(f"{_count(change.num_masked, 'mention')} {would}replaced")
        click.echo(f"{change.path}: {', '.join(parts)}")
    calls = {path: found for path, found in done.calls.items() if found.keys}
    for path, found in calls.items():
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in found.by_kind.items())
        listed = f" ({kinds})" if kinds else ""
        click.echo(f"{path}: {_count(len(found.keys), 'stored call')} {would}removed{listed}")
    if not done.changes and not calls:
        click.echo("nothing is left to remove")
    if not dry_run:
        click.echo(f"added to forgotten.jsonl: {done.num_new:,}")
    for name in done.before:
        click.echo(f"note: {name!r} was removed before, and no row contains it", err=True)
    for name, others in done.shared.items():
        listed = ", ".join(map(repr, others[:3])) + (", ..." if len(others) > 3 else "")
        click.echo(
            f"note: {listed} has the same text as {name!r}: that text stays, and so do the "
            "calls that they share. Remove those too if the text must be removed",
            err=True,
        )
    for note in done.notes:
        click.echo(f"note: {note}", err=True)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _print_elsewhere(done: Forgetting, folder: Path) -> None:
    """Print the files that this command does not change."""
    if done.mentions:
        click.echo("not changed, but still containing a name or id:")
        for path in done.mentions[:_MAX_PATHS]:
            click.echo(f"  {path}")
        if len(done.mentions) > _MAX_PATHS:
            click.echo(f"  and {len(done.mentions) - _MAX_PATHS:,} more")
    for path in done.unread:
        click.echo(f"note: {path} cannot be searched; check it yourself", err=True)
    if (folder / "dataset").exists():
        click.echo(
            f"note: {folder / 'dataset'} was built before; build it again: "
            f"maskdpo build{run_options()}",
            err=True,
        )
    click.echo(
        "note: pushed data sets are not changed. The Hub keeps every earlier version: push again "
        "and squash the history, or delete the repository. A trained model keeps what it "
        "learned: train it again",
        err=True,
    )
