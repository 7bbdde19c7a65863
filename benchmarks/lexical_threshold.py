"""Measures the lexical judge on human labels, and the best value of its single threshold.

    python benchmarks/lexical_threshold.py                     a closed world with known truth
    python benchmarks/lexical_threshold.py --data DIR          files of human labels

Peer: the plain-overlap baseline (the same coverage, without the checks), with a threshold chosen
the same way. `unseen` is each file at the threshold that has the best mean balanced accuracy over
the other files; `own` at the threshold that is best for the file itself, which is not known in
advance. The last line of the table names the threshold that is best over all files:
UNCOVERED_LIMIT.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from annotator.agreement.measure import measure_agreement
from annotator.judging.lexical import LexicalJudge
from annotator.judging.lexical.align import Match
from annotator.judging.lexical.checks import find_alignment, find_objections
from annotator.judging.lexical.index import Corpus, DocumentIndex, index_document
from annotator.judging.lexical.judge import UNCOVERED_LIMIT, is_unfinished, uncovered_share
from annotator.judging.lexical.no_fact import lacks_fact
from annotator.judging.lexical.overlap import compare
from annotator.judging.lexical.text import blank_citations
from annotator.text.sentences import split_sentences
from formats.human_labels import HumanLabels, read_human_labels
from maskdpo.demo.truth import true_sentences
from maskdpo.demo.world import make_world, write_biography, write_document, write_question
from schemas.errors import MaskDpoError
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Sentence, Verdict

THRESHOLDS = np.arange(0.1, 0.9, 0.01)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Labelled sentences of one file, without those that the judge leaves undetermined.

    gold     [N] True if people say hallucinated
    judge    [N] uncovered share; 0 or 1 if passages, checks or `no_fact` decide
    overlap  [N] uncovered share alone
    """

    gold: np.ndarray
    judge: np.ndarray
    overlap: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] + " Peer: the plain-overlap baseline.",
        epilog="Prints a table and, as its last line, one JSON object.",
    )
    parser.add_argument(
        "--data", type=Path, help="folder of human-label JSONL files; without it, a closed world"
    )
    arguments = parser.parse_args()
    if arguments.data is None:
        measure_closed_world()
        return
    try:
        paths = sorted(arguments.data.glob("*.jsonl"))
        if len(paths) < 2:
            parser.error(f"{arguments.data} has {len(paths)} *.jsonl files, but needs at least 2")
        show({path.stem: read_examples(read_human_labels(path)) for path in paths})
    except MaskDpoError as error:
        sys.exit(f"error: {error}")


def measure_closed_world() -> None:
    """The judge and the peer on biographies of invented people; half of the sentences are wrong."""
    world = make_world(num_people=120, seed=1)
    rng = random.Random(1)
    gold = []
    for person in world.people:
        text = write_biography(world, person, corrupted_share=0.5, rng=rng)
        truth = true_sentences(world, person)
        sentences = []
        for start, end in split_sentences(text, language="en"):
            true = text[start:end] in truth
            label = Label.NO_HALLUCINATION if true else Label.HALLUCINATED
            verdict = Verdict(label=label, source="person")
            sentences.append(Sentence(start=start, end=end, verdict=verdict))
        question = write_question(person)
        gold.append(
            Annotation(
                id=person.id,
                question_id=question.id,
                topic=person.id,
                document_ids=question.document_ids,
                prompt=question.messages,
                text=text,
                sentences=sentences,
            )
        )
    documents = [write_document(world, person) for person in world.people]
    report = measure_agreement(gold, documents, LexicalJudge()).to_dict()
    peer = report["baselines"]["overlap"]["balanced_accuracy"]
    print(f"balanced accuracy: lexical {report['balanced_accuracy']:.3f}, overlap {peer:.3f}")
    files = {"closed_world": {"agreement": report}}
    print(json.dumps({"benchmark": "lexical_threshold", "peer": "plain overlap", "files": files}))


def read_examples(labels: HumanLabels) -> Examples:
    """Every sentence that people labelled, by the rules of `agreement`."""
    documents = {document.id: document for document in labels.documents}
    indices: dict[str, DocumentIndex] = {}
    rows = []
    for annotation in labels.annotations:
        given = [
            documents[name] for name in annotation.document_ids if documents[name].text.strip()
        ]
        if not given:
            continue
        corpus = Corpus([indices.setdefault(one.id, index_document(one)) for one in given])
        rows += _rows(annotation, corpus)
    gold, judge, overlap = zip(*rows, strict=True)
    return Examples(gold=np.array(gold), judge=np.array(judge), overlap=np.array(overlap))


def _rows(annotation: Annotation, corpus: Corpus) -> list[tuple[bool, float, float]]:
    text = blank_citations(annotation.text)
    rows = []
    for sentence in annotation.sentences:
        label = sentence.verdict.label
        said = text[sentence.start : sentence.end]
        if label is Label.UNDETERMINED:
            continue
        gold = label in HALLUCINATED_LABELS
        if lacks_fact(said):
            rows.append((gold, 0.0, 0.0))
        elif not is_unfinished(said):
            overlap = compare(said, corpus)
            aligned = find_alignment(overlap, corpus)
            if aligned is not None:
                score = 0.0 if aligned[1].match is Match.SAME else 1.0
            else:
                score = 1.0 if find_objections(overlap, corpus) else uncovered_share(overlap)
            rows.append((gold, score, 1.0 - overlap.share))
    return rows


def show(files: Mapping[str, Examples]) -> None:
    print(f"{'file':<20}{'n':>7}{'unseen':>9}{'shipped':>9}{'own':>7}{'overlap':>9}{'AUC':>7}")
    rows = {}
    tables = {name: accuracies(item.gold, item.judge) for name, item in files.items()}
    peers = {name: accuracies(item.gold, item.overlap) for name, item in files.items()}
    for name, item in files.items():
        shipped = balanced_accuracy(item.gold, item.judge >= UNCOVERED_LIMIT)
        rows[name] = row = {
            "num_sentences": len(item.gold),
            "unseen": float(tables[name][best_over_others(tables, name)]),
            "shipped": shipped,
            "own": float(tables[name].max()),
            "overlap": float(peers[name][best_over_others(peers, name)]),
            "auc": area_under_curve(item.gold, item.judge),
        }
        print(
            f"{name:<20}{row['num_sentences']:>7}{row['unseen']:>9.3f}{row['shipped']:>9.3f}"
            f"{row['own']:>7.3f}{row['overlap']:>9.3f}{row['auc']:>7.3f}"
        )
    means = {
        key: float(np.mean([row[key] for row in rows.values()])) for key in ("unseen", "overlap")
    }
    limit, peer_limit = best_over_others(tables, ""), best_over_others(peers, "")
    print(f"mean unseen {means['unseen']:.4f}, overlap {means['overlap']:.4f}")
    best = f"lexical {THRESHOLDS[limit]:.2f}, overlap {THRESHOLDS[peer_limit]:.2f}"
    print(f"best over all files: {best}")
    report = {"threshold": round(float(THRESHOLDS[limit]), 2), "means": means, "files": rows}
    print(json.dumps({"benchmark": "lexical_threshold", "peer": "plain overlap", **report}))


def accuracies(gold: np.ndarray, score: np.ndarray) -> np.ndarray:
    """[T] balanced accuracy at each of THRESHOLDS."""
    return np.array([balanced_accuracy(gold, score >= limit) for limit in THRESHOLDS])


def best_over_others(tables: Mapping[str, np.ndarray], name: str) -> int:
    """The index of the threshold with the best mean over all files except `name`."""
    others = [table for other, table in tables.items() if other != name]
    return int(np.mean(others, axis=0).argmax())


def balanced_accuracy(gold: np.ndarray, said: np.ndarray) -> float:
    return float((said[gold].mean() + (~said[~gold]).mean()) / 2)


def area_under_curve(gold: np.ndarray, score: np.ndarray) -> float:
    """Share of (hallucinated, factual) pairs that the score ranks correctly; ties count half."""
    values, place = np.unique(score, return_inverse=True)
    wrong = np.bincount(place[gold], minlength=len(values))
    right = np.bincount(place[~gold], minlength=len(values))
    below = np.cumsum(right) - right
    return float((wrong * (below + 0.5 * right)).sum() / (wrong.sum() * right.sum()))


if __name__ == "__main__":
    main()
