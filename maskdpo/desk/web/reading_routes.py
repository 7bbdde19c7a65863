"""The page of one response: shown by GET, changed by POST to the same address.

The rule: every POST carries the place and the hash of the text that the page showed; what does not
fit the file any more is refused with 409 and changes nothing. A decision is on the disk before the
next sentence is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from annotator.service.errors import ApiError
from maskdpo.desk.model import Draft, Filter, Row, Status
from maskdpo.desk.reading.act import (
    Done,
    Person,
    Press,
    change_draft,
    give_label,
    press,
    read_form,
    withdrawal,
)
from maskdpo.desk.reading.draft import DraftError
from maskdpo.desk.reading.material import read_material
from maskdpo.desk.reading.places import Places
from maskdpo.desk.reading.seen import is_blind, what_may_be_seen
from maskdpo.desk.reading.view import Material, make_view
from maskdpo.desk.web.common import LABEL_KEYS, filter_of, now, open_source, path_of
from maskdpo.desk.web.filter_query import write_filter
from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import Session, is_htmx, session_of
from schemas.labels import Label
from schemas.reviews import Review, text_sha256

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource

_PATH = "/review/s/{source}/r/{response}/{number}"
_OWN = ("doc", "at")  # parameters of this page, which are not part of the filter


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request for a sentence: where, by whom, and the list that it comes from."""

    source: OpenSource
    row: Row
    filter: Filter
    session: Session
    document_id: str = ""
    at: int | None = None


async def form_of(request: Request) -> Mapping[str, str]:
    """The fields of a form; of a field that is given twice, the last."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Form = Annotated[Mapping[str, str], Depends(form_of)]


def reading_router(desk: Desk) -> APIRouter:
    """The routes of the reading page."""
    router = APIRouter()
    places = Places()

    @router.get("/review/s/{source}/next")
    def go_on(request: Request, source: str, after: int | None = None) -> Response:
        found = open_source(desk, source)
        wanted, who = filter_of(request, also=("after",)), session_of(request).who
        row = _next_open(found, wanted, who, after)
        if row is None:
            query = write_filter(replace(wanted, status=Status.ALL))
            return RedirectResponse(_with_query(path_of(found), query), status_code=303)
        return RedirectResponse(_address(found, row, wanted), status_code=303)

    @router.get(_PATH)
    def show(request: Request, source: str, response: int, number: int) -> Response:
        asked = _ask(desk, request, source, response, number)
        return _page(request, asked, places)

    @router.post(_PATH)
    def act(request: Request, source: str, response: int, number: int, form: Form) -> Response:
        asked = _ask(desk, request, source, response, number)
        # Reviews are read and added in one step: a key may be sent twice at the same time.
        with asked.source.lock:
            if form.get("press") == "undo":
                return _undo(request, asked, places, form)
            material = read_material(asked.source, response)
            try:
                done = _act(asked, material, form)
            except DraftError as error:
                raise _refusal(error) from None
            if done.review is not None:
                asked.source.record(done.review)
        if not done.moves:
            return _page(request, asked, places, done=done)
        return _move_on(request, asked, places, form, done)

    return router


def _ask(desk: Desk, request: Request, source: str, response: int, number: int) -> Asked:
    found = open_source(desk, source)
    try:
        row = found.index.rows_of(response)[number] if number >= 0 else None
    except (KeyError, IndexError):
        row = None
    if row is None:
        raise ApiError(status=404, code="not_found", message="there is no such sentence")
    query = dict(parse_qsl(request.url.query))
    at = query.get("at", "")
    return Asked(
        source=found,
        row=row,
        filter=filter_of(request, also=_OWN),
        session=session_of(request),
        document_id=query.get("doc", ""),
        at=int(at) if at.isascii() and at.isdigit() and len(at) < 10 else None,
    )


def _act(asked: Asked, material: Material, form: Mapping[str, str]) -> Done:
    """What the pressed button does. Raises DraftError."""
    annotation, who = material.annotation, asked.session.who
    draft = read_form(form, annotation)
    if draft.start != asked.row.start:
        raise DraftError("stale")
    if op := form.get("op", ""):
        documents = {item.id: item for item in material.documents}
        return Done(draft=change_draft(op, draft, form, annotation, documents))
    person = Person(who=who, when=now(), blind=_is_blind(asked, material, draft))
    if label := form.get("label", ""):
        if label not in LABEL_KEYS.values():
            raise DraftError("stale")
        return give_label(Label(label), draft, annotation, person, material.entries)
    name = form.get("press", "")
    if name not in list(Press):
        raise DraftError("stale")
    if name == Press.AGREE and not _judge_is_shown(asked, material):
        raise DraftError("agree_blind")
    return press(Press(name), draft, annotation, person, material.entries)


def _judge_is_shown(asked: Asked, material: Material) -> bool:
    state = material.states[asked.row.number]
    session = asked.session
    return what_may_be_seen(state, session.who, blind=session.blind).judge


def _is_blind(asked: Asked, material: Material, draft: Draft) -> bool:
    """Whether a decision now is made without knowing anything of the judge's label."""
    session = asked.session
    inside = [
        state
        for row, state in zip(material.rows, material.states, strict=True)
        if draft.start <= row.start and row.end <= draft.end
    ]
    shown = any(what_may_be_seen(state, session.who, blind=session.blind).judge for state in inside)
    return is_blind(
        asked.source.entries(asked.row.response),
        (draft.start, draft.end),
        session.who,
        hidden=not (
            shown
            or asked.filter.reveals_labels
            or asked.source.was_shown(session.who, asked.row.response)
        ),
    )


def _undo(request: Request, asked: Asked, places: Places, form: Mapping[str, str]) -> Response:
    """Withdraw the review that the page named, and show its sentence.

    The page names it, so that an undo that is sent twice takes back one decision.
    """
    source, who = asked.source, asked.session.who
    found = source.find_review(form.get("undo", ""))
    if found is None or found.who != who or found.action == "withdraw":
        return _page(request, asked, places, done=Done(message="nothing_to_undo"))
    if source.counts(found):
        source.record(withdrawal(found, Person(who=who, when=now(), blind=False)))
    row = source.row_of(found)
    back = asked if row is None else replace(asked, row=row, document_id="", at=None)
    return _page(request, back, places, done=Done(message="undone", review=found))


def _move_on(
    request: Request, asked: Asked, places: Places, form: Mapping[str, str], done: Done
) -> Response:
    """The next open sentence, or this one where none is left."""
    end = int(form["end"])
    rows = asked.source.index.rows_of(asked.row.response)
    last = max((row for row in rows if row.end <= end), key=lambda row: row.number)
    row = _next_open(asked.source, asked.filter, asked.session.who, last.id)
    if row is None:
        finished = replace(done, draft=None)
        return _page(
            request, replace(asked, document_id="", at=None), places, done=finished, left=0
        )
    moved = replace(asked, row=row, document_id="", at=None)
    return _page(request, moved, places, done=replace(done, draft=None), before=asked.row)


def _next_open(source: OpenSource, wanted: Filter, who: str, after: int | None) -> Row | None:
    """The next open sentence of a list after a sentence; after its end, the first one."""
    offered = source.work.offered(who, wanted)
    if after is not None:
        found = source.index.step(wanted, who, after, open_only=True, mine=offered)
        if found is not None:
            return found
    first = source.index.find(replace(wanted, status=Status.OPEN), who, limit=1, mine=offered).rows
    return first[0] if first else None


def _page(
    request: Request,
    asked: Asked,
    places: Places,
    *,
    done: Done | None = None,
    before: Row | None = None,
    left: int | None = None,
) -> Response:
    """The page of a sentence. After a POST without scripts, the browser is sent to its address."""
    address = _address(asked.source, asked.row, asked.filter)
    is_post = request.method == "POST"
    if is_post and not is_htmx(request) and (done is None or done.draft is None):
        return RedirectResponse(address, status_code=303)
    material = read_material(asked.source, asked.row.response)
    session = asked.session
    if not session.blind or asked.filter.reveals_labels:
        asked.source.note_shown(session.who, [asked.row.response])
    view = make_view(
        material,
        asked.row,
        who=session.who,
        blind=session.blind,
        places=places,
        draft=done.draft if done else None,
        document_id=asked.document_id,
        at=asked.at,
    )
    response = render(
        request,
        "reading.html.jinja",
        source=asked.source,
        view=view,
        address=address,
        sentence_address=lambda number: _address(
            asked.source, replace(asked.row, number=number), asked.filter
        ),
        document_link=document_link,
        text_sha256=text_sha256(material.annotation.text),
        links=_links(asked),
        keys=LABEL_KEYS,
        filter=asked.filter,
        message=done.message if done else "",
        recorded=_recorded(asked, done, before),
        is_finished=left == 0,
        progress=asked.source.progress(session.who),
        undo=_id_of(asked.source.last_review(session.who)),
    )
    if is_post:
        response.headers["HX-Push-Url"] = address
    return response


def _recorded(asked: Asked, done: Done | None, before: Row | None) -> Mapping[str, object] | None:
    """What was recorded last, and what the judge had said: it may be seen now."""
    review = done.review if done else None
    if review is None or not review.spans:
        return None
    row = before or asked.row
    is_one = (review.start, review.end) == (row.start, row.end)
    return {
        "labels": [span.label for span in review.spans],
        "judge": row.label if is_one and done is not None and done.message == "recorded" else None,
        "number": row.number + 1,
        "address": _address(asked.source, row, asked.filter),
    }


def _links(asked: Asked) -> Mapping[str, str | None]:
    """Addresses of the neighbours, by the key of their words."""
    source, wanted, who = asked.source, asked.filter, asked.session.who
    rows = source.index.rows_of(asked.row.response)
    at = asked.row.number
    mine = source.work.mine(who, wanted)

    def step(sentence: int, *, back: bool = False) -> Row | None:
        return source.index.step(wanted, who, sentence, back=back, mine=mine)

    def address(row: Row | None) -> str | None:
        return None if row is None else _address(source, row, wanted)

    following = rows[at + 1] if at + 1 < len(rows) else step(asked.row.id)
    previous = rows[at - 1] if at else step(asked.row.id, back=True)
    query = write_filter(wanted)
    return {
        "next": address(following),
        "previous": address(previous),
        "next_response": address(step(rows[-1].id)),
        "previous_response": address(step(rows[0].id, back=True)),
        "open": _with_query(f"{path_of(source)}/next", f"{query}&after={asked.row.id}".lstrip("&")),
        "list": _with_query(path_of(source), query),
        "conflicts": f"{path_of(source)}/conflicts",
    }


def _address(source: OpenSource, row: Row, wanted: Filter) -> str:
    return _with_query(f"{path_of(source)}/r/{row.response}/{row.number}", write_filter(wanted))


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def document_link(address: str, document_id: str, at: int | None = None) -> str:
    """The address of a sentence with another document, or another part of it."""
    given = {"doc": document_id} | ({} if at is None else {"at": str(at)})
    return f"{address}{'&' if '?' in address else '?'}{urlencode(given)}"


def _id_of(review: Review | None) -> str:
    return "" if review is None else review.id


def _refusal(error: DraftError) -> ApiError:
    status = 409 if error.code == "stale" else 422
    return ApiError(status=status, code=f"reading.{error.code}", message=_MESSAGES[error.code])


_MESSAGES = {
    "stale": "the file changed since this page was loaded; load the page again",
    "outside": "the selected words are not inside the current sentence",
    "no_words": "the selection holds no words",
    "empty_part": "a part of a split sentence must hold text",
    "no_next": "there is no next sentence in this response",
    "not_document": "evidence is selected in a document",
    "not_response": "select words of the current sentence",
    "words_need_wrong_label": "words are marked as wrong, and this label says that nothing is "
    "wrong; choose 2, 3 or 5, or remove the marks with Backspace",
    "agree_one": "agree goes with one whole sentence; give labels to split or joined ones",
    "agree_blind": "in blind mode the judge's label is not shown before you decide; give a label",
    "note_long": "the note is too long: at most 10,000 characters",
}
