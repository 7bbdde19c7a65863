"""The documents of a page: cut at the cited places, each embedded once, within a budget.

The rule: the words on the page are the document's, in order; what is left out is marked with its
length. A document is embedded where the first answers that need it are, and linked from the others.
What is cited goes before what is not, so that a budget takes away what nobody points to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from maskdpo.show.evidence import Cited, Place

MAX_PAGE_BYTES = 1_200_000  # of documents on a page, in UTF-8
MAX_DOCUMENT_CHARS = 20_000  # longer documents are cut to what is around their cited places
_AROUND_CHARS = 1_000
_EXCERPT_CHARS = 160
_MARKUP_BYTES = 250  # of each embedded document


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A stretch of a document.

    starts    numbers of the cited places that begin here; others may begin earlier
    cited     whether a cited place covers it
    left_out  characters that are left out here; such a part has no text
    """

    text: str = ""
    starts: Sequence[int] = ()
    cited: bool = False
    left_out: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PageDocument:
    """A document as a group of answers shows it.

    on_page   whether it is embedded in the page: here, or with an earlier group
    is_here   whether it is here
    parts     its text, where it is here; else what is around the places that the group cites
    """

    cited: Cited
    is_cited: bool
    on_page: bool = True
    is_here: bool = False
    parts: Sequence[Part] = ()

    @property
    def anchor(self) -> str:
        """Where the whole document is on the page."""
        return f"d{self.cited.number}"


@dataclass(kw_only=True)
class Shelf:
    """Decides, group by group, which documents are embedded; `left_out` counts the others."""

    embedded: Collection[str]
    placed: set[str] = field(default_factory=set)
    left_out: int = 0

    def place(
        self, wanted: Sequence[Cited], places: Mapping[str, set[Place]]
    ) -> list[PageDocument]:
        """The documents of one group, cited ones first; `places` are those its verdicts cite."""
        found = []
        for item in sorted(wanted, key=lambda one: one.id not in places):
            is_cited = item.id in places
            if item.document is None or item.id not in self.embedded:
                self.left_out += item.document is not None
                found.append(PageDocument(cited=item, is_cited=is_cited, on_page=False))
            elif item.id in self.placed:
                parts = _excerpts(item, places.get(item.id, set()))
                found.append(PageDocument(cited=item, is_cited=is_cited, parts=parts))
            else:
                self.placed.add(item.id)
                parts = cut_document(item)
                found.append(PageDocument(cited=item, is_cited=is_cited, is_here=True, parts=parts))
        return found


def choose_embedded(
    documents: Sequence[Cited], *, last: Collection[str] = (), max_bytes: int = MAX_PAGE_BYTES
) -> set[str]:
    """The documents that fit on a page: cited ones, then the others, those of `last` at the end."""
    chosen: set[str] = set()
    left = max_bytes
    for item in sorted(documents, key=lambda one: (not one.places, one.id in last)):
        size = sum(len(part.text.encode()) for part in cut_document(item)) + _MARKUP_BYTES
        if item.document is not None and size <= left:
            chosen.add(item.id)
            left -= size
    return chosen


def cut_document(item: Cited) -> list[Part]:
    """A document cut at its cited places; of a long one, what is around them."""
    if item.document is None:
        return []
    text = item.document.text
    places = _numbered(item)
    windows = [(0, len(text))]
    if len(text) > MAX_DOCUMENT_CHARS:
        windows = [(0, _AROUND_CHARS), *_around(places.values(), _AROUND_CHARS)]
    return _cut(text, places, _merge(windows, len(text)))


def _excerpts(item: Cited, wanted: Collection[Place]) -> list[Part]:
    """The cited places of one group, each with a little text around it."""
    if item.document is None or not wanted:
        return []
    text = item.document.text
    places = {number: place for number, place in _numbered(item).items() if place in wanted}
    return _cut(text, places, _merge(_around(places.values(), _EXCERPT_CHARS), len(text)))


def _numbered(item: Cited) -> dict[int, Place]:
    """The places that fit the document, by their numbers."""
    length = len(item.document.text) if item.document else 0
    numbered = enumerate(item.places, start=1)
    return {number: (start, end) for number, (start, end) in numbered if start < end <= length}


def _around(places: Iterable[Place], chars: int) -> list[Place]:
    return [(start - chars, end + chars) for start, end in places]


def _merge(windows: Sequence[Place], length: int) -> list[Place]:
    merged: list[Place] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, places: Mapping[int, Place], windows: Sequence[Place]) -> list[Part]:
    """The windows of a text, cut wherever a place begins or ends, and what is between them."""
    parts: list[Part] = []
    position = 0
    for first, last in windows:
        if first > position:
            parts.append(Part(left_out=first - position))
        edges = {edge for place in places.values() for edge in place if first < edge < last}
        for start, end in pairwise([first, *sorted(edges), last]):
            starts = tuple(number for number, place in places.items() if place[0] == start)
            cited = any(begin <= start < stop for begin, stop in places.values())
            parts.append(Part(text=text[start:end], starts=starts, cited=cited))
        position = last
    if position < len(text):
        parts.append(Part(left_out=len(text) - position))
    return parts
