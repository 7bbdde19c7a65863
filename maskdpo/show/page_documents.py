"""The documents of a page: cut at the cited places, each embedded once, within a budget.

The rule: the words on the page are the document's, in order; what is left out is marked with its
length. A document is embedded where the first answers that need it are, and linked from the others.
What is cited goes before what is not, so that a budget takes away what nobody points to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

    starts    numbers of the cited places that begin here; the part may lie in others, too
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

    on_page   whether its text is on the page: here, or with an earlier group
    parts     its text, where it is here
    excerpts  (number of the place, its parts with some text around), where it is elsewhere
    """

    cited: Cited
    is_cited: bool
    on_page: bool = True
    parts: Sequence[Part] = ()
    excerpts: Sequence[tuple[int, Sequence[Part]]] = ()

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
                excerpts = _excerpts(item, places.get(item.id, set()))
                found.append(PageDocument(cited=item, is_cited=is_cited, excerpts=excerpts))
            else:
                self.placed.add(item.id)
                found.append(PageDocument(cited=item, is_cited=is_cited, parts=cut_document(item)))
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
    places = [(start, end) for start, end in item.places if start < end <= len(text)]
    windows = [(0, len(text))]
    if len(text) > MAX_DOCUMENT_CHARS:
        around = [(start - _AROUND_CHARS, end + _AROUND_CHARS) for start, end in places]
        windows = _merge([(0, _AROUND_CHARS), *around], len(text))
    return _cut(text, item.places, windows)


def _excerpts(item: Cited, places: set[Place]) -> list[tuple[int, list[Part]]]:
    """The cited places of one group, each with a little text around it."""
    assert item.document is not None
    text = item.document.text
    found = []
    for number, (start, end) in enumerate(item.places, start=1):
        if (start, end) in places and start < end <= len(text):
            window = _merge([(start - _EXCERPT_CHARS, end + _EXCERPT_CHARS)], len(text))
            found.append((number, _cut(text, [(start, end)], window)))
    return found


def _merge(windows: Sequence[Place], length: int) -> list[Place]:
    merged: list[Place] = []
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _cut(text: str, places: Sequence[Place], windows: Sequence[Place]) -> list[Part]:
    """The windows of a text, cut wherever a place begins or ends, and what lies between them."""
    parts: list[Part] = []
    position = 0
    for first, last in windows:
        if first > position:
            parts.append(Part(left_out=first - position))
        edges = {edge for place in places for edge in place if first < edge < last}
        bounds = [first, *sorted(edges), last]
        for start, end in pairwise(bounds):
            parts.append(
                Part(
                    text=text[start:end],
                    starts=[
                        number
                        for number, (begin, stop) in enumerate(places, start=1)
                        if begin == start and begin < stop <= len(text)
                    ],
                    cited=any(begin <= start < stop <= len(text) for begin, stop in places),
                )
            )
        position = last
    if position < len(text):
        parts.append(Part(left_out=len(text) - position))
    return parts
