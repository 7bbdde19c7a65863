"""A small desk in memory: two responses, and a real file of reviews. For tests of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from formats.reviews.conflicts import ConflictRule, resolve
from formats.reviews.decisions import decisions_of_people, own_decisions
from formats.reviews.log import Logged, append_reviews, read_reviews
from maskdpo.desk.model import Filter, Page, Row, State, Status
from schemas.labels import Label
from schemas.records import Annotation, Document
from schemas.reviews import Review, make_review, text_sha256

TEXTS = ("Mira was born in 1951. She is a <b>baker</b>.", "Karsted lies by the sea. 你好世界。")
CUTS = (22, 24)
JUDGED = (Label.CONTRADICTORY, Label.NO_HALLUCINATION, Label.NO_FACT, Label.UNVERIFIABLE)


def annotation(number: int) -> Annotation:
    text, cut = TEXTS[number], CUTS[number]
    places = [(0, cut), (cut + 1, len(text))]
    return Annotation.model_validate({
        "id": f"r{number}", "question_id": f"q{number}", "topic": ("work", "places")[number],
        "language": "en", "text": text,
        "prompt": [{"role": "user", "content": f"Question {number}?"}],
        "sentences": [
            {"start": a, "end": b, "verdict": {"label": JUDGED[2 * number + i], "confidence": 0.5}}
            for i, (a, b) in enumerate(places)
        ],
    }, strict=False)  # fmt: skip


class SmallIndex:
    """What pages ask an index for, over all rows at each call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.annotations = [annotation(number) for number in range(len(TEXTS))]
        self.rows = [
            Row(
                id=2 * r + n, response=r, number=n, start=item.start, end=item.end,
                label=item.verdict.label, reason="", confidence=item.verdict.confidence,
            )
            for r, one in enumerate(self.annotations)
            for n, item in enumerate(one.sentences)
        ]  # fmt: skip

    def entries(self, response: int) -> list[Logged]:
        name = self.annotations[response].id
        found = read_reviews(self.path) if self.path.exists() else []
        return [entry for entry in found if entry.review.response_id == name]

    def counts(self) -> Any:
        labels = {label: JUDGED.count(label) for label in JUDGED}
        return SimpleNamespace(
            labels=labels, reasons={}, topics={"work": 2, "places": 2}, languages={"en": 4},
            responses=2, copies=0, sentences=4,
        )  # fmt: skip

    def annotation(self, response: int) -> Annotation:
        return self.annotations[response]

    def document(self, name: str) -> Document | None:
        return Document(id="d", text="Mira Tolvan, baker.") if name == "d" else None

    def row(self, number: int) -> Row:
        return self.rows[number]

    def state(self, number: int) -> State:
        row = self.rows[number]
        text, entries = TEXTS[row.response], self.entries(row.response)
        own = [item for item in own_decisions(entries, text) if item.start == row.start]
        people = decisions_of_people(entries, text)
        found = resolve(
            [item for item in people if item.start == row.start], text, ConflictRule.SKIP
        )
        label = found.decided[0].label if found.decided and not found.conflicts else None
        return State(
            by={item.who: item.label for item in own},
            conflict=bool(found.conflicts), label=label,
        )  # fmt: skip

    def states_of(self, response: int) -> list[State]:
        return [self.state(row.id) for row in self.rows if row.response == response]

    def agreement_table(self) -> list[Mapping[str, Label | None]]:
        return [self.state(row.id).by for row in self.rows]

    def find(self, wanted: Filter, who: str, after: int | None = None, limit: int = 50) -> Page:
        def fits(row: Row) -> bool:
            state = self.state(row.id)
            return (
                (not wanted.labels or row.label in wanted.labels)
                and (not wanted.people_differ or state.conflict)
                and (not wanted.unreviewed or not state.by)
                and (wanted.status is not Status.OPEN or who not in state.by)
                and (wanted.status is not Status.DECIDED or who in state.by)
                and wanted.text in TEXTS[row.response][row.start : row.end]
            )

        rows = [row for row in self.rows if fits(row)]
        later = [row for row in rows if after is None or row.id > after]
        return Page(
            rows=later[:limit], total=len(rows),
            after=later[limit - 1].id if len(later) > limit else None,
        )  # fmt: skip


class SmallSource:
    def __init__(self, folder: Path) -> None:
        self.files = SimpleNamespace(
            key="run", name="a run", kind="annotations", path=folder / "annotations.jsonl",
            reviews=folder / "reviews.jsonl",
        )  # fmt: skip
        self.index = SmallIndex(self.files.reviews)

    def refresh(self) -> None:
        """Nothing is kept."""

    def people(self) -> list[str]:
        return []

    def entries(self, response: int) -> list[Logged]:
        return self.index.entries(response)

    def record(self, review: Review) -> None:
        append_reviews(self.files.reviews, [review])


def small_desk(folder: Path) -> Any:
    return SimpleNamespace(sources={"run": SmallSource(folder)})


def decide(
    who: str, number: int, label: Label | None, *, minute: int = 0, action: str = "label",
    blind: bool = True, **more: Any,
) -> Review:  # fmt: skip
    """A review of sentence `number` of all."""
    one = annotation(number // 2)
    place = one.sentences[number % 2]
    span = {"start": place.start, "end": place.end, "label": label}
    return make_review(
        response_id=one.id, text_sha256=text_sha256(one.text), start=place.start, end=place.end,
        action=action, spans=[span] if label else [], blind=blind, who=who,
        when=f"2026-01-01T10:{minute:02}:00Z", **more,
    )  # fmt: skip


def write(folder: Path, reviews: Sequence[Review]) -> Path:
    path = folder / "reviews.jsonl"
    append_reviews(path, reviews)
    return path
