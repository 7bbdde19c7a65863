"""Where the words of a sentence occur in documents: the best passages, with their words.

The rule: offsets are those of the unchanged text, and rare words decide: a name or a number that a
document has once says more than a word that is everywhere. No model and no judge takes part, so a
reader who must not see a verdict may see these places.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from annotator.text.function_words import FUNCTION_WORDS
from schemas.records import Document
from schemas.spans import Offsets
from schemas.text.scripts import UNSPACED

NUM_PLACES = 5
_WIDTH = 240  # characters of a passage
_CONTEXT = 60  # shown before and after the words of a passage
_MAX_KEPT_CHARS = 8_000_000  # of documents whose words are kept
_TOKEN = re.compile(rf"[{UNSPACED}]+|[^\W_]+(?:['’.,-][^\W_]+)*")
_UNSPACED_RUN = re.compile(rf"[{UNSPACED}]")
_COMMON = frozenset(word for words in FUNCTION_WORDS.values() for word in words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """`text[start:end]` of a document, and the words of the sentence in it."""

    document_id: str
    start: int
    end: int
    words: Sequence[Offsets]
    score: float


def words_of(text: str) -> Iterator[tuple[str, int, int]]:
    """The words of a text with their offsets; of unspaced scripts, each two neighbours.

    >>> list(words_of("In 1951, 北京市"))
    [('in', 0, 2), ('1951', 3, 7), ('北京', 9, 11), ('京市', 10, 12)]
    """
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        if not _UNSPACED_RUN.match(text, start):
            yield found.group().casefold(), start, end
            continue
        for at in range(start, max(end - 1, start + 1)):
            yield text[at : min(at + 2, end)], at, min(at + 2, end)


class Places:
    """Finds passages; keeps the words of the documents that were used last. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Mapping[str, Sequence[Offsets]]] = OrderedDict()
        self._chars = 0
        self._lock = Lock()

    def find(
        self, sentence: str, documents: Sequence[Document], *, limit: int = NUM_PLACES
    ) -> list[Passage]:
        """The best passages for a sentence, best first; none overlaps another."""
        wanted = {word for word, _, _ in words_of(sentence)} - _COMMON
        hits = {document.id: self._hits(document, wanted) for document in documents}
        weights = _weights(hits.values())
        found = [
            passage
            for document in documents
            for passage in _passages(document, hits[document.id], weights)
        ]
        found.sort(key=lambda item: (-item.score, item.start))
        kept: list[Passage] = []
        for item in found:
            if len(kept) == limit:
                break
            if not any(_overlap(item, other) for other in kept):
                kept.append(item)
        return kept

    def _hits(self, document: Document, wanted: Iterable[str]) -> Mapping[str, Sequence[Offsets]]:
        words = self._words(document)
        return {word: words[word] for word in wanted if word in words}

    def _words(self, document: Document) -> Mapping[str, Sequence[Offsets]]:
        key = (document.id, hash(document.text))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        words: defaultdict[str, list[Offsets]] = defaultdict(list)
        for word, start, end in words_of(document.text):
            words[word].append((start, end))
        with self._lock:
            self._keep(key, words, len(document.text))
        return words

    def _keep(
        self, key: tuple[str, int], words: Mapping[str, Sequence[Offsets]], chars: int
    ) -> None:
        if self._chars + chars > _MAX_KEPT_CHARS:
            self._kept.clear()
            self._chars = 0
        self._kept[key] = words
        self._chars += chars


def _weights(hits: Iterable[Mapping[str, Sequence[Offsets]]]) -> Mapping[str, float]:
    counts: defaultdict[str, int] = defaultdict(int)
    for of_document in hits:
        for word, places in of_document.items():
            counts[word] += len(places)
    return {
        word: (2.0 if any(map(str.isdigit, word)) else 1.0) / math.log2(1 + count)
        for word, count in counts.items()
    }


def _passages(
    document: Document, hits: Mapping[str, Sequence[Offsets]], weights: Mapping[str, float]
) -> Iterator[Passage]:
    """The passages that begin with a hit, each as good as the different words in it.

    A passage with one word counts only where the word is rare.
    """
    ordered = sorted((start, end, word) for word, places in hits.items() for start, end in places)
    inside: defaultdict[str, int] = defaultdict(int)
    score, last = 0.0, 0
    for first, (start, _, word) in enumerate(ordered):
        while last < len(ordered) and ordered[last][1] <= start + _WIDTH:
            name = ordered[last][2]
            score += weights[name] * (inside[name] == 0)
            inside[name] += 1
            last += 1
        if score >= 0.5 and last > first:
            places = _shortest(ordered[first:last])
            yield Passage(
                document_id=document.id,
                start=_start(document.text, start),
                end=_end(document.text, max(two for _, two in places)),
                words=_joined(places),
                score=score,
            )
        inside[word] -= 1
        score -= weights[word] * (inside[word] == 0)


def _shortest(hits: Sequence[tuple[int, int, str]]) -> list[Offsets]:
    """The hits up to the last word that was not there before."""
    seen: set[str] = set()
    last = 0
    for number, (_, _, word) in enumerate(hits, start=1):
        if word not in seen:
            seen.add(word)
            last = number
    return [(start, end) for start, end, _ in hits[:last]]


def _start(text: str, at: int) -> int:
    """A little before, at a word's beginning and in the same paragraph."""
    first = max(0, at - _CONTEXT)
    paragraph = text.rfind("\n", first, at) + 1
    if paragraph:
        return paragraph
    blank = text.find(" ", first, at)
    return blank + 1 if first and blank >= 0 else first


def _end(text: str, at: int) -> int:
    last = min(len(text), at + _CONTEXT)
    paragraph = text.find("\n", at, last)
    if paragraph >= 0:
        return paragraph
    blank = text.rfind(" ", at, last)
    return blank if last < len(text) and blank >= 0 else last


def _joined(places: Sequence[Offsets]) -> list[Offsets]:
    """Places that overlap (pairs of unspaced characters) as one."""
    joined: list[Offsets] = []
    for start, end in places:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _overlap(one: Passage, two: Passage) -> bool:
    return one.document_id == two.document_id and one.start < two.end and two.start < one.end
