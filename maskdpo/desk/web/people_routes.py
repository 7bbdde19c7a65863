"""The pages of people: how far each is and how well they agree; conflicts and their resolution.

The rule: the judge's label is on no page of a conflict before it is resolved. Anybody may resolve
one, also a person who is part of it; the review names all reviews of the conflict.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from annotator.service.errors import ApiError
from maskdpo.desk.model import Filter, Row, Status
from maskdpo.desk.people.agreement import WithJudge, measure_agreement, measure_judge
from maskdpo.desk.people.pace import Pace, measure_pace
from maskdpo.desk.people.progress import PersonDone, Progress
from maskdpo.desk.people.resolving import Dispute, Side, find_dispute, resolve_as
from maskdpo.desk.reading.act import Person, withdrawal
from maskdpo.desk.reading.draft import MAX_NOTE_CHARS
from maskdpo.desk.reading.material import read_material
from maskdpo.desk.reading.places import Places
from maskdpo.desk.reading.seen import is_blind, what_may_be_seen
from maskdpo.desk.web.common import (
    LABEL_KEYS,
    duration,
    now,
    open_source,
    path_of,
    percent,
    whole_number,
)
from maskdpo.desk.web.list_routes import assigned_to, question_of
from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import Session, session_of
from schemas.labels import Label
from schemas.records import Annotation, Document

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource

DISPUTES = Filter(people_differ=True)
SIDE_KEYS = "abdegh"  # not c (conflicts) and f (flag)
MAX_LISTED = 50
CONTEXT_CHARS = 2_000
AROUND_CHARS = 400
MAX_PLACES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonShown:
    """One line of the page of people; `left` is (hours, minutes)."""

    who: str
    done: PersonDone
    pace: Pace
    open: int
    done_percent: int
    left: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quoted:
    """A place of a document that a person gave as evidence, with text around it."""

    who: str
    document: str
    before: str
    text: str
    after: str


class ConflictForm(BaseModel):
    """A decision about a conflict, and the conflict that the page showed (`Dispute.key`)."""

    choice: str
    key: str
    note: str = Field(default="", max_length=MAX_NOTE_CHARS)


class UndoForm(BaseModel):
    """The review to take back, which the page named: sent twice, it takes back one."""

    undo: str = Field(min_length=1, max_length=200)


class Progresses:
    """The progress of each file of reviews, read once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Path, Progress] = {}

    def of(self, path: Path) -> Progress:
        """The progress of one file."""
        with self._lock:
            return self._found.setdefault(path, Progress(path))


def people_router(desk: Desk) -> APIRouter:
    """The routes of people and conflicts."""
    router = APIRouter()
    progresses, places = Progresses(), Places()

    @router.get("/review/s/{source}/people")
    def people(request: Request, source: str) -> Response:
        found = open_source(desk, source)
        shown = show_people(found, progresses.of(found.files.reviews), datetime.now(UTC))
        agreement = measure_agreement(found.index.own_labels())
        values = {"people": shown, "agreement": agreement, "judged": with_judge(found)}
        assigned = assigned_to(found, session_of(request).who)
        return render(request, "people.html.jinja", source=found, assigned=assigned, **values)

    @router.get("/review/s/{source}/conflicts")
    def conflicts(request: Request, source: str) -> Response:
        found, who = open_source(desk, source), session_of(request).who
        page = found.index.find(DISPUTES, who, limit=MAX_LISTED)
        rows = [(row, found.index.annotation(row.response)) for row in page.rows]
        values = {"source": found, "rows": rows, "total": page.total, "path": path_of(found)}
        return render(request, "conflicts.html.jinja", **values, **_done(found, request))

    @router.get("/review/s/{source}/conflicts/{number}")
    def conflict(request: Request, source: str, number: int) -> Response:
        found = open_source(desk, source)
        row, annotation, dispute = _find(found, number)
        if dispute is None:
            return RedirectResponse(f"{path_of(found)}/conflicts", status_code=303)
        values = _show_dispute(found, row, annotation, dispute, places)
        return render(request, "conflict.html.jinja", **values, **_done(found, request))

    @router.post("/review/s/{source}/conflicts/undo")
    def undo(request: Request, source: str, form: Annotated[UndoForm, Form()]) -> Response:
        found, who = open_source(desk, source), session_of(request).who
        return RedirectResponse(undo_resolution(found, form.undo, who), status_code=303)

    @router.post("/review/s/{source}/conflicts/{number}")
    def decide(
        request: Request, source: str, number: int, form: Annotated[ConflictForm, Form()]
    ) -> Response:
        found = open_source(desk, source)
        target = resolve_dispute(found, session_of(request), number, form)
        return RedirectResponse(target, status_code=303)

    return router


def show_people(source: OpenSource, progress: Progress, now: datetime) -> list[PersonShown]:
    """The line of each person."""
    wanted = Filter(status=Status.OPEN)
    shown = []
    for who, done in progress.people().items():
        pace = measure_pace(done.times, now)
        offered = source.work.offered(who, wanted)
        num_open = source.index.find(wanted, who, limit=1, mine=offered).total
        decided, _ = source.progress(who)
        shown.append(
            PersonShown(
                who=who,
                done=done,
                pace=pace,
                open=num_open,
                done_percent=percent(decided, decided + num_open),
                left=duration(pace.seconds_left(num_open)),
            )
        )
    return shown


def with_judge(source: OpenSource) -> list[tuple[str, WithJudge]]:
    """Each person's blind decisions against the judge, where there are any."""
    found = [
        (who, measure_judge(source.index.blind_against_judge(who))) for who in source.index.people()
    ]
    return [(who, one) for who, one in found if one.num_compared or one.num_undetermined]


def next_dispute(source: OpenSource, who: str, after: int) -> Row | None:
    """The conflict after a sentence, else the first one."""
    for key in (after, None):
        rows = source.index.find(DISPUTES, who, after=key, limit=1).rows
        if rows:
            return rows[0]
    return None


def resolve_dispute(found: OpenSource, session: Session, number: int, form: ConflictForm) -> str:
    """Record a decision about the conflict that the page showed; the address of the next one."""
    with found.lock:  # two people may press at the same time
        row, annotation, dispute = _find(found, number)
        if dispute is None or dispute.key != form.key:
            message = "somebody decided here since this page was shown; load it again"
            raise ApiError(status=409, code="conflict_changed", message=message)
        place = (dispute.start, dispute.end)
        entries = found.entries(row.response)
        was_shown = found.was_shown(session.who, row.response)
        is_hidden = session.blind and not was_shown
        found.record(
            resolve_as(
                dispute,
                annotation,
                _read_choice(dispute, form.choice),
                who=session.who,
                when=now(),
                blind=is_blind(entries, place, session.who, hidden=is_hidden),
                note=form.note.strip(),
            )
        )
    following = next_dispute(found, session.who, row.id)
    at = f"/{following.id}" if following is not None else ""
    return f"{path_of(found)}/conflicts{at}?done={row.id}"


def undo_resolution(source: OpenSource, name: str, who: str) -> str:
    """Withdraw a resolution of this person; the address of its conflict, else of all conflicts."""
    review, base = source.find_review(name), f"{path_of(source)}/conflicts"
    if review is None or review.who != who or not review.resolves:
        return base
    with source.lock:
        if source.counts(review):
            person = Person(who=who, when=now(), blind=False)
            source.record(withdrawal(review, person))
    row = source.row_of(review)
    return base if row is None else f"{base}/{row.id}"


def _find(source: OpenSource, number: int) -> tuple[Row, Annotation, Dispute | None]:
    try:
        row = source.index.row(number)
    except (KeyError, IndexError):
        row = None
    if row is None:
        raise ApiError(status=404, code="not_found", message="there is no such sentence")
    annotation = source.index.annotation(row.response)
    entries = source.entries(row.response)
    return row, annotation, find_dispute(annotation, entries, (row.start, row.end))


def _read_choice(dispute: Dispute, choice: str) -> Side | Label:
    kind, _, value = choice.partition(":")
    if kind == "label" and value in LABEL_KEYS.values():
        return Label(value)
    numbers = {str(number): side for number, side in enumerate(dispute.sides)}
    if kind == "side" and value in numbers:
        return numbers[value]
    message = "choice must be label:LABEL or side:NUMBER of the conflict"
    raise ApiError(status=422, code="choice", message=message)


def _show_dispute(
    source: OpenSource, row: Row, annotation: Annotation, dispute: Dispute, places: Places
) -> dict[str, object]:
    text, start, end = annotation.text, dispute.start, dispute.end
    first, last = max(0, start - CONTEXT_CHARS), end + CONTEXT_CHARS
    return {
        "source": source,
        "path": path_of(source),
        "row": row,
        "annotation": annotation,
        "question": question_of(annotation),
        "dispute": dispute,
        "before": text[first:start],
        "text": text[start:end],
        "after": text[end:last],
        "sides": list(zip(SIDE_KEYS.ljust(len(dispute.sides)), dispute.sides, strict=False)),
        "labels": LABEL_KEYS,
        "quotes": list(_quotes(source, dispute)),
        "places": _places(source, row, dispute, places),
    }


def _places(source: OpenSource, row: Row, dispute: Dispute, places: Places) -> list[Quoted]:
    """Where to look: where the words occur. The judge's evidence would show its label."""
    material = read_material(source, row.response)
    text, place = material.annotation.text, (dispute.start, dispute.end)
    passages = places.find(text[place[0] : place[1]], material.documents)
    by_id = {document.id: document for document in material.documents}
    found = [(one.document_id, one.start, one.end) for one in passages[:MAX_PLACES]]
    return [_quoted("", by_id[name], start, end) for name, start, end in found]


def _quoted(who: str, document: Document, start: int, end: int) -> Quoted:
    first, last = max(0, start - AROUND_CHARS), end + AROUND_CHARS
    return Quoted(
        who=who,
        document=document.title or document.id,
        before=document.text[first:start],
        text=document.text[start:end],
        after=document.text[end:last],
    )


def _quotes(source: OpenSource, dispute: Dispute) -> list[Quoted]:
    """The places that people gave as evidence; one that is not in its document is left out."""
    found = []
    for side in dispute.sides:
        for item in (item for review in side.reviews for item in review.evidence):
            document = source.index.document(item.document_id)
            if document is None or item.end > len(document.text):
                continue
            found.append(_quoted(side.who, document, item.start, item.end))
    return found


def _done(source: OpenSource, request: Request) -> dict[str, object]:
    """What was recorded before this page, and what the judge said there."""
    number = whole_number(request, "done")
    if number is None:
        return {"done": None, "done_judge": None, "undo": ""}
    session = session_of(request)
    try:
        row, state = source.index.row(number), source.index.state(number)
    except (KeyError, IndexError):
        return {"done": None, "done_judge": None, "undo": ""}
    seen = what_may_be_seen(state, session.who, blind=session.blind)
    is_shown = seen.judge and not state.conflict
    return {
        "done": state if not state.conflict else None,
        "done_judge": row.label if is_shown else None,
        "undo": _resolution(source, session.who, row),
    }


def _resolution(source: OpenSource, who: str, row: Row) -> str:
    """The id of the person's last review, where it resolved the conflict of this sentence."""
    last = source.last_review(who)
    if last is None or not last.resolves:
        return ""
    place = source.row_of(last)
    return last.id if place is not None and place.response == row.response else ""
