"""Indexed documents: passages, where each word occurs, and whom they are about.

An index is made once per document and used for every sentence compared with it. Memory and time
grow linearly with the text; the words of a passage are tokenised again when it is a candidate.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from annotator.judging.lexical.text import (
    Token,
    blank_citations,
    read_keys,
    read_tokens,
    scan_tokens,
    split_passages,
)
from schemas.records import Document
from schemas.spans import Offsets

_MAX_SUBJECT_WORDS = 5


class PassageId(NamedTuple):
    """A passage by the index of its document in the list and its own index in the document."""

    document: int
    passage: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentIndex:
    """One document.

    text      its text with citation markers blanked; offsets are those of the original
    postings  word key -> numbers of the passages with the word, ascending
    subject   keys of the words that name what the document is about
    """

    text: str
    passages: Sequence[Offsets]
    postings: Mapping[str, Sequence[int]]
    subject: frozenset[str]

    def tokens(self, passage: int) -> tuple[Token, ...]:
        """The words of a passage; their offsets count from the passage's start."""
        start, end = self.passages[passage]
        return read_tokens(self.text[start:end])


def index_document(document: Document) -> DocumentIndex:
    """Index a document once."""
    text = blank_citations(document.text)
    passages = split_passages(text)
    postings: defaultdict[str, list[int]] = defaultdict(list)
    for number, (start, end) in enumerate(passages):
        for key in {token.key for token in scan_tokens(text[start:end])}:
            postings[key].append(number)
    opening = text[slice(*passages[0])] if passages else ""
    return DocumentIndex(
        text=text,
        passages=passages,
        postings=dict(postings),
        subject=_find_subject(document.title, opening),
    )


def _find_subject(title: str, opening: str) -> frozenset[str]:
    """The title's words and the name at the beginning of a document.

    A later passage has `she` or no subject; a sentence that repeats the name is still covered by
    it.
    """
    keys = {token.key for token in read_tokens(title) if not token.is_function}
    name: list[str] = []
    for token in read_tokens(opening):
        if not token.is_name or len(name) == _MAX_SUBJECT_WORDS:
            break
        name.append(token.key)
    return frozenset(keys | set(name))


class Corpus:
    """The documents one response is compared with, with word weights over all of them."""

    def __init__(self, documents: Sequence[DocumentIndex]) -> None:
        self.documents = documents
        self.num_passages = sum(len(document.passages) for document in documents)
        self.subject = frozenset().union(*(document.subject for document in documents))

    def count(self, key: str) -> int:
        """How many passages have the word."""
        return sum(len(document.postings.get(key, ())) for document in self.documents)

    def weight(self, key: str) -> float:
        """Smoothed inverse passage frequency: 1 for a word in every passage, more if rarer."""
        return 1.0 + math.log((self.num_passages + 1) / (self.count(key) + 1))

    def tokens(self, place: PassageId) -> tuple[Token, ...]:
        """The words of a passage."""
        return self.documents[place.document].tokens(place.passage)

    def keys(self, place: PassageId) -> frozenset[str]:
        """The keys of a passage's words."""
        document = self.documents[place.document]
        start, end = document.passages[place.passage]
        return read_keys(document.text[start:end])

    def neighbours(self, place: PassageId, *, distance: int) -> list[PassageId]:
        """The passage and those at most `distance` before or after it in its document."""
        last = len(self.documents[place.document].passages) - 1
        first = max(0, place.passage - distance)
        numbers = range(first, min(last, place.passage + distance) + 1)
        return [PassageId(place.document, number) for number in numbers]

    def best_passages(self, weights: Mapping[str, float], *, limit: int) -> list[PassageId]:
        """Passages by the weight of the words they share with `weights`, best first."""
        ranked: list[tuple[float, PassageId]] = []
        for number, document in enumerate(self.documents):
            scores: defaultdict[int, float] = defaultdict(float)
            for key, weight in weights.items():
                for passage in document.postings.get(key, ()):
                    scores[passage] += weight
            best = heapq.nsmallest(limit, ((-round(scores[key], 9), key) for key in scores))
            ranked.extend((cost, PassageId(number, passage)) for cost, passage in best)
        return [place for _, place in heapq.nsmallest(limit, ranked)]
