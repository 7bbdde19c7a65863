"""Measures how many verdicts of the lexical judge irrelevant passages change.

    python benchmarks/irrelevant_passages.py --data DIR [--file wice_dev]

Thirty passages (whole lines with at least 200 characters, chosen with a seed from the documents of
other groups of the same file) are added to every document: before its text, after it, or between
its lines at random. Every sentence that people labelled is judged with and without them; a verdict
has changed when its label differs. `share_changed` is the largest share of the three placements.
Not every passage is certainly irrelevant: two groups may have the same subject.

Peer: the plain-overlap baseline with the same noise.

    target    share_changed below 0.02 on wice_dev
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from annotator.agreement.baselines import OverlapJudge
from annotator.judging.judge import Judge, JudgeFailure, JudgeTask
from annotator.judging.lexical import LexicalJudge
from formats.human_labels import HumanLabels, read_human_labels
from schemas.errors import MaskDpoError
from schemas.labels import Label
from schemas.records import Annotation, Document

FILES = (
    "wice_dev",
    "factcheck_bench",
    "expertqa_rand_val",
    "storysumm_val",
    "begin_wow_dev",
    "uhgeval_first500",
)
MAX_SHARE = 0.02
MIN_CHARS = 200
Place = Callable[[str, Sequence[str], random.Random], str]


def prepend(text: str, noise: Sequence[str], rng: random.Random) -> str:
    return "\n".join([*noise, text])


def append(text: str, noise: Sequence[str], rng: random.Random) -> str:
    return "\n".join([text, *noise])


def interleave(text: str, noise: Sequence[str], rng: random.Random) -> str:
    """Each passage before a random line of the text or after its end; both keep their order."""
    lines = text.split("\n")
    gaps = sorted(rng.randint(0, len(lines)) for _ in noise)
    mixed: list[str] = []
    position = 0
    for gap, passage in zip(gaps, noise, strict=True):
        mixed += [*lines[position:gap], passage]
        position = gap
    return "\n".join([*mixed, *lines[position:]])


PLACEMENTS: dict[str, Place] = {
    "prepended": prepend,
    "appended": append,
    "interleaved": interleave,
}


def cut_passages(text: str) -> list[str]:
    """Groups of whole lines with at least MIN_CHARS characters; the rest joins the last group."""
    passages: list[str] = []
    run: list[str] = []
    for line in text.split("\n"):
        if line.strip():
            run.append(line)
        if sum(map(len, run)) >= MIN_CHARS:
            passages.append("\n".join(run))
            run = []
    if run:
        passages[-1:] = ["\n".join([*passages[-1:], *run])]
    return passages


class Noise:
    """The passages of a file by group, and the choice of passages for one document."""

    def __init__(self, labels: HumanLabels) -> None:
        group_of = {
            name: annotation.topic or annotation.question_id
            for annotation in labels.annotations
            for name in annotation.document_ids
        }
        self._group_of = group_of
        self._passages = [
            (group_of[document.id], passage)
            for document in labels.documents
            for passage in cut_passages(document.text)
            if document.id in group_of
        ]

    def draw(self, document: Document, count: int, rng: random.Random) -> list[str]:
        """`count` passages of other groups, none twice; fewer if there are not enough."""
        group = self._group_of[document.id]
        order = rng.sample(self._passages, len(self._passages))
        found: dict[str, None] = {}
        for other, passage in order:
            if other != group:
                found[passage] = None
            if len(found) == count:
                break
        return list(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] + " Peer: the plain-overlap baseline.",
        epilog="Prints a table and, as its last line, one JSON object.",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of human-label JSONL files"
    )
    parser.add_argument("--file", action="append", choices=FILES, help="only this file; repeatable")
    parser.add_argument("--passages", type=int, default=30, help="passages per document")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    names = arguments.file or FILES
    print(f"{'file':<20}{'n':>6}{'prepended':>11}{'appended':>10}{'interleaved':>13}{'peer':>8}")
    files = {}
    for name in names:
        try:
            labels = read_human_labels(arguments.data / f"{name}.jsonl")
        except MaskDpoError as error:
            sys.exit(f"error: {error}")
        files[name] = row = describe(labels, count=arguments.passages, seed=arguments.seed)
        print(
            f"{name:<20}{row['num_sentences']:>6}{row['prepended']:>11.4f}{row['appended']:>10.4f}"
            f"{row['interleaved']:>13.4f}{row['peer_share_changed']:>8.4f}"
        )
    report = {
        "benchmark": "irrelevant_passages",
        "peer": "plain overlap",
        "passages": arguments.passages,
        "seed": arguments.seed,
        "files": files,
    }
    if "wice_dev" in files:
        share = files["wice_dev"]["share_changed"]
        report |= {"share_changed": share, "met": share < MAX_SHARE}
    print(json.dumps(report))


def describe(labels: HumanLabels, *, count: int, seed: int) -> dict[str, float]:
    """Shares of changed verdicts of one file, by placement."""
    clean = {document.id: document for document in labels.documents}
    before, peer_before = (judge_all(labels, clean, judge) for judge in judges())
    row: dict[str, float] = {"num_sentences": len(before)}
    peer_shares = []
    for placement, place in PLACEMENTS.items():
        noise, rng = Noise(labels), random.Random(f"{seed}/{placement}")
        noisy = {
            name: document.model_copy(
                update={"text": place(document.text, noise.draw(document, count, rng), rng)}
            )
            for name, document in clean.items()
        }
        after, peer_after = (judge_all(labels, noisy, judge) for judge in judges())
        row[placement] = share_changed(before, after)
        row[f"{placement}_hallucinated"] = share_changed(
            [is_hallucinated(label) for label in before],
            [is_hallucinated(label) for label in after],
        )
        peer_shares.append(share_changed(peer_before, peer_after))
    row["share_changed"] = max(row[placement] for placement in PLACEMENTS)
    row["peer_share_changed"] = max(peer_shares)
    return row


def judges() -> tuple[Judge, Judge]:
    return LexicalJudge(), OverlapJudge()


def judge_all(labels: HumanLabels, documents: dict[str, Document], judge: Judge) -> list[Label]:
    """Labels of all sentences that people labelled, in the file's order."""
    tasks = [make_task(annotation, documents) for annotation in labels.annotations]
    said: list[Label] = []
    for batch in judge.judge(tasks):
        for _, verdicts in batch:
            assert not isinstance(verdicts, JudgeFailure)
            said += [verdict.label for verdict in verdicts]
    return said


def make_task(annotation: Annotation, documents: dict[str, Document]) -> JudgeTask:
    return JudgeTask(
        response=annotation,
        sentences=[
            (item.start, item.end)
            for item in annotation.sentences
            if item.verdict.label is not Label.UNDETERMINED
        ],
        documents=[documents[name] for name in annotation.document_ids],
    )


def is_hallucinated(label: Label) -> bool:
    return label in {Label.CONTRADICTORY, Label.UNVERIFIABLE}


def share_changed(before: Sequence[object], after: Sequence[object]) -> float:
    changed = sum(one is not other for one, other in zip(before, after, strict=True))
    return round(changed / len(before), 4)


if __name__ == "__main__":
    main()
