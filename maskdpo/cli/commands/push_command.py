"""`maskdpo push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from maskdpo.cli.options import FOLDER, INPUT_FILE, DocumentedCommand, config_options, require_file
from maskdpo.config import RunConfig
from schemas.text.terminal import printable

if TYPE_CHECKING:
    from maskdpo.publishing.push import PushPlan


@click.command(
    "push",
    cls=DocumentedCommand,
    examples="""
    maskdpo push dataset --repo org/pairs --dry-run
    maskdpo push dataset --repo org/pairs --license cc-by-4.0 --public
    maskdpo push dataset --repo org/pairs --pull-request
    maskdpo push model --repo org/model --base org/base --dataset org/pairs \\
        --scores evaluation/scores.json --license apache-2.0
    """,
)
@config_options
@click.argument("folder", type=FOLDER)
@click.option("--repo", required=True, metavar="ORG/NAME", help="Repository on the Hub.")
@click.option("--public", is_flag=True, help="Make it public [private].")
@click.option(
    "--gated", is_flag=True, help="Gated: readers must log in and share their contact details."
)
@click.option("--branch", default="main", show_default=True, help="Branch; created if missing.")
@click.option("--pull-request", is_flag=True, help="Open a pull request instead of a commit.")
@click.option(
    "--dry-run", is_flag=True, help="Check everything, print what would be sent, send nothing."
)
@click.option(
    "--license", "license_id", default="", help="Licence by its Hub id, such as cc-by-4.0."
)
@click.option("--message", default="", help="Message of the commit.")
@click.option("--base", help="Model: its base model [train.model].")
@click.option("--dataset", help="Model: the data set it was trained on.")
@click.option("--scores", type=INPUT_FILE, help="Model: scores.json of maskdpo evaluate.")
def command(
    config: RunConfig,
    *,
    folder: Path,
    repo: str,
    public: bool,
    gated: bool,
    branch: str,
    pull_request: bool,
    dry_run: bool,
    license_id: str,
    message: str,
    base: str | None,
    dataset: str | None,
    scores: Path | None,
) -> None:
    """Push a data set or model FOLDER to the Hub: one commit, private unless you give --public.

    An existing card is merged with the new one, and what people wrote in it is kept. The token is
    taken from HF_TOKEN or from your login. A data set with reviewers' names is refused unless it
    was built with build.publish_names=true.
    """
    from maskdpo.publishing.model_card import ModelFacts, read_scores
    from maskdpo.publishing.push import PushOptions, run_push

    require_file(folder, made_by="make it with: maskdpo build (a data set) or maskdpo train")
    options = PushOptions(
        repo=repo,
        branch=branch,
        public=public,
        gated=gated,
        pull_request=pull_request,
        dry_run=dry_run,
        message=message,
        license=license_id,
    )
    facts = ModelFacts(
        title=repo.rsplit("/", maxsplit=1)[-1],
        base=base or str(config.given("train", "model") or ""),
        dataset=dataset or "",
        license=license_id,
        scores=read_scores(scores) if scores else None,
    )
    result = run_push(folder, options, facts)
    _print_plan(result.plan, options.public or not result.plan.state.private)
    if result.commit is None:
        click.echo("dry run: nothing was sent")
    elif result.commit.changed:
        click.echo(f"pushed: {result.commit.url}")
    else:
        click.echo("nothing to change: the Hub already has all of it")


def _print_plan(plan: PushPlan, public: bool) -> None:
    standing = "" if plan.state.exists or plan.unread else "new, "
    who = "public" if public else "private"
    click.echo(f"{plan.repo_type} {plan.repo} ({standing}{who}), branch {plan.branch}")
    for name, size in plan.sizes.items():
        click.echo(f"  {size:>12,} {printable(name)}")
    for name in plan.delete:
        click.echo(f"  {'delete':>12} {printable(name)}")
    for line in plan.people.describe() if plan.people is not None else ():
        click.echo(printable(line))
    for text in plan.kept:
        click.echo(f"note: not changed on the Hub's card: {printable(text)}", err=True)
    if plan.unread:
        text = "the Hub was not read, so there is no comparison with its content"
        click.echo(f"note: {text}: {printable(plan.unread)}", err=True)
    if plan.left:
        listed = ", ".join(plan.left[:5]) + (", ..." if len(plan.left) > 5 else "")
        click.echo(f"note: {len(plan.left)} files are not sent: {printable(listed)}", err=True)
