"""What a sheet shows from the documents: the judge's quotes, and the passage around the first.

The rule: every word shown is copied from a document, cut at white space where possible; the place
is looked up in the document, and evidence that does not fit its document is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from formats.sheets.columns import NOTHING_SHOWN, Shown
from schemas.records import Annotation, Document, Evidence

PASSAGE_CHARS = 600
_MAX_QUOTES_CHARS = 2_000
_MAX_TITLE_CHARS = 300
_SNAP_CHARS = 30
_MARKS = (">>", "<<")
_CUT = "..."


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPassage:
    """A place in a document that a search found: `document.text[start:end]`."""

    document: Document
    start: int
    end: int


# Finds a passage for each of a response's sentences; None where there is none.
Search = Callable[[Annotation], Sequence[FoundPassage | None]]


def show_documents(
    annotation: Annotation, documents: Mapping[str, Document], search: Search, *, blind: bool
) -> list[Shown]:
    """What to show next to each sentence. A blind sheet shows what the search finds, for all."""
    found: Sequence[FoundPassage | None] | None = None
    shown = []
    for index, sentence in enumerate(annotation.sentences):
        quotes = [] if blind else _fitting(sentence.verdict.evidence, documents)
        if quotes:
            shown.append(_show_quotes(quotes))
            continue
        if found is None:
            found = search(annotation)
        shown.append(_show_found(found[index], blind=blind))
    return shown


def _fitting(
    evidence: Sequence[Evidence], documents: Mapping[str, Document]
) -> list[tuple[Document, int, int]]:
    return [
        (document, item.start, item.end)
        for item in evidence
        if (document := documents.get(item.document_id)) is not None
        and item.start < item.end <= len(document.text)
    ]


def _show_quotes(quotes: Sequence[tuple[Document, int, int]]) -> Shown:
    texts = dict.fromkeys(document.text[start:end] for document, start, end in quotes)
    document, start, end = quotes[0]
    return Shown(
        evidence=_shorten("\n".join(texts), _MAX_QUOTES_CHARS),
        passage=_passage(document.text, start, end),
        document=_name(document),
        origin="judge",
    )


def _show_found(found: FoundPassage | None, *, blind: bool) -> Shown:
    if found is None:
        return NOTHING_SHOWN
    text = found.document.text
    end = min(found.end, found.start + PASSAGE_CHARS)
    if end < found.end:
        end = _step_back(text, found.start, end)
    passage = text[found.start : end].strip() + (_CUT if end < found.end else "")
    return Shown(passage=passage, document=_name(found.document), origin="" if blind else "search")


def _passage(text: str, start: int, end: int) -> str:
    """About PASSAGE_CHARS around [start, end), which is marked."""
    end = min(end, start + PASSAGE_CHARS)
    around = (PASSAGE_CHARS - (end - start)) // 2
    left, right = max(0, start - around), min(len(text), end + around)
    if 0 < left < start:
        left = _step_on(text, left, start)
    if end < right < len(text):
        right = _step_back(text, end, right)
    before, after = text[left:start].lstrip(), text[end:right].rstrip()
    marked = f"{_MARKS[0]}{text[start:end]}{_MARKS[1]}"
    head, tail = (_CUT if left > 0 else ""), (_CUT if right < len(text) else "")
    return f"{head}{before}{marked}{after}{tail}"


def _step_on(text: str, at: int, limit: int) -> int:
    """The first white space from `at` on, where one is near; else `at`."""
    near = range(at, min(at + _SNAP_CHARS, limit))
    return next((place for place in near if text[place].isspace()), at)


def _step_back(text: str, limit: int, at: int) -> int:
    near = range(at, max(at - _SNAP_CHARS, limit), -1)
    return next((place for place in near if text[place].isspace()), at)


def _name(document: Document) -> str:
    return _shorten(document.title.strip() or document.id, _MAX_TITLE_CHARS)


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - len(_CUT)] + _CUT
