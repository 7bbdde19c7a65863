"""A desk in memory for tests of the pages: a few responses, states counted anew at each look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from formats.reviews.log import Logged
from formats.reviews.standing import standing
from maskdpo.desk.model import Filter, Page, Row, State, Status
from schemas.records import Annotation, Document
from schemas.reviews import Review

_LABELS = {"label", "agree", "split"}


class MemoryIndex:
    """The part of an index that the reading page uses."""

    def __init__(self, source: MemorySource) -> None:
        self._source = source
        self.all: list[Row] = []
        for number, one in enumerate(source.annotations):
            for at, sentence in enumerate(one.sentences):
                row = Row(
                    id=len(self.all), response=number, number=at, start=sentence.start,
                    end=sentence.end, label=sentence.verdict.label,
                    reason=sentence.verdict.reason or "", confidence=sentence.verdict.confidence,
                )  # fmt: skip
                self.all.append(row)

    def rows_of(self, response: int) -> list[Row]:
        return [row for row in self.all if row.response == response]

    def annotation(self, response: int) -> Annotation:
        return self._source.annotations[response]

    def copies(self, response: int) -> list[str]:
        return [self.annotation(response).id]

    def document(self, name: str) -> Document | None:
        return self._source.documents.get(name)

    def state(self, id: int) -> State:
        row = self.all[id]
        mine: dict[str, Any] = {}
        skipped, flagged = set(), set()
        for entry in standing(self._source.entries(row.response)):
            review = entry.review
            if review.start >= row.end or row.start >= review.end:
                continue
            if review.action in _LABELS:
                labels = {span.label for span in review.spans}
                mine[review.who] = labels.pop() if len(labels) == 1 else None
                skipped.discard(review.who)
            elif review.action == "skip":
                skipped.add(review.who)
            elif review.action == "flag":
                flagged.add(review.who)
        return State(by=mine, skipped=frozenset(skipped), flagged=frozenset(flagged))

    def states_of(self, response: int) -> list[State]:
        return [self.state(row.id) for row in self.rows_of(response)]

    def step(
        self, filter: Filter, who: str, id: int, *, back: bool = False, open_only: bool = False
    ) -> Row | None:
        rows = self.all[:id][::-1] if back else self.all[id + 1 :]
        return next((row for row in rows if not open_only or self._is_open(row, who)), None)

    def find(self, filter: Filter, who: str, *, limit: int = 50, after: int | None = None) -> Page:
        rows = [
            row for row in self.all if filter.status is not Status.OPEN or self._is_open(row, who)
        ]
        return Page(rows=rows[:limit], total=len(rows))

    def _is_open(self, row: Row, who: str) -> bool:
        state = self.state(row.id)
        return who not in state.by and who not in state.skipped


class MemorySource:
    """Annotations, their documents, and the reviews that were recorded."""

    def __init__(self, annotations: Sequence[Annotation], documents: Sequence[Document]) -> None:
        self.annotations = annotations
        self.documents = {one.id: one for one in documents}
        self.reviews: list[Review] = []
        self.files = SimpleNamespace(key="test", name="test run", kind="annotations")
        self.index = MemoryIndex(self)

    def entries(self, response: int) -> list[Logged]:
        wanted = self.annotations[response].id
        return [
            Logged(line=line, review=one)
            for line, one in enumerate(self.reviews, start=1)
            if one.response_id == wanted
        ]

    def record(self, review: Review) -> None:
        self.reviews.append(review)

    def last_review(self, who: str) -> Review | None:
        entries = [Logged(line=line, review=one) for line, one in enumerate(self.reviews, start=1)]
        mine = [entry.review for entry in standing(entries) if entry.review.who == who]
        return mine[-1] if mine else None

    def row_of(self, review: Review) -> Row | None:
        for row in self.index.all:
            if self.annotations[row.response].id == review.response_id and row.end > review.start:
                return row
        return None

    def progress(self, who: str) -> tuple[int, int]:
        done = [row for row in self.index.all if who in self.index.state(row.id).by]
        return len(done), len(self.index.all)

    def refresh(self) -> None:
        """Nothing is appended by others."""

    def people(self) -> list[str]:
        return sorted({one.who for one in self.reviews})


def memory_desk(annotations: Sequence[Annotation], documents: Sequence[Document]) -> Any:
    """A desk with one source, `test`."""
    sources: Mapping[str, MemorySource] = {"test": MemorySource(annotations, documents)}
    return SimpleNamespace(sources=sources)
