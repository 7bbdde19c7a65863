"""Pairs and answers of `span_likelihood.py`: from a file of people's labels to what is compared.

The rule: all methods train on the same pairs, and they differ only in the weights. Pairs come from
one half of the documents, the answers that are measured from the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dataset_builder.build import build_pairs
from dataset_builder.config import BuildConfig
from formats.human_labels import HumanLabels, read_human_labels
from schemas.error_spans import given_places, wrong_words
from schemas.errors import InputError
from schemas.hashing import content_key
from schemas.labels import HALLUCINATED_LABELS, Label
from schemas.records import Annotation, Message, Pair, Span

Kind = Literal["wrong", "innocent", "clean"]
KINDS: tuple[Kind, ...] = ("wrong", "innocent", "clean")
MAX_PAIRS_PER_DOCUMENT = 3


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Two answers about one document: one with wrong words, and the best of the others."""

    document: str
    faulty: Annotation
    other: Annotation


@dataclass(frozen=True, kw_only=True)
class Halves:
    """The rows of both halves of the documents, and how many rows were too long."""

    train: Sequence[Annotation]
    measured: Sequence[Annotation]
    num_rows: int
    num_too_long: int


def read_halves(path: Path, tokenizer: Any, *, document_tokens: int, answer_tokens: int) -> Halves:
    """The rows with short answers, with their documents cut in the prompt, in two halves.

    A document is in a half by the hash of its group alone.
    """
    labels = read_human_labels(path)
    if not any(item.verdict.error_spans for row in labels.annotations for item in row.sentences):
        raise InputError.of(path, "holds no 'spans', which this benchmark needs")
    short = [row for row in labels.annotations if count(tokenizer, row.text) <= answer_tokens]
    rows = cut_prompts(labels, short, tokenizer, document_tokens)
    groups = in_hash_order({row.topic for row in rows})
    first = set(groups[: len(groups) // 2])
    return Halves(
        train=[row for row in rows if row.topic in first],
        measured=[row for row in rows if row.topic not in first],
        num_rows=len(labels.annotations),
        num_too_long=len(labels.annotations) - len(short),
    )


def cut_prompts(
    labels: HumanLabels, rows: Sequence[Annotation], tokenizer: Any, num_tokens: int
) -> list[Annotation]:
    """The rows with prompts of the instruction and the first `num_tokens` of their document.

    A document that is in the text of the question is replaced there, else it is added.
    """
    texts = {document.id: document.text for document in labels.documents}
    cut: list[Annotation] = []
    for row in rows:
        text = "\n\n".join(texts[name] for name in row.document_ids)
        short = cut_text(tokenizer, text, num_tokens)
        question = row.prompt[0].content
        content = question.replace(text, short) if text in question else f"{question}\n\n{short}"
        cut.append(row.model_copy(update={"prompt": [Message(role="user", content=content)]}))
    return cut


def cut_text(tokenizer: Any, text: str, num_tokens: int) -> str:
    """The first tokens of a text."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = encoded["offset_mapping"]
    return text if len(places) <= num_tokens else text[: places[num_tokens - 1][1]]


def count(tokenizer: Any, text: str) -> int:
    """The number of tokens of a text."""
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def build_same_pairs(
    rows: Sequence[Annotation], methods: Mapping[str, Mapping[str, Any]], *, num_pairs: int
) -> dict[str, list[Pair]]:
    """For each method the same `num_pairs` pairs, in one order that does not depend on it.

    methods    settings of `build` by the method's name

    A pair that one of the methods cannot train is left out for all.
    """
    built: dict[str, dict[str, Pair]] = {}
    for name, settings in methods.items():
        config = BuildConfig.parse(
            {"strategy": "mirrored", "max_pairs": MAX_PAIRS_PER_DOCUMENT, **settings},
            where=f"method {name}",
        )
        built[name] = {pair.id: pair for pair in build_pairs(rows, config).pairs}
    common = set.intersection(*(set(pairs) for pairs in built.values()))
    if len(common) < num_pairs:
        raise InputError.of(
            "--labels",
            f"{len(common)} pairs can train with all methods, {num_pairs} wanted; lower --pairs or "
            "raise --answer-tokens",
        )
    kept = in_hash_order(common)[:num_pairs]
    return {name: [pairs[key] for key in kept] for name, pairs in built.items()}


def choose_answers(rows: Sequence[Annotation], *, num_documents: int) -> list[Answers]:
    """One faulty and one other answer for each of some documents."""
    documents: dict[str, list[Annotation]] = {}
    for row in rows:
        documents.setdefault(row.topic, []).append(row)
    chosen: list[Answers] = []
    for name in in_hash_order(documents):
        texts = {row.text: row for row in documents[name]}
        answers = {row.id: row for row in texts.values()}
        faulty = [key for key in in_hash_order(answers) if has_wrong_words(answers[key])]
        if not faulty or len(answers) < 2:
            continue
        first = faulty[0]
        others = [key for key in in_hash_order(answers) if key != first]
        best = min(others, key=lambda key: share_faulty(answers[key]))
        chosen.append(Answers(document=name, faulty=answers[first], other=answers[best]))
    if len(chosen) < num_documents:
        raise InputError.of(
            "--labels",
            f"{len(chosen)} documents have two answers to measure, {num_documents} wanted; lower "
            "--documents or raise --answer-tokens",
        )
    return chosen[:num_documents]


def has_wrong_words(row: Annotation) -> bool:
    """Whether people marked words, not only whole sentences or punctuation."""
    return any(wrong_words(row.text, item) for item in row.sentences)


def share_faulty(row: Annotation) -> float:
    """The share of hallucinated sentences."""
    faulty = [item.verdict.label in HALLUCINATED_LABELS for item in row.sentences]
    return sum(faulty) / len(faulty)


def places_of_kind(row: Annotation, kind: Kind) -> list[Span]:
    """The places of one kind of text; the weight of each is the number of its sentence, from 1.

    wrong       the words that people marked; the whole sentence where they marked no words
    innocent    the rest of these sentences
    clean       sentences without an error

    A hallucinated sentence in which only punctuation is marked has no place.
    """
    spans: list[Span] = []
    for number, sentence in enumerate(row.sentences, start=1):
        label, whole = sentence.verdict.label, (sentence.start, sentence.end)
        places: list[tuple[int, int]] = []
        if label in HALLUCINATED_LABELS:
            wrong = wrong_words(row.text, sentence) if given_places(sentence) else [whole]
            if wrong:
                places = wrong if kind == "wrong" else rest_of(whole, wrong)
            if kind == "clean":
                places = []
        elif label is Label.NO_HALLUCINATION and kind == "clean":
            places = [whole]
        spans += [
            Span(start=start, end=end, label=label, weight=float(number)) for start, end in places
        ]
    return spans


def rest_of(whole: tuple[int, int], places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of a place is in none of `places`, which are sorted and disjoint.

    >>> rest_of((0, 10), [(2, 4), (8, 10)])
    [(0, 2), (4, 8)]
    """
    edges = [whole[0], *(edge for place in places for edge in place), whole[1]]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in pairs if start < end]


def in_hash_order(names: Any) -> list[str]:
    """Names in an order that depends on each name alone."""
    return sorted(names, key=content_key)
