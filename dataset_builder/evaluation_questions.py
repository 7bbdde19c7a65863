"""Training questions that share their words with a question kept for evaluation.

The rule: a training question that has a run of n words in common with one (13 in arXiv
2005.14165, appendix C) is dropped; an evaluation question of fewer words must be contained whole,
and one of fewer than MIN_CONTAINED words must be the whole question. A training question of the
same words as an evaluation question is dropped in any case.

A run that is all template is no evidence: it shows only that both were asked in one form. Neither
is one that is template but for the beginning or end of what the evaluation question puts into it,
fewer than MIN_CONTAINED words: "... on the life of the poet", of all poets.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from dataset_builder.prompt_template import Template, is_template, open_words
from dataset_builder.prompt_text import WORD, flatten

MIN_CONTAINED = 4


class EvaluationQuestions:
    """Runs of words of evaluation questions, in a scratch database."""

    def __init__(
        self, connection: sqlite3.Connection, *, num_words: int, template: Template = frozenset()
    ) -> None:
        self._run = connection.execute
        self._num_words = num_words
        self._template = template
        self._lengths: set[int] = set()
        self._run("CREATE TABLE evaluation_runs (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._is_empty = True

    def add(self, text: str) -> None:
        """Keep the runs of one evaluation question; a text without words has none."""
        flat = flatten(text)
        marked = open_words(flat, self._template)
        if not marked:
            return
        self._is_empty = False
        found = [place[0] for place, _ in marked]
        keys = [_key(found, is_whole=True)]
        length = min(self._num_words, len(found))
        if length >= min(self._num_words, MIN_CONTAINED):
            self._lengths.add(length)
            are_open = [is_open for _, is_open in marked]
            keys += (
                _key(run, is_whole=False)
                for start, run in _runs(found, length)
                if _is_evidence(are_open, start, start + length)
            )
        for key in keys:
            self._run("INSERT OR IGNORE INTO evaluation_runs VALUES (?)", (key,))

    def has(self, text: str) -> bool:
        """Whether a question of this text is, holds or shares a run with an evaluation question."""
        if self._is_empty:
            return False
        flat = flatten(text)
        places = list(WORD.finditer(flat))
        found = [place[0] for place in places]
        if found and self._knows(_key(found, is_whole=True)):
            return True
        return any(
            self._knows(_key(run, is_whole=False))
            and not is_template(_stretch(flat, places, start, length), self._template)
            for length in sorted(self._lengths)
            for start, run in _runs(found, length)
        )

    def _knows(self, key: bytes) -> bool:
        query = "SELECT 1 FROM evaluation_runs WHERE key = ?"
        return self._run(query, (key,)).fetchone() is not None


def _is_evidence(are_open: Sequence[bool], start: int, end: int) -> bool:
    """Whether the run of words [start, end) shows more than the template.

    are_open    of each word of the evaluation question, whether the template leaves it open
    """
    num_open = sum(are_open[start:end])
    if num_open >= min(MIN_CONTAINED, end - start):
        return True
    is_cut = (start > 0 and are_open[start] and are_open[start - 1]) or (
        end < len(are_open) and are_open[end - 1] and are_open[end]
    )
    return num_open > 0 and not is_cut


def _stretch(flat: str, places: Sequence[re.Match[str]], start: int, length: int) -> str:
    return flat[places[start].start() : places[start + length - 1].end()]


def _runs(found: Sequence[str], length: int) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(len(found) - length + 1):
        yield start, found[start : start + length]


def _key(run: Sequence[str], *, is_whole: bool) -> bytes:
    """A whole question's key is of another kind than a run's."""
    text = "\x1f".join(["whole" if is_whole else "run", *run])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
