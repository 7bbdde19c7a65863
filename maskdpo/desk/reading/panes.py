"""The pane with a document: the part of it that is shown, with its marked places.

The rule: what is shown is an unbroken stretch of the document, and its offsets are on the element,
so that a selection in it is a place in the document. A long document is shown in stretches.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maskdpo.desk.reading.places import Passage
from maskdpo.desk.reading.text_html import Block, Mark, html_of_text
from schemas.error_spans import join_places
from schemas.records import Document

if TYPE_CHECKING:
    from markupsafe import Markup

MAX_SHOWN_CHARS = 60_000
Cited = tuple[str, int, int]  # document id, start, end


@dataclass(frozen=True, kw_only=True)
class DocumentPane:
    """A stretch [start, end) of a document. `earlier`, `later`: where to continue."""

    document: Document
    start: int
    end: int
    html: Markup
    earlier: int | None
    later: int | None


def make_pane(
    documents: Sequence[Document],
    *,
    cited: Sequence[Cited],
    given: Sequence[Cited],
    passages: Sequence[Passage],
    document_id: str = "",
    at: int | None = None,
) -> DocumentPane | None:
    """The document `document_id`, else the first that is cited; None without documents.

    cited      evidence of the current sentence
    given      evidence that the person has selected
    passages   where the sentence's words occur
    at         the character around which a long document is shown; None: its first evidence
    """
    by_id = {document.id: document for document in documents}
    first = next((name for name, _, _ in cited if name in by_id), next(iter(by_id), ""))
    document = by_id.get(document_id or first)
    if document is None:
        return None
    evidence = join_places((one, two) for name, one, two in cited if name == document.id)
    middle = at if at is not None else (evidence[0][0] if evidence else 0)
    start, end = window(len(document.text), middle)
    marks = [
        *(
            Mark(start=one, end=two, name="given")
            for name, one, two in given
            if name == document.id
        ),
        *(
            Mark(start=one, end=two, name="hit")
            for item in passages
            if item.document_id == document.id
            for one, two in item.words
        ),
    ]
    target = None if at is None else next((one for one in evidence if one[0] <= at < one[1]), None)
    scrolled = target or (evidence[0] if evidence else None)
    blocks = [
        Block(
            start=one,
            end=two,
            classes="evidence",
            attributes={"data-scroll": "true"} if (one, two) == scrolled else {},
        )
        for one, two in evidence
    ]
    if at is not None and target is None and at < len(document.text):
        blocks = _with_place(blocks, passages, document.id, at)
    return DocumentPane(
        document=document,
        start=start,
        end=end,
        html=html_of_text(document.text, start=start, end=end, blocks=blocks, marks=marks),
        earlier=max(0, start - MAX_SHOWN_CHARS // 2) if start else None,
        later=end + MAX_SHOWN_CHARS // 2 if end < len(document.text) else None,
    )


def _with_place(
    blocks: Sequence[Block], passages: Sequence[Passage], document_id: str, at: int
) -> list[Block]:
    """The blocks with the passage at `at`, which is scrolled to instead of the evidence."""
    found = next(
        (one for one in passages if one.document_id == document_id and one.start <= at < one.end),
        None,
    )
    if found is None:
        return list(blocks)
    plain = [Block(start=one.start, end=one.end, classes=one.classes) for one in blocks]
    free = [one for one in plain if one.end <= found.start or found.end <= one.start]
    if len(free) < len(plain):
        return list(blocks)
    place = Block(
        start=found.start, end=found.end, classes="place", attributes={"data-scroll": "true"}
    )
    return sorted([*free, place], key=lambda one: one.start)


def window(length: int, at: int, size: int = MAX_SHOWN_CHARS) -> tuple[int, int]:
    """A stretch of at most `size` characters around `at`.

    >>> window(100, 50, 20), window(100, 3, 20), window(100, 99, 20), window(10, 5, 20)
    ((40, 60), (0, 20), (80, 100), (0, 10))
    """
    start = max(0, min(at - size // 2, length - size))
    return start, min(length, start + size)


def name_documents(
    documents: Sequence[Document], cited: Collection[str]
) -> list[tuple[str, str, bool]]:
    """(id, name, is cited) of each document, cited ones first."""
    named = [(item.id, item.title.strip() or item.id, item.id in cited) for item in documents]
    return sorted(named, key=lambda item: not item[2])
