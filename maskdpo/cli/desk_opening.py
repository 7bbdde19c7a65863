"""Opens the review desk for a command: what is reviewed, indexed, and announced.

The rule: whatever cannot be reviewed is an error before the address is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from schemas.text.counted import count_of
from schemas.text.terminal import printable

if TYPE_CHECKING:
    from annotator.service.guard.pages import Pages
    from maskdpo.desk.config import ReviewConfig
    from maskdpo.desk.desk import Desk

PACKAGES = ("fastapi", "uvicorn", "httptools", "multipart", "itsdangerous")
_MAX_SHOWN = 20  # notes, and files


def open_desk(source: Path, settings: ReviewConfig, documents: Path | None = None) -> Desk:
    """The desk of what is in `source`, indexed, with progress on the way.

    documents   a file of documents that the run config names
    """
    from maskdpo.cli.progress import Progress
    from maskdpo.desk.desk import open_desk as open_quietly

    desk = open_quietly(source, settings, documents=documents, on_event=Progress())
    for note in desk.notes[:_MAX_SHOWN]:
        click.echo(f"note: {printable(note)}", err=True)
    return desk


def desk_pages(
    desk: Desk, settings: ReviewConfig, *, token: str, port: int, who: str = ""
) -> Pages:
    """The pages of a desk, for a server on `port`."""
    from maskdpo.desk.web.app import WebSettings, make_pages
    from maskdpo.desk.web.session import NewSession

    new = NewSession(who=who, blind=settings.blind)
    return make_pages(desk, WebSettings(token=token, port=port, new=new))


def announce_desk(desk: Desk, url: str) -> None:
    """Print what is reviewed, where reviews go, and the address: the one line with the token."""
    sources = list(desk.sources.values())
    for source in sources[:_MAX_SHOWN]:
        files = source.files
        if files.kind == "pairs":
            click.echo(f"reviewing {printable(str(files.path))}: pairs")
            continue
        counts = source.index.counts()
        found = (
            count_of(counts.responses, "response"),
            count_of(counts.sentences, "sentence"),
            f"{counts.open:,} open",
        )
        click.echo(f"reviewing {printable(str(files.path))}: {', '.join(found)}")
        click.echo(f"reviews are appended to {printable(str(files.reviews))}")
    if len(sources) > _MAX_SHOWN:
        click.echo(f"and {count_of(len(sources) - _MAX_SHOWN, 'more file')}")
    click.echo(f"open {url}")
