"""The lexical judge: word overlap with the best passages, and checks of parts that must be exact.

A baseline for closed domains and smoke runs. One rule orders its decisions: a passage that states
a sentence word for word, or states it with another value, decides alone; then the checks of
numbers, names and negation decide; otherwise the covered share of the sentence does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.judging.config import LexicalConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical.align import Match
from annotator.judging.lexical.checks import absent_names, find_alignment, find_objections
from annotator.judging.lexical.index import Corpus, DocumentIndex, PassageId, index_document
from annotator.judging.lexical.no_fact import lacks_fact
from annotator.judging.lexical.overlap import Overlap, compare
from annotator.judging.lexical.text import blank_citations, read_tokens
from annotator.judging.lexical.words import UNFINISHED_ENDS
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Document, Evidence, Verdict

# Increase it with every change to the judge that can change a verdict: it is recorded with each
# run.
LEXICAL_VERSION = 3

# Uncovered share of a sentence from which it counts as hallucinated: the best mean
# balanced accuracy over seven files of human labels (benchmarks/lexical_threshold.py).
UNCOVERED_LIMIT = 0.42
# Balanced accuracy against people, the threshold for each file chosen on the other six.
MEASURED = {
    "factcheck_bench": 0.56,
    "expertqa_rand_val": 0.58,
    "storysumm_val": 0.58,
    "begin_wow_dev": 0.80,
    "wice_dev": 0.66,
    "uhgeval_first500 (Chinese)": 0.99,
    "ragtruth_dev": 0.68,
}

# Scores of sentences that one passage, or one check, decides.
_SCORE_IF_SAME = 0.02
_SCORE_IF_SWAPPED = 0.98
_SCORE_IF_OBJECTED = 0.96
_MOST_BY_OVERLAP = 0.94
# Addition to the uncovered share for a name that is in no relevant passage, at most twice.
_ABSENT_NAME = 0.1
_BATCH_TASKS = 32
_BATCH_CHARS = 2_000_000
# Characters of documents whose indices are kept: an index takes about 23 bytes per character.
CACHED_CHARS = 4_000_000
# The same for each worker process of a service, whose memory must not grow for long.
SERVED_CACHED_CHARS = 500_000


class LexicalJudge:
    """Judges by word overlap; see the module's docstring for its use.

    `cached_chars` is how many characters of documents it keeps indexed.
    """

    name = "lexical"
    reads_prompt = False
    reads_id = False

    def __init__(
        self, config: LexicalConfig | None = None, cached_chars: int = CACHED_CHARS
    ) -> None:
        self._config = config or LexicalConfig()
        self._most_chars = cached_chars
        self._indices: OrderedDict[str, tuple[int, DocumentIndex]] = OrderedDict()
        self._cached_chars = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[LexicalJudge], tuple[LexicalConfig, int]]:
        return LexicalJudge, (self._config, self._most_chars)  # without its indices

    def fingerprint(self) -> dict[str, Any]:
        """Version and settings: everything that decides a verdict."""
        return {
            "judge": self.name,
            "version": LEXICAL_VERSION,
            "uncovered_limit": UNCOVERED_LIMIT,
            "config": self._config.model_dump(),
        }

    def notes(self) -> list[str]:
        """A note that a user must read before trusting the verdicts."""
        figures = ", ".join(f"{name} {value:.2f}" for name, value in MEASURED.items())
        return [
            "The lexical judge is a baseline (word overlap and checks of numbers, for closed "
            "domains and smoke runs). Its confidence ranks sentences and is not a probability. "
            "Its balanced accuracy against people, each file judged with a threshold chosen on "
            f"the others: {figures}; 0.50 is chance."
        ]

    def closing_notes(self) -> list[str]:
        """No notes."""
        return []

    def judge(
        self, tasks: Sequence[JudgeTask]
    ) -> Iterator[list[tuple[JudgeTask, list[Verdict] | JudgeFailure]]]:
        """Yield batches of at most 32 tasks in their order; nothing fails."""
        batch: list[tuple[JudgeTask, list[Verdict] | JudgeFailure]] = []
        num_chars = 0
        for task in tasks:
            batch.append((task, self._judge_response(task)))
            num_chars += len(task.response.text) + sum(len(doc.text) for doc in task.documents)
            if len(batch) == _BATCH_TASKS or num_chars >= _BATCH_CHARS:
                yield batch
                batch, num_chars = [], 0
        if batch:
            yield batch

    def _judge_response(self, task: JudgeTask) -> list[Verdict]:
        documents = [document for document in task.documents if document.text.strip()]
        if not documents:
            return [self._undetermined("no_document")] * len(task.sentences)
        corpus = Corpus([self._index(document) for document in documents])
        text = blank_citations(task.response.text)
        return [
            self._judge_sentence(text[start:end], corpus, documents)
            for start, end in task.sentences
        ]

    def _judge_sentence(
        self, sentence: str, corpus: Corpus, documents: Sequence[Document]
    ) -> Verdict:
        if lacks_fact(sentence):
            return Verdict(label=Label.NO_FACT, judge=self.name)
        if is_unfinished(sentence):
            return self._undetermined("unfinished_sentence")
        overlap = compare(sentence, corpus)
        found = _judge(overlap, corpus)
        is_hallucinated = found.score >= self._config.threshold
        return Verdict(
            label=found.label if is_hallucinated else Label.NO_HALLUCINATION,
            confidence=round(found.score if is_hallucinated else 1.0 - found.score, 4),
            confidence_kind="lexical",
            evidence=self._evidence(found.place, overlap, corpus, documents),
            rationale=found.rationale if is_hallucinated else _describe_covered(overlap),
            judge=self.name,
        )

    def _undetermined(self, reason: str) -> Verdict:
        return Verdict(label=Label.UNDETERMINED, reason=reason, judge=self.name)

    def _evidence(
        self,
        settled: PassageId | None,
        overlap: Overlap,
        corpus: Corpus,
        documents: Sequence[Document],
    ) -> list[Evidence]:
        """First the passage that decided the verdict, then those that cover the sentence best."""
        places = dict(overlap.covering)
        if settled is not None:
            places = {settled: places.get(settled, 0.0)} | places
        evidence = []
        for place in list(places)[: self._config.max_evidence]:
            start, end = corpus.documents[place.document].passages[place.passage]
            score = round(min(1.0, places[place]), 4)
            document_id = documents[place.document].id
            evidence.append(Evidence(document_id=document_id, start=start, end=end, score=score))
        return evidence

    def _index(self, document: Document) -> DocumentIndex:
        """The document's index, made once while it is in use; memory is bounded by characters."""
        key = content_key([document.title, document.text])
        with self._lock:
            if key in self._indices:
                self._indices.move_to_end(key)
                return self._indices[key][1]
        index = index_document(document)
        with self._lock:
            if key not in self._indices:
                self._indices[key] = (len(document.text), index)
                self._cached_chars += len(document.text)
            while self._cached_chars > self._most_chars and len(self._indices) > 1:
                _, (num_chars, _) = self._indices.popitem(last=False)
                self._cached_chars -= num_chars
        return index


def is_unfinished(sentence: str) -> bool:
    """Whether a sentence was cut off before its content: `She works as a.`"""
    tokens = read_tokens(sentence)
    return tokens[-1].lower in UNFINISHED_ENDS and tokens[-1].text.islower()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Finding:
    """The score of a sentence in [0, 1], its label if that is too high, and the reason."""

    score: float
    label: Label
    rationale: str
    place: PassageId | None = None


def _judge(overlap: Overlap, corpus: Corpus) -> _Finding:
    """The first of these that decides: a single passage, the checks, the covered share."""
    aligned = find_alignment(overlap, corpus)
    if aligned is not None:
        place, alignment = aligned
        said, stated = alignment.said or "nothing", alignment.stated or "nothing"
        return _Finding(
            score=_SCORE_IF_SAME if alignment.match is Match.SAME else _SCORE_IF_SWAPPED,
            label=Label.CONTRADICTORY,
            rationale=f"says {said!r} where a passage says {stated!r}",
            place=place,
        )
    objections = find_objections(overlap, corpus)
    label = Label.UNVERIFIABLE
    if any(item.contradicts for item in objections):
        label = Label.CONTRADICTORY
    reasons = [_describe_covered(overlap), *(item.text for item in objections)]
    score = _SCORE_IF_OBJECTED if objections else overlap_score(overlap)
    return _Finding(score=score, label=label, rationale="; ".join(reasons))


def overlap_score(overlap: Overlap) -> float:
    """Rises with the uncovered share; 0.5 at UNCOVERED_LIMIT. It ranks and is not a probability."""
    uncovered = uncovered_share(overlap)
    if uncovered < UNCOVERED_LIMIT:
        return 0.5 * uncovered / UNCOVERED_LIMIT
    above = (uncovered - UNCOVERED_LIMIT) / (1.0 - UNCOVERED_LIMIT)
    return min(_MOST_BY_OVERLAP, 0.5 + 0.5 * above)


def uncovered_share(overlap: Overlap) -> float:
    """The uncovered share, in [0, 1.2]: more where names are missing from all passages."""
    return 1.0 - overlap.share + _ABSENT_NAME * min(2, len(absent_names(overlap)))


def _describe_covered(overlap: Overlap) -> str:
    return f"{overlap.share:.0%} of the words covered"
