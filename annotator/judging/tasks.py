"""From rows to judge tasks: which documents a response is compared with, and its sentences.

A response names its documents; one that names none is compared with the documents of its topic;
with neither, it goes to the judge without any, which can only label it undetermined. With
`find_documents: corpus`, a search over all documents decides instead. A response that
cannot be judged is a `Failure`, and the rest continue.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from annotator.documents.retrieval import PassageIndex
from annotator.judging.config import AnnotateConfig
from annotator.judging.judge import JudgeTask
from annotator.text.sentences import split_sentences
from schemas.files.jsonl import Row
from schemas.records import Document, Failure, Response
from schemas.spans import Offsets
from schemas.text.language import resolve_language

_FINAL = (".", "!", "?", "…", "。", "！", "？", "．", "।", "؟")
_CLOSING = "\"'”’»›」』）)]】*_`"


@dataclass(frozen=True, kw_only=True)
class PreparedRows:
    """Tasks in input order, and the rows that gave none."""

    tasks: Sequence[JudgeTask]
    failures: Sequence[Failure]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFault:
    """Why a response cannot be judged: a short code and a sentence."""

    reason: str
    message: str

    def of(self, response: Response, *, place: str = "") -> Failure:
        """The failed row of `response`; `place` is a file and line, where there are any."""
        detail = f"{place}{self.message}"
        return Failure(id=response.id, stage="annotate", reason=self.reason, detail=detail)


class DocumentFinder:
    """The documents that a response is compared with, under the setting `find_documents`.

    `annotate`, `agreement` and the export of sheets all use it, so that a judge is measured on the
    documents it will read, and people see the same ones.
    """

    def __init__(self, documents: Sequence[Document], config: AnnotateConfig) -> None:
        self.by_id = {document.id: document for document in documents}
        self._documents = documents
        self._config = config
        self._by_topic: defaultdict[str, list[Document]] = defaultdict(list)
        for document in documents:
            self._by_topic[document.topic].append(document)

    @cached_property
    def _corpus(self) -> PassageIndex:
        config = self._config
        return PassageIndex(self._documents, config.retrieval, splitter=config.text.splitter)

    def unknown_ids(self, response: Response) -> list[str]:
        """The ids that a response names but no document has."""
        return [name for name in response.document_ids if name not in self.by_id]

    def candidates(self, response: Response) -> Sequence[Document]:
        """The documents that `response` names or shares its topic with; all of a corpus."""
        setting = self._config.find_documents
        if setting == "corpus":
            return self._documents
        if response.document_ids and setting != "topic":
            names = dict.fromkeys(response.document_ids)
            return [self.by_id[name] for name in names if name in self.by_id]
        if setting == "ids" or not response.topic:
            return []
        return self._by_topic.get(response.topic, [])

    def find(self, response: Response, sentences: Sequence[Offsets]) -> list[Document]:
        """The candidates; with a corpus, those with a passage for one of `sentences`."""
        found = self.candidates(response)
        if found and self._config.find_documents == "corpus":
            return _search(self._corpus, found, response, sentences)
        return list(found)


class TaskMaker:
    """Makes the task of judging a response, or raises why it cannot be judged."""

    def __init__(self, documents: Sequence[Document], config: AnnotateConfig) -> None:
        self._config = config
        self._finder = DocumentFinder(documents, config)

    def make(self, response: Response) -> JudgeTask | TaskFault:
        """The task of `response`."""
        fault = _find_fault(response, self._finder, self._config.max_response_chars)
        if fault is not None:
            return fault
        sentences = split_response(response, self._config)
        found = self._finder.find(response, sentences)
        whole, fragment = set_fragment_apart(response, sentences)
        return JudgeTask(response=response, sentences=whole, documents=found, fragment=fragment)


def prepare_tasks(
    rows: Iterable[Row[Response]],
    documents: Sequence[Document],
    *,
    config: AnnotateConfig,
    responses: Path,
) -> PreparedRows:
    """A task per row, with its sentences and documents; `responses` is named in failures."""
    return prepare_with(TaskMaker(documents, config), rows, responses=responses)


def prepare_with(
    maker: TaskMaker, rows: Iterable[Row[Response]], *, responses: Path
) -> PreparedRows:
    """`prepare_tasks` for a caller that has a `TaskMaker`."""
    tasks: list[JudgeTask] = []
    failures: list[Failure] = []
    for row in rows:
        made = maker.make(row.record)
        if isinstance(made, JudgeTask):
            tasks.append(made)
        else:
            failures.append(made.of(row.record, place=f"{responses.name}:{row.line}: "))
    return PreparedRows(tasks=tasks, failures=failures)


def split_response(response: Response, config: AnnotateConfig) -> list[tuple[int, int]]:
    """Sentence offsets; the language is that of the config, else of the row, else detected."""
    configured = config.text.language
    if configured == "auto" and response.language:
        configured = response.language
    language = resolve_language(configured, response.text)
    return split_sentences(response.text, language=language, splitter=config.text.splitter)


def set_fragment_apart(
    response: Response, sentences: Sequence[Offsets]
) -> tuple[Sequence[Offsets], Offsets | None]:
    """The whole sentences, and the last one where the length limit of sampling cut it off.

    A sentence that ends with a final mark, possibly followed by brackets and quotation marks, is
    complete in any case.
    """
    if response.finish_reason != "length" or not sentences:
        return sentences, None
    start, end = sentences[-1]
    is_whole = response.text[start:end].rstrip().rstrip(_CLOSING).endswith(_FINAL)
    return (sentences, None) if is_whole else (sentences[:-1], sentences[-1])


def _find_fault(response: Response, finder: DocumentFinder, max_chars: int) -> TaskFault | None:
    if not response.text.strip():
        what = "only white space" if response.text else "empty"
        message = f"the text of response {response.id!r} is {what}"
        return TaskFault(reason="empty_response", message=message)
    if len(response.text) > max_chars:
        message = (
            f"response {response.id!r} has {len(response.text)} characters, more than "
            f"max_response_chars={max_chars}"
        )
        return TaskFault(reason="response_too_long", message=message)
    unknown = finder.unknown_ids(response)
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        message = f"response {response.id!r} names {names}, which no document has"
        return TaskFault(reason="missing_document", message=message)
    return None


def _search(
    corpus: PassageIndex,
    documents: Sequence[Document],
    response: Response,
    sentences: Sequence[tuple[int, int]],
) -> list[Document]:
    """The documents that hold a passage found for one of the sentences, in their order."""
    texts = [response.text[start:end] for start, end in sentences]
    question = response.prompt[-1].content
    if not any(corpus.search(f"{question}\n{text}", limit=1) for text in texts):
        return []
    found = corpus.find(question, texts)
    passages = found.shared if found.shared is not None else itertools.chain(*found.own)
    return [documents[number] for number in sorted({passage.document for passage in passages})]
