"""The first page: what there is to review, how far it is, and what is known about each run.

The rule: label shares are of the whole run, and show nothing about one sentence; so they are shown
in blind mode too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from maskdpo.desk.model import Filter, Status
from maskdpo.desk.pairs.decisions import PairDecisions, decisions_path
from maskdpo.desk.people.agreement import Agreement, WithJudge, measure_agreement, measure_judge
from maskdpo.desk.people.run_facts import RunFacts, read_facts
from maskdpo.desk.web.common import path_of, percent
from maskdpo.desk.web.filter_query import write_filter
from maskdpo.desk.web.list_routes import assigned_to, sample_filter
from maskdpo.desk.web.pages import render
from maskdpo.desk.web.session import session_of
from schemas.labels import Label

if TYPE_CHECKING:
    from maskdpo.desk.desk import Desk, OpenSource
    from maskdpo.desk.index.index import Index
    from maskdpo.desk.sources import SourceFiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The sentences of one label."""

    label: Label
    count: int
    percent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One source on the page of runs. `open` and `mine` are those of the person who asks."""

    source: OpenSource
    path: str
    sentences: int
    responses: int
    open: int
    mine: int
    total: int
    by_anybody: int
    assigned: str
    judged: WithJudge
    done_percent: int
    shares: tuple[Share, ...]
    facts: RunFacts
    agreement: Agreement
    sample: str


def runs_router(desk: Desk) -> APIRouter:
    """The route of the first page."""
    router = APIRouter()
    decisions: dict[str, PairDecisions] = {}  # of a source of pairs; read as the file grows

    @router.get("/review")
    def show(request: Request) -> Response:
        who = session_of(request).who
        sources = list(desk.sources.values())
        runs = [summarise(one, who) for one in sources if one.files.kind == "annotations"]
        pairs = [
            (one, dropped_in(decisions, one.files)) for one in sources if one.files.kind == "pairs"
        ]
        return render(request, "runs.html.jinja", runs=runs, pairs=pairs)

    return router


def summarise(source: OpenSource, who: str) -> Summary:
    """What the page shows of one source."""
    source.refresh()
    index = source.index
    counts = index.counts()
    wanted = Filter(status=Status.OPEN)
    open_ = index.find(wanted, who, limit=1, mine=source.work.offered(who, wanted)).total
    done = counts.sentences - counts.open
    mine, total = source.progress(who)
    return Summary(
        source=source,
        path=path_of(source),
        sentences=counts.sentences,
        responses=counts.responses,
        open=open_,
        mine=mine,
        total=total,
        by_anybody=done,
        done_percent=percent(done, counts.sentences),
        assigned=assigned_to(source, who),
        judged=measure_judge(all_blind(index)),
        shares=shares_of(counts.labels, counts.sentences),
        facts=read_facts(source.files.path),
        agreement=measure_agreement(index.own_labels()),
        sample=f"{path_of(source)}/next?{write_filter(sample_filter(who))}",
    )


def all_blind(index: Index) -> Counter[tuple[Label, Label]]:
    """How often people decided blind on one label, and the judge on another (or the same)."""
    found: Counter[tuple[Label, Label]] = Counter()
    for who in index.own_labels():
        found += index.blind_against_judge(who)
    return found


def dropped_in(decisions: dict[str, PairDecisions], files: SourceFiles) -> int:
    """How many pairs of a data set people dropped."""
    found = decisions.setdefault(files.key, PairDecisions(decisions_path(files.path)))
    found.refresh()
    return len(found.dropped())


def shares_of(labels: Mapping[Label, int], total: int) -> tuple[Share, ...]:
    """The labels that occur, in their usual order."""
    return tuple(
        Share(label=label, count=labels[label], percent=percent(labels[label], total))
        for label in Label
        if labels.get(label)
    )
