"""Passages: runs of whole sentences of a document, as offsets into its unchanged text.

The rule: passages cover every sentence of a document, in order. They may overlap, so that a
sentence that refers to the one before it is found together with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from annotator.text.config import RetrievalConfig, SplitterName
from annotator.text.sentences import split_sentences
from schemas.records import Document
from schemas.spans import Offsets
from schemas.text.language import detect_language

_MAX_SENTENCE_CHARS = 1_200  # a longer one (a table, a list without stops) is cut


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """`documents[document].text[start:end]`."""

    document: int
    start: int
    end: int


def cut_passages(
    document: Document, number: int, config: RetrievalConfig, *, splitter: SplitterName
) -> list[Passage]:
    """The passages of the document at place `number` in its list."""
    language = document.language or detect_language(document.text)
    sentences = [
        piece
        for sentence in split_sentences(document.text, language=language, splitter=splitter)
        for piece in _bounded(sentence)
    ]
    size, step = config.passage_sentences, config.passage_sentences - config.overlap
    starts = range(0, max(1, len(sentences) - config.overlap), step)
    return [
        Passage(document=number, start=window[0][0], end=window[-1][1])
        for start in starts
        if (window := sentences[start : start + size])
    ]


def _bounded(sentence: Offsets) -> list[Offsets]:
    """A sentence in pieces of limited length."""
    start, end = sentence
    return [
        (at, min(at + _MAX_SENTENCE_CHARS, end)) for at in range(start, end, _MAX_SENTENCE_CHARS)
    ]


def merge_passages(passages: Iterable[Passage]) -> dict[int, Sequence[Offsets]]:
    """By document, in document order: the passages in text order, adjacent ones merged.

    >>> two = [Passage(document=0, start=4, end=9), Passage(document=0, start=0, end=5)]
    >>> merge_passages(two)
    {0: [(0, 9)]}
    """
    merged: dict[int, list[Offsets]] = {}
    for passage in sorted(passages, key=lambda item: (item.document, item.start, item.end)):
        spans = merged.setdefault(passage.document, [])
        if spans and passage.start <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], max(spans[-1][1], passage.end))
        else:
            spans.append((passage.start, passage.end))
    return {number: merged[number] for number in sorted(merged)}
