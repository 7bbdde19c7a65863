"""`maskdpo show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from formats.reviews import REVIEW_FILES
from maskdpo.cli.options import (
    INPUT_FILE,
    OUTPUT_FILE,
    DocumentedCommand,
    config_name_option,
    config_options,
    require_file,
)
from maskdpo.config import RunConfig
from schemas.errors import nearest
from schemas.labels import Label
from schemas.text.terminal import printable

if TYPE_CHECKING:
    from maskdpo.show.choice import Choice, Chosen
    from maskdpo.show.sources import Source

TERMINAL_ROWS = 10
PAGE_ROWS = 500
_MAX_FAULTS = 3


def _read_labels(
    _ctx: click.Context, _option: click.Parameter, words: tuple[str, ...]
) -> frozenset[Label]:
    """Labels by their names, also as they are shown: 'no fact'."""
    names = [word.strip().lower().replace(" ", "_").replace("-", "_") for word in words]
    known = [label.value for label in Label]
    for word, name in zip(words, names, strict=True):
        if name not in known:
            raise click.BadParameter(f"{word!r} is not a label; {nearest(name, known)}")
    return frozenset(map(Label, names))


@click.command(
    "show",
    cls=DocumentedCommand,
    examples="""
    maskdpo show
    maskdpo show annotations.jsonl --label contradictory --sample 5
    maskdpo show annotations.jsonl --reason no_document --topic rivers
    maskdpo show annotations.jsonl --html annotations.html
    maskdpo show dataset --split test --html pairs.html
    maskdpo show ORG/NAME --sample 5
    """,
)
@config_options
@click.argument("source", required=False)
@click.option(
    "--label",
    "labels",
    multiple=True,
    callback=_read_labels,
    help="Rows with a sentence of this label; may be repeated: "
    + ", ".join(label.value for label in Label)
    + ". [all]",
)
@click.option("--topic", "topics", multiple=True, help="Rows of this topic; may be repeated. [all]")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    help="Rows with a sentence whose verdict has this reason, such as no_document; may be "
    "repeated. [all]",
)
@click.option(
    "--id",
    "ids",
    multiple=True,
    help="The row with this id, or the rows of the question with this id; may be repeated. [all]",
)
@click.option(
    "--sample", type=click.IntRange(1), help="This many of the rows, chosen at random. [the first]"
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of --sample: the same seed chooses the same rows.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    help=f"At most this many rows. [{TERMINAL_ROWS}; with --html {PAGE_ROWS}]",
)
@click.option(
    "--split",
    metavar="NAME",
    help="This split of a data set. [train and test of a data set of maskdpo, else the only one, "
    "else train]",
)
@config_name_option
@click.option(
    "--documents",
    type=INPUT_FILE,
    help="Documents, for the words of the evidence. [documents.jsonl next to SOURCE, else of RUN]",
)
@click.option(
    "--html",
    "page",
    type=OUTPUT_FILE,
    help="Write one HTML page that opens offline, with the documents next to the answers.",
)
def command(
    config: RunConfig,
    *,
    source: str | None,
    labels: frozenset[Label],
    topics: tuple[str, ...],
    reasons: tuple[str, ...],
    ids: tuple[str, ...],
    sample: int | None,
    seed: int,
    limit: int | None,
    split: str | None,
    config_name: str | None,
    documents: Path | None,
    page: Path | None,
) -> None:
    """Show the rows of SOURCE: marked sentences, their verdicts, evidence, what trains.

    SOURCE is a file of annotations [RUN/annotations.jsonl], responses or pairs, a data set folder,
    or the pairs of a data set on the Hub (ORG/NAME[@REVISION]). A path that exists wins over a Hub
    data set. Each sentence is followed by its number and a symbol:
    ✓ correct, ✗ hallucinated, – no fact, ? undetermined. In a pair, `masked` marks what does not
    train.
    """
    from maskdpo.show.choice import Choice
    from maskdpo.show.sources import find_source

    if page:
        _refuse_to_replace(page)
    if documents is not None:
        require_file(documents, made_by="--documents names the documents of the responses")
    if source is None:
        path = config.run.path("annotations.jsonl")
        source = str(require_file(path, made_by="maskdpo annotate makes it"))
    choice = Choice(
        labels=labels,
        topics=frozenset(topics),
        reasons=frozenset(reasons),
        ids=frozenset(ids),
        sample=sample,
        seed=seed,
        limit=limit or max(sample or 0, PAGE_ROWS if page else TERMINAL_ROWS),
    )
    found = find_source(source, split=split, config_name=config_name)
    _show(config, found, choice, documents=documents, page=page)


def _show(
    config: RunConfig,
    found: Source,
    choice: Choice,
    *,
    documents: Path | None,
    page: Path | None,
) -> None:
    from maskdpo.cli.progress import Progress
    from maskdpo.show.choice import choose
    from maskdpo.show.documents import find_library
    from maskdpo.show.page import PageInputs, write_page
    from maskdpo.show.terminal import print_rows

    chosen = choose(found, choice, on_event=Progress())
    library = find_library(
        found.files[0].path,
        [row.record for row in chosen.rows],
        given=documents,
        of_run=config.run.path("documents.jsonl"),
    )
    _print_faults(chosen)
    for note in [*found.notes, *library.notes, *_reviews_aside(found)]:
        click.echo(f"note: {printable(note)}", err=True)
    counts = _describe(found, chosen, is_filter=choice.is_filter)
    if page is None:
        print_rows(chosen.rows, library.documents)
        click.echo(f"\n{counts}", err=True)
        return
    size = write_page(page, PageInputs(source=found, chosen=chosen, library=library))
    click.echo(f"wrote {printable(str(page))} ({size / 1e6:.2f} MB): {counts}")


def _reviews_aside(source: Source) -> list[str]:
    """A note on decisions of people that are kept apart from the annotations."""
    from maskdpo.show.sources import Kind

    if source.kind is not Kind.ANNOTATIONS:
        return []
    there = [source.files[0].path.with_name(name) for name in REVIEW_FILES]
    return [
        f"{path} holds what people decided, which is not shown here; maskdpo build uses it"
        for path in there
        if path.is_file()
    ]


def _describe(source: Source, chosen: Chosen, *, is_filter: bool) -> str:
    """How many rows are shown, of how many, and how to see more."""
    matching = f"{chosen.num_matching:,} that match, of {chosen.num_rows:,}" if is_filter else ""
    of = matching or f"{chosen.num_rows:,}"
    text = f"{len(chosen.rows):,} of {of} {source.kind.value}"
    if chosen.num_left_out:
        text += f"; {chosen.num_left_out:,} left out, see more with --limit N or --sample N"
    return text


def _refuse_to_replace(page: Path) -> None:
    from schemas.files.own_files import is_page, refuse_to_replace_unless

    refuse_to_replace_unless(page, is_page, by="maskdpo show", option="--html")


def _print_faults(chosen: Chosen) -> None:
    for fault in chosen.faults[:_MAX_FAULTS]:
        click.echo(f"note: not shown: {printable(str(fault))}", err=True)
    if chosen.num_faults:
        counts = f"{chosen.num_faults:,} rows of {chosen.num_rows:,} have faults"
        click.echo(f"note: {counts} and are left out", err=True)
