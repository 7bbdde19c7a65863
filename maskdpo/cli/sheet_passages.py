"""The passages that a sheet shows where the judge quoted nothing.

The rule: a response's documents are found as `annotate` finds them, under the same settings, and
the passage of a sentence is the best one of the search that serves a judge.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from pathlib import Path

from annotator.documents.retrieval import PassageIndex
from annotator.judging.config import AnnotateConfig
from formats.sheets.evidence import FoundPassage
from formats.sheets.export import Material
from schemas.files.jsonl import read_records
from schemas.records import Annotation, Document

_INDEXES_KEPT = 64


def read_material(path: Path, config: AnnotateConfig) -> Material:
    """The documents of a file and a search in them; raises InputError with the file's faults."""
    documents = read_records(path, Document)
    finder = _Finder(documents, config)
    return Material(documents={item.id: item for item in documents}, search=finder.search)


class _Finder:
    """Searches a response's own documents; the indexes used last are kept."""

    def __init__(self, documents: Sequence[Document], config: AnnotateConfig) -> None:
        self._config = config
        self._all = documents
        self._by_id = {document.id: document for document in documents}
        self._by_topic: defaultdict[str, list[Document]] = defaultdict(list)
        for document in documents:
            self._by_topic[document.topic].append(document)
        self._indexes: OrderedDict[tuple[str, ...], PassageIndex] = OrderedDict()

    def search(self, annotation: Annotation) -> list[FoundPassage | None]:
        """The best passage for each sentence: by its own words, else with question and context."""
        documents = self._documents_of(annotation)
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

    def _documents_of(self, annotation: Annotation) -> Sequence[Document]:
        chosen = self._config.find_documents
        if chosen == "corpus":
            return self._all
        if annotation.document_ids and chosen != "topic":
            names = dict.fromkeys(annotation.document_ids)
            return [self._by_id[name] for name in names if name in self._by_id]
        if chosen == "ids" or not annotation.topic:
            return []
        return self._by_topic.get(annotation.topic, [])

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
