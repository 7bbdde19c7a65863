"""Rows that the tests of `maskdpo show` share: an invented person, her documents, a pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCUMENT = (
    "Mira Tolvan is a painter. She was born in 1948 in Orvel.\n"
    "She won the Harbour Prize in 1979 for her pictures of the river."
)
TEXT = "Mira Tolvan was born in 1950. She paints. She lives in Orvel."


def verdict(label: str, **changes: Any) -> dict[str, Any]:
    return {"label": label, "judge": "j"} | changes


def evidence(quote: str, document: str = DOCUMENT, name: str = "tolvan") -> dict[str, Any]:
    start = document.index(quote)
    return {"document_id": name, "start": start, "end": start + len(quote)}


def annotation_row(identifier: str = "r1", **changes: Any) -> dict[str, Any]:
    """Three sentences: one contradicted by the document, one borne out, one undetermined."""
    verdicts = [
        verdict(
            "contradictory",
            confidence=0.9,
            confidence_kind="votes",
            rationale="the document says 1948",
            evidence=[evidence("She was born in 1948")],
            error_spans=[{"start": 24, "end": 28}],
        ),
        verdict("no_hallucination", evidence=[evidence("is a painter")], source="person"),
        verdict("undetermined", reason="no_reply", missing_quotes=["lives in Orvel today"]),
    ]
    places = [(0, 29), (30, 41), (42, 61)]
    row = {
        "id": identifier,
        "question_id": "q1",
        "topic": "painters",
        "language": "en",
        "document_ids": ["tolvan"],
        "prompt": [{"role": "user", "content": "Who is Mira Tolvan?"}],
        "text": TEXT,
        "model": "some/model",
        "sentences": [
            {"start": start, "end": end, "verdict": one}
            for (start, end), one in zip(places, verdicts, strict=True)
        ],
    }
    return row | changes


def response_row(identifier: str = "r1", **changes: Any) -> dict[str, Any]:
    row = annotation_row(identifier, **changes)
    del row["sentences"]
    return row


def document_row(**changes: Any) -> dict[str, Any]:
    return {"id": "tolvan", "text": DOCUMENT, "title": "Tolvan, Mira"} | changes


def span(start: int, end: int, label: str, weight: float) -> dict[str, Any]:
    return {"start": start, "end": end, "label": label, "weight": weight}


def pair_row(identifier: str = "p1", **changes: Any) -> dict[str, Any]:
    row = {
        "id": identifier,
        "prompt": [{"role": "user", "content": "Who is Mira Tolvan?"}],
        "chosen": [{"role": "assistant", "content": "She paints. She flies."}],
        "rejected": [{"role": "assistant", "content": "She sings."}],
        "chosen_spans": [
            span(0, 11, "no_hallucination", 0.5),
            span(12, 22, "unverifiable", 0.0),
        ],
        "rejected_spans": [span(0, 10, "contradictory", 1.0)],
        "chosen_score": 0.5,
        "rejected_score": 0.0,
        "topic": "painters",
        "chosen_id": "r7",
    }
    return row | changes


def write(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path
