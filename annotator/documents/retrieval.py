"""Which passages of long or many documents a sentence is compared with: BM25 by `bm25s`.

The rule: results depend only on the texts and the settings. Equal scores are ordered by place, and
the passages of one response do not depend on earlier searches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotator.documents.passages import Passage, cut_passages
from annotator.text.config import RetrievalConfig, SplitterName
from annotator.text.token_estimate import estimate_tokens
from schemas.records import Document
from schemas.text.scripts import WIDE

# A run of one script's letters or digits; Han and kana have no spaces between words.
_WORD = re.compile(rf"[{WIDE}]+|[^\W{WIDE}_]+")
_WIDE = re.compile(f"[{WIDE}]")
_MIN_STEM = 4


def read_terms(text: str) -> list[str]:
    """Search terms of a text: words without plural s, and the character pairs of Han and kana.

    >>> read_terms("Two grey cats. 两只灰猫")
    ['two', 'grey', 'cat', '两只', '只灰', '灰猫']
    """
    terms: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if _WIDE.match(word):
            terms += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        elif word.endswith("s") and not word.endswith("ss") and len(word) >= _MIN_STEM:
            terms.append(word[:-1])
        else:
            terms.append(word)
    return terms


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Passages for the sentences of a response, within a budget of tokens.

    shared  passages for all sentences together; None where their union does not fit
    own     the passages of each sentence, each within the budget; () where `shared` is given
    """

    shared: Sequence[Passage] | None
    own: Sequence[Sequence[Passage]] = ()


class PassageIndex:
    """A search index of the passages of some documents. Memory grows with their terms."""

    def __init__(
        self, documents: Sequence[Document], config: RetrievalConfig, *, splitter: SplitterName
    ) -> None:
        import bm25s

        self._config = config
        self._texts = [document.text for document in documents]
        self._titles = [document.title for document in documents]
        self.passages = [
            passage
            for number, document in enumerate(documents)
            for passage in cut_passages(document, number, config, splitter=splitter)
        ]
        self._vocabulary: dict[str, int] = {}
        # Nothing to index (blank documents) is not an error: every search then finds nothing.
        self._bm25: Any = None
        ids = [self._intern(self._searched(passage)) for passage in self.passages]
        if self._vocabulary:
            self._bm25 = bm25s.BM25(method="lucene")
            corpus = (ids, self._vocabulary)
            self._bm25.index(corpus, show_progress=False, create_empty_token=False)

    def _searched(self, passage: Passage) -> str:
        """The indexed text of a passage: its text, and the title of its document."""
        return f"{self._titles[passage.document]}\n{self.text(passage)}"

    def _intern(self, text: str) -> list[int]:
        known = self._vocabulary
        return [known.setdefault(term, len(known)) for term in read_terms(text)]

    def text(self, passage: Passage) -> str:
        """The passage as it is in its document."""
        return self._texts[passage.document][passage.start : passage.end]

    def search(self, query: str, *, limit: int) -> list[Passage]:
        """The passages that score above 0, best first, equal ones by place; at most `limit`."""
        terms = {self._vocabulary[t] for t in read_terms(query) if t in self._vocabulary}
        if not terms:
            return []
        scores = self._bm25.get_scores_from_ids(sorted(terms))
        # Rounded, so that the order of additions cannot decide between equals.
        scores = np.round(scores.astype(np.float64), 5)
        if len(scores) > limit:
            # All passages that reach the limit-th score, ties included; the sort orders ties by
            # place.
            least = np.partition(scores, -limit)[-limit]
            candidates = np.flatnonzero((scores >= least) & (scores > 0))
        else:
            candidates = np.flatnonzero(scores > 0)
        best = candidates[np.argsort(-scores[candidates], kind="stable")][:limit]
        return [self.passages[int(number)] for number in best]

    def find(self, question: str, sentences: Sequence[str]) -> Found:
        """The passages of a response's sentences: one set for all while it fits the budget.

        Where nothing is found for any of them, the beginning of the documents is used instead.

        A sentence is searched for with the question and the sentence before it, so that a
        pronoun's name is part of the query; its own words get weight from a second search for it
        alone.
        """
        limit = self._config.passages_a_sentence
        ranked: list[list[Passage]] = []
        for number, sentence in enumerate(sentences):
            before = sentences[number - 1] if number else ""
            in_context = self.search(f"{question}\n{before}\n{sentence}", limit=limit)
            alone = self.search(sentence, limit=limit)
            ranked.append(_interleave(alone, in_context)[:limit])
        union = list(dict.fromkeys(passage for passages in ranked for passage in passages))
        if not union:
            # No common words (in another language, for example) do not mean that nothing is said
            # about it.
            return Found(shared=self._cut_to_budget(self.passages))
        if self._fits(union):
            return Found(shared=union)
        return Found(
            shared=None, own=[self._cut_to_budget(passages or union) for passages in ranked]
        )

    def _fits(self, passages: Sequence[Passage]) -> bool:
        return self._count(passages) <= self._config.max_tokens

    def _count(self, passages: Sequence[Passage]) -> int:
        return sum(estimate_tokens(self.text(passage)) for passage in passages)

    def _cut_to_budget(self, passages: Sequence[Passage]) -> list[Passage]:
        """The best passages that fit; at least the first one, shortened if necessary."""
        kept: list[Passage] = []
        left = self._config.max_tokens
        for passage in passages:
            left -= estimate_tokens(self.text(passage))
            if left < 0:
                break
            kept.append(passage)
        if kept or not passages:
            return kept
        first, start, end = passages[0], passages[0].start, passages[0].end
        while end > start + 1 and estimate_tokens(self._texts[first.document][start:end]) > (
            self._config.max_tokens
        ):
            end = start + (end - start) * 3 // 4
        return [Passage(document=first.document, start=start, end=end)]


def _interleave(first: Sequence[Passage], second: Sequence[Passage]) -> list[Passage]:
    """Both rankings in turn, each passage once."""
    turns: list[Passage] = []
    for place in range(max(len(first), len(second))):
        turns += [*first[place : place + 1], *second[place : place + 1]]
    return list(dict.fromkeys(turns))
