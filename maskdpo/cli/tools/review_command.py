"""`maskdpo review`."""

from __future__ import annotations

from pathlib import Path

import click

from maskdpo.cli.access import address_of, find_token
from maskdpo.cli.desk_opening import PACKAGES, announce_desk, desk_pages, open_desk
from maskdpo.cli.options import DocumentedCommand, config_options
from maskdpo.config import RunConfig

_RUNS = Path("runs")
_TRIES = 20  # ports, where the user has not named one


@click.command(
    "review",
    cls=DocumentedCommand,
    section="review",
    examples="""
    maskdpo review
    maskdpo review annotations.jsonl --who "A. Reader"
    maskdpo review runs/physics --people ann,ben --second 0.2
    maskdpo review --config run.yaml --no-blind --open
    """,
)
@config_options
@click.argument("source", required=False, type=click.Path(path_type=Path), metavar="[RUN_OR_FILE]")
@click.option("--host", help="Address to listen on [review.host, 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port [review.port, 8766; the next free one if it is taken].",
)
@click.option("--who", metavar="NAME", help="Your name or pseudonym. [the page asks for it]")
@click.option(
    "--blind/--no-blind",
    default=None,
    help="Whether sessions begin without the judge's labels [review.blind, --blind].",
)
@click.option(
    "--second",
    "second_share",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Share of the sentences that a second person reads [review.second_share, 0.1].",
)
@click.option(
    "--people",
    metavar="A,B",
    help="Divide the responses among these people, with commas between them [review.people].",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser of the system.")
def command(
    config: RunConfig,
    *,
    source: Path | None,
    host: str | None,
    port: int | None,
    who: str | None,
    blind: bool | None,
    second_share: float | None,
    people: str | None,
    opens: bool,
) -> None:
    """Review the sentences of RUN_OR_FILE in a browser; everything stays on this machine.

    RUN_OR_FILE is the folder of a run, a file of annotations or pairs, a data set folder, or a
    folder of runs. [the run of the config, else runs/] Decisions are appended to reviews.jsonl next
    to the annotations, where maskdpo build and maskdpo agreement read them. The printed address has
    a token: that of the environment variable MASKDPO_TOKEN, or one that is made at each start.
    """
    from schemas.packages import require

    require(*PACKAGES, needed_for="maskdpo review")
    from annotator.service.listening import bind
    from maskdpo.desk.config import ReviewConfig
    from maskdpo.desk.server import serve_pages

    settings = config.section(
        ReviewConfig,
        "review",
        host=host,
        port=port,
        blind=blind,
        second_share=second_share,
        people=None if people is None else tuple(people.split(",")),
    )
    name = _read_who(who)
    token, _ = find_token()
    is_named = port is not None or config.given("review", "port") is not None
    listener = bind(settings.host, settings.port, tries=1 if is_named else _TRIES)
    number = listener.getsockname()[1]
    desk = open_desk(source or _default_source(config), settings, config.run.documents)
    pages = desk_pages(desk, settings, token=token, port=number, who=name)
    url = f"{address_of(settings.host, number)}{pages.prefix}?token={token}"

    def announce() -> None:
        announce_desk(desk, url)
        click.echo("Ctrl-C stops the desk; each decision is saved when the page shows it")
        if opens:
            _open_browser(url)

    serve_pages(pages, settings, token=token, listener=listener, announce=announce)


def _default_source(config: RunConfig) -> Path:
    """The run of the config, if it was given or has files; else the folder of all runs."""
    folder = config.run.dir
    is_given = config.given("run", "dir") is not None
    return folder if is_given or folder.is_dir() or not _RUNS.is_dir() else _RUNS


def _read_who(who: str | None) -> str:
    """The name of --who. Raises BadParameter for one that the name page would refuse."""
    from maskdpo.desk.web.settings_routes import read_name
    from maskdpo.desk.web.words import load_words

    if who is None:
        return ""
    name, fault = read_name(who)
    if fault:
        raise click.BadParameter(f"{who!r}: {load_words()['en'](fault)}", param_hint="--who")
    return name


def _open_browser(url: str) -> None:
    """In a thread: a browser in the terminal would wait for its end."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
