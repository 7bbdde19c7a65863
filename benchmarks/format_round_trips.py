"""Round trips of real responses through other formats: nothing lost, or refused with a reason.

    python benchmarks/format_round_trips.py                      generated biographies
    python benchmarks/format_round_trips.py labels.jsonl [more.jsonl ...] [--json FILE]

Reads human-labelled files (docs/dataset-format.md) and takes every response

    ours -> published Mask-DPO JSON -> ours            as written, and
    ours -> published, all white space lost -> ours    as a sentence splitter may leave it;
    the same with its text twice in a row              every sentence repeats;
    ours -> human labels -> ours                       the whole file, error spans included.

Peer: a reader that searches for each sentence in the response separately, as in one line of code;
`peer_differ_*` counts the responses that it gets wrong. Without white space it finds nothing.

The run fails unless places, labels and error spans are the same, character for character. A label
that the published format does not have is refused and counted.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from formats.export import ExportFormat, run_export
from formats.human_labels import read_human_labels
from formats.human_spans import collect
from formats.import_human_labels import run_import
from formats.published import (
    LABELS,
    LabelledSpan,
    PublishedItem,
    make_item,
    read_item,
)
from maskdpo.demo.truth import true_sentences
from maskdpo.demo.world import make_world, write_biography, write_document
from schemas.labels import Label
from schemas.stage import StageResult

LABEL_WORDS = {True: "factual", False: "hallucinated"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] + " Peer: search for each sentence separately.",
        epilog="Prints one line per file and, as its last line, one JSON object.",
    )
    parser.add_argument("files", nargs="*", type=Path, help="human-labelled JSONL files")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = arguments.files or [write_biographies(Path(folder) / "biographies.jsonl")]
        report = {path.name: measure(path) for path in files}
    total: Counter[str] = Counter()
    for row in report.values():
        total.update({key: value for key, value in row.items() if isinstance(value, int)})
    for name, row in report.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in row.items()))
    peer = "each sentence searched for separately"
    values = {"benchmark": "format_round_trips", "peer": peer, **total, "files": report}
    text = json.dumps(values)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if total["differ"] or total["human_labels_differ"]:
        sys.exit("a round trip changed something")


def write_biographies(path: Path) -> Path:
    """A human-labelled file about invented people, for a run without data."""
    world = make_world(num_people=100, seed=0)
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as lines:
        for person in world.people:
            text = write_biography(world, person, corrupted_share=0.5, rng=rng)
            truth = true_sentences(world, person)
            sentences = [
                {"start": m.start(), "end": m.end(), "label": LABEL_WORDS[m.group() in truth]}
                for m in re.finditer(r"[^ ][^.]*\.", text)
            ]
            # The words after the name: in the wrong sentence, or across two.
            errors = [
                {"start": item["start"] + 4, "end": item["end"] + 6 * (index % 2), "label": None}
                for index, item in enumerate(sentences[:-1])
                if item["label"] == LABEL_WORDS[False]
            ]
            document = write_document(world, person)
            row = {
                "id": person.id,
                "source": "generated",
                "language": "en",
                "group": person.id,
                "question": f"Who is {person.name}?",
                "documents": [{"id": document.id, "text": document.text}],
                "response": text,
                "generator": "generated",
                "sentences": sentences,
                "spans": [*errors, *errors[:1]],
            }
            lines.write(json.dumps(row) + "\n")
    return path


def measure(path: Path) -> dict[str, Any]:
    """Counts of one file: the same, refused, different, and different with the peer."""
    rows = read_human_labels(path).annotations
    counts: Counter[str] = Counter(responses=len(rows))
    refused: Counter[str] = Counter()
    for row in rows:
        unsayable = sorted({item.verdict.label.value for item in row.sentences} - sayable())
        try:
            spans = [(item.start, item.end, item.verdict.label) for item in row.sentences]
            same = round_trip(row.text, spans) and round_trip(*twice(row.text, spans))
        except ValueError:
            refused[" and ".join(unsayable) or "other"] += 1
            continue
        if unsayable:
            counts["differ"] += 1  # it should have been refused
            continue
        counts["same" if same else "differ"] += 1
        counts["peer_differ_as_written"] += not looked_up(row.text, spans)
        counts["peer_differ_said_twice"] += not looked_up(*twice(row.text, spans))
        counts["same_sentences"] += len(spans) if same else 0
    with tempfile.TemporaryDirectory() as folder:
        result = through_human_labels(path, Path(folder))
        back = read_human_labels(result.output).annotations
    counts["error_spans"] = sum(len(collect(row.sentences)) for row in back)
    before = {row.id: row for row in rows}
    counts["human_labels_differ"] = (
        sum(before[row.id] != row for row in back) + len(rows) - len(back)
    )
    return {**counts, "refused": sum(refused.values()), "refused_by_label": dict(refused)}


def sayable() -> set[str]:
    return {label.value for label in LABELS.values()}


def round_trip(text: str, spans: list[LabelledSpan]) -> bool:
    """Whether a response comes back the same, with its white space and without it."""
    item = make_item(text, spans)
    squeezed = ["".join(sentence.split()) for sentence in item["sents"]]
    return all(
        read_item(text, PublishedItem(sents=sents, type=item["type"])) == spans
        for sents in (item["sents"], squeezed)
    )


def looked_up(text: str, spans: list[LabelledSpan]) -> bool:
    """The peer: whether each sentence, searched for separately, is found at its place."""
    return all(text.find(text[start:end]) == start for start, end, _ in spans)


def twice(text: str, spans: list[LabelledSpan]) -> tuple[str, list[LabelledSpan]]:
    """The response twice, the second time with every label reversed."""
    shift = len(text) + 1
    turned = {
        Label.HALLUCINATED: Label.NO_HALLUCINATION,
        Label.NO_HALLUCINATION: Label.HALLUCINATED,
    }
    again = [(start + shift, end + shift, turned.get(label, label)) for start, end, label in spans]
    return f"{text}\n{text}", [*spans, *again]


def through_human_labels(path: Path, folder: Path) -> StageResult:
    annotations, documents = folder / "annotations.jsonl", folder / "documents.jsonl"
    run_import(source=path, annotations=annotations, documents=documents)
    return run_export(
        source=annotations,
        output=folder / "labels.jsonl",
        format_name=ExportFormat.HUMAN_LABELS,
        documents=documents,
    )


if __name__ == "__main__":
    main()
