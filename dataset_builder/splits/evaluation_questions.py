"""Training questions that share words with an evaluation question.

The rule: a training question that has a run of n words in common with one (13 in arXiv
2005.14165, appendix C) is dropped; an evaluation question with fewer words must be contained whole,
and one with fewer than MIN_CONTAINED words must be the whole question. A training question with the
same words as an evaluation question is always dropped.

A run of only template words is not evidence: it shows only that both questions have the same form.
The same holds for a run of template words that includes only the beginning or end of the evaluation
question's own words, if these are fewer than MIN_CONTAINED (a Chinese or Japanese character is half
a word): "... on the life of the poet" matches all poets. Words that identify no single topic, such
as a number or words of several topics ("type 3", "in children"), are not evidence if the question
also has words that do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from hashlib import blake2b

from dataset_builder.reading.scratch import Scratch
from dataset_builder.splits.prompt_template import (
    Content,
    Template,
    is_filler,
    open_stretches,
    open_words,
)
from dataset_builder.splits.prompt_text import WIDE_WORD, WORD, flatten
from schemas.text.sense_words import NUMBER, sign_of

MIN_CONTAINED = 4


class EvaluationQuestions:
    """Runs of words of evaluation questions, in a scratch database.

    shared    words that several topics put into the template (`prompt_template.shared_contents`)
    """

    def __init__(
        self,
        scratch: Scratch,
        *,
        num_words: int,
        template: Template = frozenset(),
        shared: Collection[Content] = frozenset(),
    ) -> None:
        self._run = scratch.execute
        self._num_words = num_words
        self._template = template
        self._shared = shared
        self._lengths: set[int] = set()
        self._run("CREATE TABLE evaluation_runs (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._is_empty = True

    def add(self, text: str) -> None:
        """Store the runs of one evaluation question; a text without words has none."""
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
            is_evidence = _Evidence(marked, self._shared)
            keys += (
                _key(run, is_whole=False)
                for start, run in _runs(found, length)
                if is_evidence(start, start + length)
            )
        for key in keys:
            self._run("INSERT OR IGNORE INTO evaluation_runs VALUES (?)", (key,))

    def has(self, text: str) -> bool:
        """Whether a text is, contains or shares a run with an evaluation question."""
        if self._is_empty:
            return False
        flat = flatten(text)
        places = list(WORD.finditer(flat))
        found = [place[0] for place in places]
        if found and self._knows(_key(found, is_whole=True)):
            return True
        known = [
            (start, start + length)
            for length in sorted(self._lengths)
            for start, run in _runs(found, length)
            if self._knows(_key(run, is_whole=False))
        ]
        if not known:
            return False
        # Also for this question: "... of Ada Ling" is the beginning of "... of Ada Ling Hall".
        is_evidence = _Evidence(open_words(flat, self._template), self._shared)
        return any(is_evidence(*run) for run in known)

    def _knows(self, key: bytes) -> bool:
        query = "SELECT 1 FROM evaluation_runs WHERE key = ?"
        return self._run(query, (key,)).fetchone() is not None


class _Evidence:
    """Which runs of a question show more than the use of its template."""

    def __init__(
        self, marked: Sequence[tuple[re.Match[str], bool]], shared: Collection[Content]
    ) -> None:
        stretches = open_stretches(marked)
        contents = [tuple(marked[place][0][0] for place in part) for part in stretches]
        own = [place for place, content in enumerate(contents) if content not in shared]
        names = [place for place in own if not all(map(_is_number_or_letter, contents[place]))]
        self._stretches = [stretches[place] for place in names or own] or stretches
        self._weights = [0.5 if WIDE_WORD.fullmatch(place[0]) else 1.0 for place, _ in marked]
        self._are_template = [not is_open and not is_filler(place[0]) for place, is_open in marked]

    def __call__(self, start: int, end: int) -> bool:
        """Whether the run of words [start, end) is evidence."""
        if not any(self._are_template[start:end]):
            return True
        parts = [[place for place in part if start <= place < end] for part in self._stretches]
        return any(
            part == whole or sum(self._weights[place] for place in part) >= MIN_CONTAINED
            for part, whole in zip(parts, self._stretches, strict=True)
            if part
        )


def _is_number_or_letter(word: str) -> bool:
    return (len(word) == 1 and not WIDE_WORD.match(word)) or sign_of(word).startswith(NUMBER)


def _runs(found: Sequence[str], length: int) -> Iterator[tuple[int, Sequence[str]]]:
    for start in range(len(found) - length + 1):
        yield start, found[start : start + length]


def _key(run: Sequence[str], *, is_whole: bool) -> bytes:
    """The key of a whole question; it differs in kind from that of a run."""
    text = "\x1f".join(["whole" if is_whole else "run", *run])
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()
