"""The list of sentences: filters as one form, rows, and a random blind sample.

The rule: of a sentence that a person has not decided, a blind list shows nothing of the judge. A
filter by the judge's labels gives them away all the same; the page shows a note, and
decisions that come from such a list are not recorded as blind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fastapi import APIRouter
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from maskdpo.desk.model import Filter, Order, Page, Row, State, Status
from maskdpo.desk.reading.seen import what_may_be_seen
from maskdpo.desk.web.common import filter_of, open_source, path_of, whole_number
from maskdpo.desk.web.filter_query import write_filter
from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import Session, is_htmx, session_of
from schemas.hashing import stable_seed
from schemas.labels import Label
from schemas.records import Annotation

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource

PAGE_SIZE = 50
MAX_SHOWN_CHARS = 600
MAX_QUESTION_CHARS = 160
MAX_CHOICES = 300
_OWN = ("after", "before", "at")
_SEEDS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One row of the list; the label of the judge is None where it may not be seen."""

    row: Row
    address: str
    text: Markup
    question: str
    topic: str
    mine: str
    judge: Label | None
    confidence: float | None
    language: str
    is_current: bool


def list_router(desk: Desk) -> APIRouter:
    """The route of the list."""
    router = APIRouter()

    @router.get("/review/s/{source}")
    def show(request: Request, source: str) -> Response:
        found, session = open_source(desk, source), session_of(request)
        wanted = filter_of(request, also=_OWN)
        before, after = whole_number(request, "before"), whole_number(request, "after")
        page = read_page(found, wanted, session.who, before=before, after=after)
        at = min(whole_number(request, "at") or 0, max(len(page.rows) - 1, 0))
        response = render(
            request,
            "list.html.jinja",
            source=found,
            filter=wanted,
            counts=found.index.counts(),
            page_of_rows=page,
            rows=show_rows(found, page.rows, wanted, session, at),
            labels=list(Label),
            orders=list(Order),
            statuses=list(Status),
            query=write_filter(wanted),
            assigned=assigned_to(found, session.who),
            links=_links(found, wanted, page, session.who, at, before=before, after=after),
        )
        if is_htmx(request):
            response.headers["HX-Push-Url"] = _address(found, wanted)
        return response

    return router


def read_page(
    source: OpenSource, wanted: Filter, who: str, *, before: int | None, after: int | None
) -> Page:
    """The rows of one page. `before` is the first sentence of the page that follows."""
    key = before if before is not None else after
    mine = source.work.mine(who, wanted)
    return source.index.find(
        wanted, who, after=key, limit=PAGE_SIZE, back=before is not None, mine=mine
    )


def show_rows(
    source: OpenSource, rows: Sequence[Row], wanted: Filter, session: Session, at: int
) -> list[Shown]:
    """What the list shows of each row."""
    annotations: dict[int, Annotation] = {}
    states: dict[int, Sequence[State]] = {}
    hits = hit_pattern(wanted.text)
    query = write_filter(wanted)
    found = []
    for position, row in enumerate(rows):
        if row.response not in annotations:
            annotations[row.response] = source.index.annotation(row.response)
            states[row.response] = source.index.states_of(row.response)
        annotation, state = annotations[row.response], states[row.response][row.number]
        seen = what_may_be_seen(state, session.who, blind=session.blind)
        address = f"{path_of(source)}/r/{row.response}/{row.number}"
        found.append(
            Shown(
                row=row,
                address=f"{address}?{query}" if query else address,
                text=mark_hits(annotation.text[row.start : row.end][:MAX_SHOWN_CHARS], hits),
                question=question_of(annotation),
                topic=annotation.topic,
                mine=own_state(state, session.who),
                judge=row.label if seen.judge else None,
                confidence=row.confidence if seen.judge else None,
                language=annotation.language,
                is_current=position == at,
            )
        )
    if not session.blind or wanted.reveals_labels:
        source.note_shown(session.who, states.keys())
    return found


def own_state(state: State, who: str) -> str:
    """The person's label, "parts", "skipped" or ""; a flag is not a decision."""
    if who in state.by:
        return state.by[who] or "parts"
    return "skipped" if who in state.skipped else ""


def question_of(annotation: Annotation) -> str:
    """The last message of the user, in one line."""
    asked = [item.content for item in annotation.prompt if item.role == "user"]
    line = " ".join(asked[-1].split()) if asked else ""
    return line if len(line) <= MAX_QUESTION_CHARS else line[: MAX_QUESTION_CHARS - 1] + "…"


def hit_pattern(text: str) -> re.Pattern[str] | None:
    """What a search marks in a sentence: its words and quoted phrases."""
    words = [one or two for one, two in re.findall(r'"([^"]+)"|([^\s"]+)', text)]
    parts = sorted({re.escape(word) for word in words}, key=len, reverse=True)
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def mark_hits(text: str, hits: re.Pattern[str] | None) -> Markup:
    """The text, escaped, with `<mark>` around each hit."""
    if hits is None:
        return escape(text)
    found, end = Markup(), 0
    for match in hits.finditer(text):
        found += escape(text[end : match.start()]) + Markup("<mark>{}</mark>").format(match[0])
        end = match.end()
    return found + escape(text[end:])


def sample_filter(who: str) -> Filter:
    """A random sample of what the person has not decided; each person has their own order."""
    return Filter(status=Status.OPEN, order=Order.RANDOM, seed=1 + stable_seed(0, who) % _SEEDS)


def assigned_to(source: OpenSource, who: str) -> str:
    """Who has sentences of their own: "mine" (`who` has), "nobody" (only others), or "" (none)."""
    if source.work.is_listed(who):
        return "mine"
    return "nobody" if source.work.assignment.people else ""


def _address(source: OpenSource, wanted: Filter, own: Mapping[str, int] | None = None) -> str:
    query = write_filter(wanted, own)
    return f"{path_of(source)}?{query}" if query else path_of(source)


def _links(
    source: OpenSource,
    wanted: Filter,
    page: Page,
    who: str,
    at: int,
    *,
    before: int | None,
    after: int | None,
) -> Mapping[str, str]:
    """The addresses that the page offers; "" where there is nothing to go to."""
    here = {"before": before} if before is not None else {"after": after or 0}
    own = {name: value for name, value in here.items() if value}
    sample = write_filter(sample_filter(who))
    last = len(page.rows) - 1
    return {
        "next": _address(source, wanted, {"after": page.after}) if page.after is not None else "",
        "back": _address(source, wanted, {"before": page.before})
        if page.before is not None
        else "",
        "down": _address(source, wanted, {**own, "at": at + 1}) if at < last else "",
        "up": _address(source, wanted, {**own, "at": at - 1}) if at > 0 else "",
        "sample": f"{path_of(source)}/next?{sample}",
        "clear": path_of(source),
        "open": f"{path_of(source)}/next?{write_filter(wanted)}",
        "without_text": _address(source, replace(wanted, text="")),
    }
