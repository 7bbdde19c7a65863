"""The passages that a sheet shows for sentences without a quote of the judge.

The rule: a response's documents are found as `annotate` finds them, with the same settings, and the
passage of a sentence is the best result of the search that a judge uses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from annotator.documents.retrieval import PassageIndex
from annotator.judging.config import AnnotateConfig
from annotator.judging.tasks import DocumentFinder
from formats.sheets.evidence import FoundPassage
from formats.sheets.export import Material
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document

_INDEXES_KEPT = 64


def read_material(path: Path, config: AnnotateConfig) -> Material:
    """The documents of a file and a search in them. Raises InputError with the file's faults."""
    documents = read_records(path, Document)
    search = _PassageSearch(documents, config)
    return Material(documents={item.id: item for item in documents}, search=search.search)


class _PassageSearch:
    """Searches a response's own documents; the most recently used indexes are kept."""

    def __init__(self, documents: Sequence[Document], config: AnnotateConfig) -> None:
        self._config = config
        self._all = documents
        self._finder = DocumentFinder(documents, config)
        self._indexes: OrderedDict[tuple[str, ...], PassageIndex] = OrderedDict()

    def search(self, annotation: Annotation) -> list[FoundPassage | None]:
        """The best passage for each sentence: by its own words, else with question and context."""
        documents = self._finder.candidates(annotation)
        if not documents:
            return [None] * len(annotation.sentences)
        index = self._index(documents)
        question = annotation.prompt[-1].content
        texts = [annotation.text[item.start : item.end] for item in annotation.sentences]
        found: list[FoundPassage | None] = []
        for number, text in enumerate(texts):
            before = texts[number - 1] if number else ""
            best = index.search(text, limit=1) or index.search(f"{question}\n{before}", limit=1)
            found.append(
                FoundPassage(
                    document=documents[best[0].document], start=best[0].start, end=best[0].end
                )
                if best
                else None
            )
        return found

    def _index(self, documents: Sequence[Document]) -> PassageIndex:
        is_all = documents is self._all
        key = () if is_all else tuple(document.id for document in documents)
        index = self._indexes.pop(key, None)
        if index is None:
            config = self._config
            index = PassageIndex(documents, config.retrieval, splitter=config.text.splitter)
        self._indexes[key] = index
        if len(self._indexes) > _INDEXES_KEPT:
            self._indexes.popitem(last=False)
        return index
