"""A small run for tests of the desk: rows of annotations and documents, written to a folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maskdpo.desk.desk import Desk, OpenSource
from maskdpo.desk.sources import find_sources
from schemas.records import Annotation, Document
from schemas.reviews import Review

DOCUMENT = "Mira Tolvan was born in Karsted in 1951. She bakes bread and keeps two goats."
SENTENCE = re.compile(r"\S[^.。]*[.。]")


def row(
    name: str,
    text: str,
    verdicts: Sequence[Mapping[str, Any]] = (),
    **values: Any,
) -> dict[str, Any]:
    """An annotation whose sentences end at full stops; verdicts by sentence, else correct."""
    sentences = []
    for number, found in enumerate(SENTENCE.finditer(text)):
        given = verdicts[number] if number < len(verdicts) else {}
        verdict = {"label": "no_hallucination", "judge": "made", **given}
        sentences.append({"start": found.start(), "end": found.end(), "verdict": verdict})
    return {
        "id": name,
        "question_id": f"q-{name}",
        "prompt": [{"role": "user", "content": f"Who is {name}?"}],
        "document_ids": ["d"],
        "text": text,
        "sentences": sentences,
        **values,
    }


def write_run(
    folder: Path, rows: Sequence[Mapping[str, Any]], documents: Mapping[str, str] | None = None
) -> Path:
    """The files of a run; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    given = {"d": DOCUMENT} if documents is None else documents
    texts = [{"id": name, "text": text} for name, text in given.items()]
    for name, values in (("annotations", rows), ("documents", texts)):
        lines = [json.dumps(value, ensure_ascii=False) for value in values]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def open_run(folder: Path, **values: Any) -> Desk:
    """The desk of a run."""
    return Desk(find_sources(folder), **values)


def reviews(folder: Path) -> list[dict[str, Any]]:
    """The rows of the file of reviews."""
    path = folder / "reviews.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def desk_of(
    folder: Path, annotations: Sequence[Annotation], documents: Sequence[Document] = ()
) -> Desk:
    """The desk of these records, as the source `test`."""
    run = folder / "test"
    run.mkdir(parents=True)
    for name, records in (("annotations", annotations), ("documents", documents)):
        lines = "".join(one.model_dump_json() + "\n" for one in records)
        (run / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return open_run(run)


def recorded(source: OpenSource) -> list[Review]:
    """The reviews in the file of a source, in its order."""
    from formats.reviews.log import read_reviews

    return [entry.review for entry in read_reviews(source.files.reviews)]
