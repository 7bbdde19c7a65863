"""Rows and strategies that the builder's tests share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from schemas.labels import CORRECT_LABELS, HALLUCINATED_LABELS, Label
from schemas.records import Annotation

GOOD, BAD = Label.NO_HALLUCINATION, Label.HALLUCINATED
LABELS = st.sampled_from(list(Label))
DECIDED = CORRECT_LABELS | HALLUCINATED_LABELS


def annotation_row(
    identifier: str,
    labels: Sequence[Label],
    *,
    question: str = "q",
    verdict: dict[str, Any] | None = None,
    texts: Sequence[str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A row as it is in annotations.jsonl: one sentence per label, a space between them."""
    if texts is None:
        texts = [f"Sentence {index} of {identifier}." for index in range(len(labels))]
    sentences, position = [], 0
    for text, label in zip(texts, labels, strict=True):
        own: dict[str, Any] = {"label": label.value, "judge": "j"} | (verdict or {})
        if label is Label.UNDETERMINED:
            own["reason"] = "not_labelled"
        sentences.append({"start": position, "end": position + len(text), "verdict": own})
        position += len(text) + 1
    row = {
        "id": identifier,
        "question_id": question,
        "topic": f"topic of {question}",
        "language": "en",
        "prompt": [{"role": "user", "content": f"What of {question}?"}],
        "text": " ".join(texts),
        "model": "some/model",
        "sentences": sentences,
    }
    return row | changes


def annotation(identifier: str, labels: Sequence[Label], **changes: Any) -> Annotation:
    return Annotation.model_validate_json(json.dumps(annotation_row(identifier, labels, **changes)))


def write_annotations(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def questions(num: int, **changes: Any) -> list[dict[str, Any]]:
    """Three responses per question: all right, half right, all wrong."""
    return [
        annotation_row(f"q{index}/{kind}", labels, question=f"q{index}", **changes)
        for index in range(num)
        for kind, labels in (("best", [GOOD, GOOD]), ("half", [GOOD, BAD]), ("worst", [BAD]))
    ]


@st.composite
def responses(draw: st.DrawFn, question: str = "q") -> list[Annotation]:
    """The responses to one question, with repeated texts and undecided ones among them."""
    sides = draw(st.lists(st.lists(LABELS, max_size=4), min_size=1, max_size=6))
    rows = []
    for index, labels in enumerate(sides):
        # Few different words, so that two responses often have one text.
        texts = [draw(st.sampled_from(["Ja.", "No!"])) for _ in labels]
        rows.append(annotation(f"{question}/{index}", labels, question=question, texts=texts))
    return draw(st.permutations(rows))
