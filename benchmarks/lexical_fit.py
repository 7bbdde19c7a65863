"""Measures the lexical judge on human labels, and makes its table of weights.

    python benchmarks/lexical_fit.py                     a closed world, whose truth is known
    python benchmarks/lexical_fit.py --data DIR          figures of the judge as it stands
    python benchmarks/lexical_fit.py --data DIR --fit    also refits, and prints the new table

Peer: the plain-overlap line (idf-weighted coverage by the five best passages, one threshold),
fitted on the same files. Fitted on FIT_FILES alone; HELD_OUT_FILES are never looked at by a fit
(the rule of relevant passages was chosen with them in view; see docs/lexical-judge.md).
A file of the fit is measured by weights that were fitted on the other three.

The fit: a logistic regression, classes and files weighted alike, strongly regularised, with the
sign of every weight bounded by the meaning of its feature. Its direction is then rescaled by a
slope and an offset fitted on the same files, so that scores spread over (0, 1).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from annotator.judging.agreement import measure_agreement
from annotator.judging.lexical import LexicalJudge, lacks_fact, settled_score
from annotator.judging.lexical_features import FEATURES, coverage, measure
from annotator.judging.lexical_index import Corpus, index_document
from annotator.judging.lexical_model import BIAS, WEIGHTS
from annotator.judging.lexical_text import blank_citations
from annotator.text.sentences import split_sentences
from dataset_builder.formats.human_labels import HumanLabels, read_human_labels
from maskdpo.demo.truth import true_sentences
from maskdpo.demo.world import make_world, write_biography, write_document, write_question
from schemas.errors import MaskDpoError
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Sentence, Verdict

FIT_FILES = ("factcheck_bench", "expertqa_rand_val", "storysumm_val", "begin_wow_dev")
HELD_OUT_FILES = ("wice_dev", "uhgeval_first500")
FEATURE_NAMES = FEATURES
SUPPORTING = frozenset({"cover_1", "cover_2", "cover_5", "cover_soft"})
L2 = 0.1
NO_FACT_SCORE = 0.0
THRESHOLDS = np.arange(0.2, 0.96, 0.01)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Labelled sentences of one file.

    features  [N, F] in the order of FEATURE_NAMES
    settled   [N] the judge's score where a rule decides without weights, else nan
    coverage  [N] share of each sentence that its five best passages cover (the plain-overlap line)
    gold      [N] True where people say hallucinated
    """

    features: np.ndarray
    settled: np.ndarray
    coverage: np.ndarray
    gold: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A bias and one weight a feature."""

    bias: float
    weights: np.ndarray

    def score(self, examples: Examples) -> np.ndarray:
        """[N] scores in [0, 1], with the rules that settle a sentence alone."""
        raw = sigmoid(examples.features @ self.weights + self.bias)
        return np.where(np.isnan(examples.settled), raw, examples.settled)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] + " Peer: the plain-overlap line.",
        epilog="Prints a table and, as its last line, one JSON object.",
    )
    parser.add_argument(
        "--data", type=Path, help="folder of human-label JSONL files; without it, a closed world"
    )
    parser.add_argument("--fit", action="store_true", help="refit and print the table of weights")
    arguments = parser.parse_args()
    if arguments.data is None:
        if arguments.fit:
            parser.error("--fit needs --data: a closed world is nothing to fit to")
        measure_closed_world()
        return
    try:
        measure_files(arguments)
    except MaskDpoError as error:
        sys.exit(f"error: {error}")


def measure_closed_world() -> None:
    """The judge and the peer on biographies of invented people, half of the sentences wrong."""
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
    print(json.dumps({"benchmark": "lexical_fit", "peer": "plain overlap", "files": files}))


def measure_files(arguments: argparse.Namespace) -> None:
    """Figures of the human-labelled files, and the fit where it is asked for."""
    names = [*FIT_FILES, *HELD_OUT_FILES]
    labels = {name: read_human_labels(arguments.data / f"{name}.jsonl") for name in names}
    examples = {name: read_examples(labels[name]) for name in names}
    if arguments.fit:
        show_table(fit([examples[name] for name in FIT_FILES]))
        threshold = fit_threshold([examples[name] for name in FIT_FILES])
        print(f"OVERLAP_THRESHOLD = {threshold:.2f}")
    files = {name: describe(name, labels[name], examples) for name in names}
    show_files(files)
    print(json.dumps({"benchmark": "lexical_fit", "peer": "plain overlap", "files": files}))


def read_examples(labels: HumanLabels) -> Examples:
    """Features of every sentence that people labelled, by the rules of `agreement`."""
    documents = {document.id: document for document in labels.documents}
    rows = [
        row
        for annotation in labels.annotations
        for row in _rows(annotation, [documents[name] for name in annotation.document_ids])
    ]
    features, settled, covered, gold = zip(*rows, strict=True)
    return Examples(
        features=np.array(features),
        settled=np.array(settled),
        coverage=np.array(covered),
        gold=np.array(gold),
    )


def _rows(annotation: Annotation, documents: Sequence) -> list[tuple]:
    corpus = Corpus([index_document(item) for item in documents])
    text = blank_citations(annotation.text)
    rows = []
    for sentence in annotation.sentences:
        label = sentence.verdict.label
        if label is Label.UNDETERMINED:
            continue
        gold = label in HALLUCINATED_LABELS
        said = text[sentence.start : sentence.end]
        if lacks_fact(said):
            rows.append(([0.0] * len(FEATURE_NAMES), NO_FACT_SCORE, 0.0, gold))
            continue
        measures = measure(said, corpus)
        score = settled_score(measures)
        values = [measures.values[name] for name in FEATURE_NAMES]
        rows.append((values, np.nan if score is None else score, coverage(said, corpus), gold))
    return rows


def fit(files: Sequence[Examples]) -> Weights:
    """The bounded, regularised direction, then its slope and offset."""
    features = np.concatenate([item.features for item in files])
    gold = np.concatenate([item.gold for item in files])
    share = np.concatenate([balance(item.gold) for item in files]) / len(files)
    open_ = np.isnan(np.concatenate([item.settled for item in files]))
    features, gold, share = features[open_], gold[open_], share[open_]
    signs = [(None, 0) if name in SUPPORTING else (0, None) for name in FEATURE_NAMES]
    solution = minimize_logistic(features, gold, share, l2=L2, bounds=signs)
    direction = features @ solution[1:]
    offset, slope = minimize_logistic(direction[:, None], gold, share, l2=0.0, bounds=[(0, None)])
    return Weights(bias=float(offset), weights=slope * solution[1:])


def minimize_logistic(
    features: np.ndarray, gold: np.ndarray, share: np.ndarray, *, l2: float, bounds: list
) -> np.ndarray:
    """[1 + F] bias and weights of the weighted logistic loss plus l2 times the squared weights."""

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        logits = features @ values[1:] + values[0]
        error = share * (sigmoid(logits) - gold)
        gradient = np.concatenate([[error.sum()], features.T @ error + 2 * l2 * values[1:]])
        terms = share * (np.logaddexp(0, logits) - gold * logits)
        return float(terms.sum() + l2 * (values[1:] ** 2).sum()), gradient

    start = np.zeros(1 + features.shape[1])
    return minimize(loss, start, jac=True, bounds=[(None, None), *bounds], method="L-BFGS-B").x


def fit_threshold(files: Sequence[Examples]) -> float:
    """The coverage threshold of the best mean balanced accuracy over the files."""

    def mean_accuracy(threshold: float) -> float:
        return float(np.mean([overlap_accuracy(item, threshold) for item in files]))

    return float(max(THRESHOLDS, key=mean_accuracy))


def overlap_accuracy(examples: Examples, threshold: float) -> float:
    said = np.where(examples.settled == NO_FACT_SCORE, False, examples.coverage < threshold)
    return balanced_accuracy(examples.gold, said)


def balance(gold: np.ndarray) -> np.ndarray:
    """[N] weights that sum to 1, half of it for each class."""
    return np.where(gold, 0.5 / max(gold.sum(), 1), 0.5 / max((~gold).sum(), 1))


def balanced_accuracy(gold: np.ndarray, said: np.ndarray) -> float:
    return float((said[gold].mean() + (~said[~gold]).mean()) / 2)


def area_under_curve(gold: np.ndarray, score: np.ndarray) -> float:
    """Share of (hallucinated, factual) pairs that the score ranks rightly; ties count half."""
    above = score[gold][:, None] - score[~gold][None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def calibration_error(gold: np.ndarray, score: np.ndarray) -> float:
    """Expected calibration error of P(hallucinated) over ten equal bins."""
    bins = np.minimum((score * 10).astype(int), 9)
    gaps = [
        (bins == number).mean() * abs(score[bins == number].mean() - gold[bins == number].mean())
        for number in range(10)
        if (bins == number).any()
    ]
    return float(sum(gaps))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def describe(name: str, labels: HumanLabels, examples: dict[str, Examples]) -> dict:
    """Figures of one file; `other_files` are of weights that did not see it."""
    own = examples[name]
    others = fit([examples[other] for other in FIT_FILES if other != name])
    threshold = fit_threshold([examples[other] for other in FIT_FILES if other != name])
    score = others.score(own)
    committed = Weights(bias=BIAS, weights=np.array([WEIGHTS[key] for key in FEATURE_NAMES]))
    report = measure_agreement(labels.annotations, labels.documents, LexicalJudge()).to_dict()
    return {
        "in_fit": name in FIT_FILES,
        "num_sentences": len(own.gold),
        "agreement": {
            key: rounded(value) for key, value in report.items() if not isinstance(value, dict)
        },
        "committed_auc": round(area_under_curve(own.gold, committed.score(own)), 3),
        "committed_calibration_error": round(calibration_error(own.gold, committed.score(own)), 3),
        "other_files_balanced_accuracy": round(balanced_accuracy(own.gold, score >= 0.5), 3),
        "other_files_overlap_balanced_accuracy": round(overlap_accuracy(own, threshold), 3),
    }


def rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def show_table(weights: Weights) -> None:
    print(f"BIAS = {weights.bias:.3f}")
    for name, weight in zip(FEATURE_NAMES, weights.weights, strict=True):
        print(f'    "{name}": {weight:.3f},')


def show_files(files: dict[str, dict]) -> None:
    print(f"{'file':<20}{'n':>6}{'bal.acc':>9}{'unseen':>9}{'overlap':>9}{'AUC':>7}{'ECE':>7}")
    for name, row in files.items():
        print(
            f"{name:<20}{row['num_sentences']:>6}"
            f"{row['agreement']['balanced_accuracy']:>9.3f}"
            f"{row['other_files_balanced_accuracy']:>9.3f}"
            f"{row['other_files_overlap_balanced_accuracy']:>9.3f}"
            f"{row['committed_auc']:>7.3f}{row['committed_calibration_error']:>7.3f}"
        )


if __name__ == "__main__":
    main()
