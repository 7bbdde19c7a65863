"""A small world for judge models: documents, responses, and what is true of each sentence."""

import json
from pathlib import Path

from schemas.files.jsonl import read_records
from schemas.records import Annotation

LABELS = {
    "supported": "no_hallucination",
    "contradicted": "contradictory",
    "not_mentioned": "unverifiable",
    "no_fact": "no_fact",
}


def make_world(folder: Path, *, num_responses: int = 12) -> dict[str, tuple[str, str]]:
    """Write documents.jsonl and responses.jsonl; returns sentence -> (label, quote)."""
    truths: dict[str, tuple[str, str]] = {}
    documents, responses = [], []
    for n in range(num_responses):
        fact = f"Person {n} was born in the town of Karsted-{n} in {1900 + n}."
        documents.append({"id": f"d{n}", "text": f"{fact} Person {n} kept {n + 2} grey cats."})
        said = {
            f"Person {n} came from Karsted-{n}.": ("supported", fact),
            f"Person {n} kept {n + 7} cats.": ("contradicted", f"kept {n + 2} grey cats"),
            f"Person {n} loved mountain {n}.": ("not_mentioned", ""),
            f"Thank you for question {n}!": ("no_fact", ""),
        }
        truths |= said
        responses.append(
            {
                "id": f"r{n}",
                "question_id": f"q{n}",
                "document_ids": [f"d{n}"],
                "language": "en",
                "prompt": [{"role": "user", "content": f"Who is person {n}?"}],
                "text": " ".join(said),
            }
        )
    for name, rows in (("documents", documents), ("responses", responses)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return truths


def read_labels(path: Path) -> dict[str, tuple[str, str | None]]:
    """Sentence text -> (label, reason) of an annotations file."""
    return {
        item.text[s.start : s.end]: (s.verdict.label.value, s.verdict.reason)
        for item in read_records(path, Annotation)
        for s in item.sentences
    }
