"""A small desk of two responses, for tests of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from formats.reviews.log import append_reviews
from maskdpo.desk.desk import Desk
from maskdpo.desk.sources import find_sources
from schemas.labels import Label
from schemas.records import Annotation
from schemas.reviews import Review, make_review, text_sha256

TEXTS = ("Mira was born in 1951. She is a <b>baker</b>.", "Karsted lies by the sea. 你好世界。")
CUTS = (22, 24)
JUDGED = (Label.CONTRADICTORY, Label.NO_HALLUCINATION, Label.NO_FACT, Label.UNVERIFIABLE)


def annotation(number: int) -> Annotation:
    text, cut = TEXTS[number], CUTS[number]
    places = [(0, cut), (cut + 1, len(text))]
    return Annotation.model_validate({
        "id": f"r{number}", "question_id": f"q{number}", "topic": ("work", "places")[number],
        "language": "en", "text": text, "document_ids": ["d"],
        "prompt": [{"role": "user", "content": f"Question {number}?"}],
        "sentences": [
            {"start": a, "end": b, "verdict": {"label": JUDGED[2 * number + i], "confidence": 0.5}}
            for i, (a, b) in enumerate(places)
        ],
    }, strict=False)  # fmt: skip


def small_desk(folder: Path) -> Desk:
    """The desk of the two responses; its reviews are in `folder`, its sentences have ids 1 to 4."""
    rows = [annotation(number).model_dump_json() + "\n" for number in range(len(TEXTS))]
    (folder / "annotations.jsonl").write_text("".join(rows), encoding="utf-8")
    (folder / "documents.jsonl").write_text('{"id": "d", "text": "Mira Tolvan, baker."}\n')
    (files,) = find_sources(folder)
    return Desk([replace(files, key="run")])


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
