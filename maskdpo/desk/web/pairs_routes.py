"""Pairs of a data set: the list, one pair side by side, drop and take back.

The rule: a decision names the pair that the person saw. Where the data set was built again in
between, nothing is recorded, and the page gives the reason (409).
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from annotator.service.errors import ApiError
from maskdpo.desk.pairs.pair_desk import ChangedError, PairDesk, PairFilter, Show
from maskdpo.desk.pairs.sides import sides_of
from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import PREFIX, is_htmx, session_of
from schemas.errors import InputError

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource

SHOWS: tuple[Show, ...] = ("all", "dropped", "kept")
MAX_NOTE_CHARS = 4_000
MAX_TEXT_CHARS = 200
_AT = f"{PREFIX}/s/{{source}}/pairs"
_MAX_ABSENT = 200
_BIGGEST = 10**9


def asked_filter(
    show: Annotated[str, Query()] = "all",
    topic: Annotated[str, Query()] = "",
    text: Annotated[str, Query()] = "",
) -> PairFilter:
    """The filter of a query. Raises ApiError 400 for a value that is not allowed."""
    for name in SHOWS:
        if show == name:
            return PairFilter(show=name, topic=topic, text=text.strip()[:MAX_TEXT_CHARS])
    message = f"'show' is not one of {', '.join(SHOWS)}"
    raise ApiError(status=400, code="bad_query", message=message)


Asked = Annotated[PairFilter, Depends(asked_filter)]


class Decision(BaseModel):
    """The form of a decision.

    pair      names what the person saw (`ShownPair.key`)
    action    what a note is saved with; `press`, a button, counts instead
    """

    pair: str
    action: str
    press: str = ""
    note: str = ""


def pairs_router(desk: Desk) -> APIRouter:
    """Routes of the pages on pairs."""
    router = APIRouter()
    opened = Opened(desk)

    @router.get(_AT)
    def list_pairs(
        request: Request,
        source: str,
        chosen: Asked,
        first: Annotated[int, Query(ge=1, le=_BIGGEST)] = 1,
    ) -> Response:
        return opened.list_page(request, source, chosen, first)

    @router.get(f"{_AT}/{{number}}")
    def show_pair(request: Request, source: str, number: int, chosen: Asked) -> Response:
        return opened.pair_page(request, source, number, chosen)

    @router.post(f"{_AT}/taken-back")
    def take_back(request: Request, source: str, review: Annotated[str, Form()]) -> Response:
        return opened.take_back(request, source, review)

    @router.post(f"{_AT}/{{number}}")
    def decide(
        request: Request,
        source: str,
        number: int,
        chosen: Asked,
        given: Annotated[Decision, Form()],
    ) -> Response:
        return opened.decide(request, source, number, chosen, given)

    return router


class Opened:
    """The pairs of each source, opened at the first request."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = Lock()
        self._pairs: dict[str, PairDesk] = {}

    def find(self, key: str) -> tuple[OpenSource, PairDesk]:
        """A source and its pairs. Raises ApiError 404 for one that holds no pairs."""
        source = self._desk.sources.get(key)
        if source is None or source.files.kind != "pairs":
            raise ApiError(status=404, code="not_found", message="there are no such pairs")
        with self._lock:
            pairs = self._pairs.setdefault(key, PairDesk(source.files.path))
        return source, pairs

    def list_page(self, request: Request, key: str, chosen: PairFilter, first: int) -> Response:
        """The list. A text that is a number goes to that pair."""
        source, pairs = self.find(key)
        try:
            rows = pairs.refresh()
            if chosen.text.isdecimal() and 1 <= int(chosen.text) <= len(rows):
                return self.pair_page(request, key, int(chosen.text), PairFilter())
            page = pairs.page(chosen, first)
            absent = pairs.absent()
        except InputError as error:
            raise _unreadable(error) from None
        return render(
            request,
            "pairs.html.jinja",
            source=source,
            base=_base(source),
            chosen=chosen,
            shows=SHOWS,
            topics=rows.topics,
            num_faulty=rows.num_faulty,
            found=page,
            query=write_filter(chosen),
            next_query=write_filter(chosen, first=page.after),
            previous_query=write_filter(chosen, first=page.before),
            absent=absent[:_MAX_ABSENT],
            num_absent=len(absent),
            file=str(pairs.decisions.path),
            folder=str(pairs.path),
            origin=pairs.origin,
            faults=pairs.decisions.faults,
        )

    def pair_page(
        self, request: Request, key: str, number: int, chosen: PairFilter, said: str = ""
    ) -> Response:
        """One pair; `said` is the key of a sentence on what was just recorded."""
        source, pairs = self.find(key)
        try:
            shown = pairs.show(number, chosen)
        except InputError as error:
            raise _unreadable(error) from None
        except IndexError:
            message = "there is no pair with this number"
            raise ApiError(status=404, code="not_found", message=message) from None
        who = session_of(request).who
        return render(
            request,
            "pairs_one.html.jinja",
            source=source,
            base=_base(source),
            shown=shown,
            sides=sides_of(shown.pair) if shown.pair else (),
            mine=next((item for item in shown.decisions if item.who == who), None),
            query=write_filter(chosen),
            list_query=write_filter(chosen, first=number),
            file=str(pairs.decisions.path),
            folder=str(pairs.path),
            origin=pairs.origin,
            said=said,
        )

    def take_back(self, request: Request, key: str, review: str) -> Response:
        """Take back a person's own drop of a pair that the data set does not hold."""
        source, pairs = self.find(key)
        try:
            pairs.take_back(review, session_of(request).who)
        except ChangedError:
            raise _changed() from None
        except InputError as error:
            raise _unreadable(error) from None
        if is_htmx(request):
            return self.list_page(request, key, PairFilter(), 1)
        return RedirectResponse(_base(source), status_code=303)

    def decide(
        self,
        request: Request,
        key: str,
        number: int,
        chosen: PairFilter,
        given: Decision,
    ) -> Response:
        """Record what a person decided, and show the pair again."""
        action, note = given.press or given.action, given.note.replace("\r\n", "\n").strip()
        if action not in ("drop", "keep") or len(note) > MAX_NOTE_CHARS:
            message = (
                f"'action' must be drop or keep, and a note has at most {MAX_NOTE_CHARS:,} "
                "characters; nothing was recorded"
            )
            raise ApiError(status=422, code="bad_decision", message=message)
        source, pairs = self.find(key)
        try:
            who = session_of(request).who
            pairs.decide(number, given.pair, action=action, who=who, note=note)
        except ChangedError:
            raise _changed() from None
        except InputError as error:
            raise _unreadable(error) from None
        said = f"pairs.said_{action}"
        if is_htmx(request):
            return self.pair_page(request, key, number, chosen, said)
        return RedirectResponse(f"{_base(source)}/{number}{write_filter(chosen)}", status_code=303)


def write_filter(chosen: PairFilter, first: int | None = None) -> str:
    """The query of a filter, with `?`; "" for the default one."""
    values: dict[str, str | int] = {}
    if chosen.show != "all":
        values["show"] = chosen.show
    if chosen.topic:
        values["topic"] = chosen.topic
    if chosen.text:
        values["text"] = chosen.text
    if first is not None and first > 1:
        values["first"] = first
    return f"?{urlencode(values, errors='replace')}" if values else ""


def _base(source: OpenSource) -> str:
    return f"{PREFIX}/s/{quote(source.files.key, safe='')}/pairs"


def _changed() -> ApiError:
    message = (
        "nothing was recorded: the pair of this number is another one now, because the data set "
        "was built again; load the page again"
    )
    return ApiError(status=409, code="pair_changed", message=message)


def _unreadable(error: InputError) -> ApiError:
    return ApiError(status=409, code="unreadable", message=str(error).splitlines()[0])
