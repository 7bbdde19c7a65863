"""Where the quotes of a judge are in the documents of a task.

The rule: offsets point into the untouched documents, and a quote counts as found only where a
document contains it, in full and with nothing next to it that changes its meaning (annotator/text/
quote_places.py). A quote that occurs more than once has several findings; the caller chooses.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from annotator.text.quote_edges import hides_negation
from annotator.text.quote_places import (
    Quote,
    Stretch,
    find_but_for_articles,
    find_stretches,
    find_words,
    make_quote,
    words_around,
)
from annotator.text.quote_text import QuoteText, read_quote_text, without_articles
from schemas.text.scripts import WIDE

MAX_FINDINGS = 20  # of one quote
_MIN_PART_UNITS = 6  # letters and digits of a part of an elided quote, a wide one counted twice
_MAX_QUOTE_CHARS = 5_000
_MAX_PART_PLACES = 200
_CACHED_CHARS = 20_000_000
_WIDE = re.compile(f"[{WIDE}]")
_ELISION = re.compile(r"\s*(?:\[\s*)?(?:\.{3,}|…+)(?:\s*\])?\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """`documents[document][start:end]` is the quote; `score` is 1.0 unless an article differs."""

    document: int
    start: int
    end: int
    score: float


@dataclass(kw_only=True, slots=True)
class _Read:
    """The tokens of a text, and those without articles, made when needed."""

    text: QuoteText
    bare: QuoteText | None = None


class QuoteFinder:
    """Locates quotes; keeps the tokens of the last texts that it searched."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, _Read] = OrderedDict()
        self._num_chars = 0
        self._lock = threading.Lock()  # a judge may work in several event loops

    def locate(self, quote: str, texts: Sequence[str]) -> list[Place]:
        """The first finding of `quote` in `texts`, one place for each of its parts.

        [] without one.
        """
        findings = self.find_all(quote, texts)
        return list(findings[0]) if findings else []

    def find_all(self, quote: str, texts: Sequence[str]) -> list[tuple[Place, ...]]:
        """The findings of `quote` in `texts`, in order, at most MAX_FINDINGS; [] without one.

        Offsets are code points into the unchanged texts; `document` is an index into `texts`. The
        rules of a match are those of annotator/text/quote_places.py.

        A finding is one place, or for a quote with an elision (`...`) one per part: every part must
        occur, in one text, in order. Where it occurs word for word, only such places are returned;
        otherwise places count where an article is missing or added.
        """
        quote = quote.strip().strip('"“”「」').strip()[:_MAX_QUOTE_CHARS]
        wanted = make_quote(quote)
        if not wanted.has_content:
            return []
        read = [self._read(text) for text in texts]
        for find in (_find_exact, _find_nearly):
            places = (
                place for number, one in enumerate(read) for place in find(wanted, number, one)
            )
            findings: list[tuple[Place, ...]] = [(place,) for place in islice(places, MAX_FINDINGS)]
            if findings:
                return findings
        parts = [make_quote(part) for part in _ELISION.split(quote) if part.strip()]
        if len(parts) < 2 or any(_count_units(part) < _MIN_PART_UNITS for part in parts):
            return []
        chains = (chain for number, one in enumerate(read) for chain in _chains(parts, number, one))
        return list(islice(chains, MAX_FINDINGS))

    def find_words(self, words: str, text: str) -> list[Stretch]:
        """The places of `words` in `text`, in order; [] where it does not contain them.

        Those with just the same characters, if there are any; else those that differ in form.
        What is next to them does not matter. Where there are none, they are located as a quote is:
        with articles missing or added, or in parts with an elision between.
        """
        words = words.strip()
        bare = words.strip('"“”「」').strip()
        wanted = make_quote(bare)
        if not wanted.has_content:
            return []
        found = list(find_words(wanted, self._read(text).text))
        same = [one for one in found if text[one.start : one.end] in (words, bare, wanted.raw)]
        if found or len(words) > _MAX_QUOTE_CHARS:
            return same or found
        return [
            Stretch(start=place.start, end=place.end, score=place.score)
            for finding in self.find_all(bare, [text])
            for place in finding
        ]

    def words_around(self, text: str, place: Place) -> frozenset[str]:
        """The words of the sentence or line of `text` that a place is in."""
        return words_around(self._read(text).text, place.start, place.end)

    def _read(self, text: str) -> _Read:
        with self._lock:
            if text in self._texts:
                self._texts.move_to_end(text)
                return self._texts[text]
            read = self._texts[text] = _Read(text=read_quote_text(text))
            self._num_chars += len(text)
            while self._num_chars > _CACHED_CHARS and len(self._texts) > 1:
                old, _ = self._texts.popitem(last=False)
                self._num_chars -= len(old)
            return read


def count_units(text: str) -> int:
    """Letters and digits, those of Chinese and kana counted twice."""
    return sum(2 if _WIDE.match(letter) else 1 for letter in text if letter.isalnum())


def _count_units(quote: Quote) -> int:
    return count_units("".join(quote.tokens))


def _find_exact(wanted: Quote, number: int, read: _Read) -> Iterator[Place]:
    return (_place(number, found) for found in find_stretches(wanted, read.text))


def _find_nearly(wanted: Quote, number: int, read: _Read) -> Iterator[Place]:
    if read.bare is None:
        read.bare = without_articles(read.text)
    found = find_but_for_articles(wanted, read.text, read.bare)
    return (_place(number, stretch) for stretch in found)


def _place(number: int, found: Stretch) -> Place:
    return Place(document=number, start=found.start, end=found.end, score=found.score)


def _chains(parts: Sequence[Quote], number: int, read: _Read) -> Iterator[tuple[Place, ...]]:
    """For each place of the first part, the nearest places of the others after it."""
    raw = read.text.raw
    found = [list(islice(find_stretches(part, read.text), _MAX_PART_PLACES)) for part in parts]
    for first in found[0]:
        chain = [first]
        for stretches in found[1:]:
            behind = (one for one in stretches if one.start >= chain[-1].end)
            following = next(behind, None)
            if following is None or hides_negation(raw[chain[-1].end : following.start]):
                break
            chain.append(following)
        else:
            yield tuple(_place(number, one) for one in chain)
