"""The excerpts of documents that a judge model reads: whole documents while they fit, else
passages.

The rule: passages are found once per response and used for all its sentences, so that the prompts
share their beginning. Only where their union does not fit the budget does each sentence get its
own.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annotator.documents.passages import Passage, merge_passages
from annotator.documents.retrieval import PassageIndex
from annotator.judging.judge import JudgeTask
from annotator.judging.protocols.protocol_input import MAX_TITLE_CHARS, Excerpt
from annotator.text.config import RetrievalConfig, SplitterName
from annotator.text.token_estimate import estimate_tokens
from schemas.records import Document

# Responses to one question follow each other. An index takes about 115 bytes per character.
_CACHED_INDICES = 16
_CACHED_CHARS = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenExcerpts:
    """Excerpts for all sentences, and those of single sentences where not all fit."""

    shared: Sequence[Excerpt]
    own: Mapping[int, Sequence[Excerpt]] = field(default_factory=dict)


class ExcerptChooser:
    """Chooses excerpts; keeps the indices of the last few sets of long documents.

    Safe to use from several threads: an index may be made in one while others choose.
    """

    def __init__(self, config: RetrievalConfig, *, splitter: SplitterName) -> None:
        self._config = config
        self._splitter = splitter
        self._indices: OrderedDict[tuple[tuple[str, str], ...], PassageIndex] = OrderedDict()
        self._cached_chars = 0
        self._lock = threading.Lock()

    def choose(self, task: JudgeTask) -> ChosenExcerpts | None:
        """The excerpts of a task's documents; None where there is no text at all."""
        numbered = [(n, item) for n, item in enumerate(task.documents) if item.text.strip()]
        if not numbered:
            return None
        if sum(_num_tokens(item) for _, item in numbered) <= self._config.max_tokens:
            whole = [Excerpt(document=n, spans=[(0, len(item.text))]) for n, item in numbered]
            return ChosenExcerpts(shared=whole)
        text = task.response.text
        sentences = [text[start:end] for start, end in task.sentences]
        found = self._index(task).find(task.response.prompt[-1].content, sentences)
        if found.shared is not None:
            return ChosenExcerpts(shared=_excerpts(found.shared))
        own = {number: _excerpts(passages) for number, passages in enumerate(found.own)}
        return ChosenExcerpts(shared=[], own=own)

    def _index(self, task: JudgeTask) -> PassageIndex:
        key = tuple((document.title, document.text) for document in task.documents)
        with self._lock:
            if key in self._indices:
                self._indices.move_to_end(key)
                return self._indices[key]
        index = PassageIndex(task.documents, self._config, splitter=self._splitter)
        with self._lock:
            if key not in self._indices:
                self._indices[key] = index
                self._cached_chars += _num_chars(key)
            while self._is_full and len(self._indices) > 1:
                old, _ = self._indices.popitem(last=False)
                self._cached_chars -= _num_chars(old)
        return index

    @property
    def _is_full(self) -> bool:
        return len(self._indices) > _CACHED_INDICES or self._cached_chars > _CACHED_CHARS


def _num_chars(key: tuple[tuple[str, str], ...]) -> int:
    return sum(len(text) for _, text in key)


def _num_tokens(document: Document) -> int:
    return estimate_tokens(document.text) + estimate_tokens(document.title[:MAX_TITLE_CHARS])


def _excerpts(passages: Iterable[Passage]) -> list[Excerpt]:
    merged = merge_passages(passages)
    return [Excerpt(document=number, spans=spans) for number, spans in merged.items()]
