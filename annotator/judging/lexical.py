"""The lexical judge: word overlap with the best passages, and what in particular is missing.

A baseline for closed domains and smoke runs, and the line that every real judge must beat. One
rule orders its decisions: a passage that states a sentence word for word, or states it with
another value, decides alone; otherwise the weighted features do.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from annotator.judging.config import LexicalConfig
from annotator.judging.judge import JudgeFailure, JudgeTask
from annotator.judging.lexical_align import Match
from annotator.judging.lexical_features import Measures, content_tokens, measure
from annotator.judging.lexical_index import Corpus, DocumentIndex, index_document
from annotator.judging.lexical_model import (
    BIAS,
    LEXICAL_VERSION,
    MEASURED,
    WEIGHTS,
    hallucination_score,
)
from annotator.judging.lexical_text import blank_citations, read_tokens
from annotator.judging.lexical_words import UNFINISHED_ENDS
from schemas.hashing import content_key
from schemas.labels import Label
from schemas.records import Document, Evidence, Verdict

# Scores of sentences that one passage settles alone.
_SCORE_IF_SAME = 0.02
_SCORE_IF_SWAPPED = 0.98
# A specific mismatch contradicts a passage only when the passage is about the same thing.
_MIN_COVER_TO_CONTRADICT = 0.5
_BATCH_TASKS = 32
_BATCH_CHARS = 2_000_000
_CACHED_CHARS = 8_000_000

_SMALL_TALK = re.compile(
    r"(?:hi|hello|hey|thanks(?! to)|thank you|sure|of course|certainly|absolutely|great question"
    r"|good question|you're welcome|no problem|i hope (?:this|that) helps|let me know"
    r"|feel free to|i'm sorry|i am sorry|i apologi[sz]e|as an ai|as a language model|好的|你好|您好"
    r"|谢谢|当然|希望(?:这|以上|对)|请问|如果您有)(?!\w)",
    re.I,
)
_HEADING = re.compile(r"#{1,6}\s")
_LEAD_IN = re.compile(r"[:：]$")
_QUESTION = re.compile(r"[?？][\"'”’)\]*_]*$")
_SECOND_SENTENCE = re.compile(r"[.!?]\s+\w|[。！？]\s*\w")
_MAX_LEAD_IN_WORDS = 8


class LexicalJudge:
    """Judges by word overlap; see the module's docstring for what it is good for."""

    name = "lexical"
    reads_prompt = False
    reads_id = False

    def __init__(self, config: LexicalConfig | None = None) -> None:
        self._config = config or LexicalConfig()
        self._indices: OrderedDict[str, tuple[int, DocumentIndex]] = OrderedDict()
        self._cached_chars = 0

    def fingerprint(self) -> dict[str, Any]:
        """Version, weights and settings: all that decides a verdict."""
        return {
            "judge": self.name,
            "version": LEXICAL_VERSION,
            "weights": {"bias": BIAS, **WEIGHTS},
            "config": self._config.model_dump(),
        }

    def notes(self) -> list[str]:
        """What a user must know before trusting the verdicts."""
        figures = ", ".join(f"{name} {value:.2f}" for name, value in MEASURED.items())
        return [
            "The lexical judge is a baseline (word overlap, for closed domains and smoke runs; the "
            "line every real judge must beat). Its balanced accuracy against people, each file "
            f"judged by weights fitted without it: {figures}; 0.50 is chance."
        ]

    def closing_notes(self) -> list[str]:
        """Nothing."""
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
        measures = measure(sentence, corpus)
        settled = settled_score(measures)
        score = hallucination_score(measures.values) if settled is None else settled
        is_hallucinated = score >= self._config.threshold
        label, rationale = _explain(measures, is_hallucinated)
        return Verdict(
            label=label,
            confidence=round(score if is_hallucinated else 1.0 - score, 4),
            confidence_kind="lexical",
            evidence=self._evidence(measures, corpus, documents),
            rationale=rationale,
            judge=self.name,
        )

    def _undetermined(self, reason: str) -> Verdict:
        return Verdict(label=Label.UNDETERMINED, reason=reason, judge=self.name)

    def _evidence(
        self, measures: Measures, corpus: Corpus, documents: Sequence[Document]
    ) -> list[Evidence]:
        """The passage that settled the verdict first, then those that cover the sentence best."""
        places = dict(measures.covering)
        if measures.alignment is not None:
            settled = measures.alignment[0]
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
        if key in self._indices:
            self._indices.move_to_end(key)
            return self._indices[key][1]
        index = index_document(document)
        self._indices[key] = (len(document.text), index)
        self._cached_chars += len(document.text)
        while self._cached_chars > _CACHED_CHARS and len(self._indices) > 1:
            _, (num_chars, _) = self._indices.popitem(last=False)
            self._cached_chars -= num_chars
        return index


def lacks_fact(sentence: str) -> bool:
    """Whether there is nothing to check: no content word, a greeting, a question, a heading.

    Conservative on purpose: a sentence wrongly called free of facts is one never checked.
    """
    stripped = sentence.strip().lstrip("*_-•> ").strip()
    content = content_tokens(read_tokens(sentence))
    if not content or _HEADING.match(stripped):
        return True
    if _SECOND_SENTENCE.search(stripped):
        return False
    if _QUESTION.search(stripped):
        return True
    if len(content) > _MAX_LEAD_IN_WORDS:
        return False
    if any(token.is_number for token in content):
        return False
    names = [token for token in content[1:] if token.is_name and token.lower != "ai"]
    return bool(_LEAD_IN.search(stripped) or (_SMALL_TALK.match(stripped) and not names))


def is_unfinished(sentence: str) -> bool:
    """Whether a sentence was cut off before it said anything: `She works as a.`"""
    tokens = read_tokens(sentence)
    return tokens[-1].lower in UNFINISHED_ENDS and tokens[-1].text.islower()


def settled_score(measures: Measures) -> float | None:
    """The score of a sentence that one passage settles alone; None where the weights decide."""
    if measures.alignment is None:
        return None
    same = measures.alignment[1].match is Match.SAME
    return _SCORE_IF_SAME if same else _SCORE_IF_SWAPPED


def _explain(measures: Measures, is_hallucinated: bool) -> tuple[Label, str]:
    """The label, and one line for a person that says what it rests on."""
    covered = f"{min(1.0, measures.values['cover_5']):.0%} of the words covered"
    if not is_hallucinated:
        return Label.NO_HALLUCINATION, covered
    alignment = measures.alignment[1] if measures.alignment else None
    if alignment is not None and alignment.match is Match.SWAP:
        said, stated = alignment.said or "nothing", alignment.stated or "nothing"
        return Label.CONTRADICTORY, f"says {said!r} where a passage says {stated!r}"
    if measures.values["cover_1"] >= _MIN_COVER_TO_CONTRADICT:
        if measures.mismatches:
            return Label.CONTRADICTORY, f"{covered}, but not {', '.join(measures.mismatches)}"
        if measures.values["negation"]:
            return Label.CONTRADICTORY, f"{covered}, but one of the two is denied"
    return Label.UNVERIFIABLE, covered
