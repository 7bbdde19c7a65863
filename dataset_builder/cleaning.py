"""What the split `train` must not share with `test`, or with questions kept for evaluation.

The rule: a training question that is too like another is dropped, never moved, and `test` is never
touched; so a question's split still depends on its topic alone.

Near duplicates. The prompts of `test` are put into bands of their MinHash signatures (datasketch,
an LSH index); a training prompt that shares a band with one of them is compared exactly, by the
Jaccard similarity of character 5-grams. The bands only propose: chance decides no row, and a pair
at the threshold is missed less than once in a thousand. 5-grams that a tenth of the topics share
are a template ("Tell me a biography of ..."), and are left out on both sides.

Evaluation questions. A training question that has a run of n words in common with one (13 in
arXiv 2005.14165, appendix C) is dropped; an evaluation question of fewer words must be contained
whole, and one of fewer than MIN_CONTAINED words must be the whole question.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING

from schemas.records import Message

if TYPE_CHECKING:
    from datasketch import MinHash

NGRAM = 5
NUM_PERMUTATIONS = 128
MAX_MISSED = 1e-3
MIN_CONTAINED = 4
TEMPLATE_SHARE = 0.1
TEMPLATE_MIN_TOPICS = 5
_TEMPLATE_SAMPLE = 1_000
_SEED = 1
_WORD = re.compile(
    r"[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]|[^\W\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)


class NearDuplicates:
    """An index of test prompts in a scratch database, asked prompt by prompt.

    threshold    least Jaccard similarity, above 0
    """

    def __init__(self, connection: sqlite3.Connection, *, threshold: float) -> None:
        self._run = connection.execute
        self._threshold = threshold
        self._rows = rows_a_band(threshold)
        self._template: frozenset[str] = frozenset()
        self._run("CREATE TABLE near_prompts (number INTEGER PRIMARY KEY, text TEXT)")
        self._run(
            "CREATE TABLE near_bands (key BLOB, number INTEGER, PRIMARY KEY (key, number)) "
            "WITHOUT ROWID"
        )

    def add_all(self, prompts: Iterable[tuple[str, str]]) -> None:
        """Index (topic, prompt text) rows; what counts as a template is learned of the first."""
        numbered = enumerate(prompts)
        first = list(islice(numbered, _TEMPLATE_SAMPLE))
        self._template = find_template(row for _, row in first)
        for number, (_, text) in chain(first, numbered):
            self._run("INSERT INTO near_prompts VALUES (?, ?)", (number, text))
            self._run_many(number, self._bands(self._features(text)))

    def has(self, text: str) -> bool:
        """Whether an indexed prompt is at least `threshold` like this one."""
        features = self._features(text)
        seen: set[int] = set()
        for key in self._bands(features):
            for (number,) in self._run("SELECT number FROM near_bands WHERE key = ?", (key,)):
                if number in seen:
                    continue
                seen.add(number)
                query = "SELECT text FROM near_prompts WHERE number = ?"
                (other,) = self._run(query, (number,)).fetchone()
                if jaccard(features, self._features(other)) >= self._threshold:
                    return True
        return False

    def _run_many(self, number: int, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._run("INSERT OR IGNORE INTO near_bands VALUES (?, ?)", (key, number))

    def _features(self, text: str) -> frozenset[str]:
        found = character_ngrams(text)
        return (found - self._template) or found

    def _bands(self, features: frozenset[str]) -> list[bytes]:
        values = _signature(features).hashvalues
        starts = range(0, NUM_PERMUTATIONS - self._rows + 1, self._rows)
        return [
            bytes([band]) + values[start : start + self._rows].tobytes()
            for band, start in enumerate(starts)
        ]


class EvaluationQuestions:
    """Runs of words of evaluation questions, in a scratch database."""

    def __init__(self, connection: sqlite3.Connection, *, num_words: int) -> None:
        self._run = connection.execute
        self._num_words = num_words
        self._lengths: set[int] = set()
        self._run("CREATE TABLE evaluation_runs (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, text: str) -> None:
        """Keep the runs of one evaluation question; a text without words has none."""
        found = words(text)
        if not found:
            return
        length = min(self._num_words, len(found))
        whole = length < min(self._num_words, MIN_CONTAINED)
        if not whole:
            self._lengths.add(length)
        for key in _runs(found, length, whole=whole):
            self._run("INSERT OR IGNORE INTO evaluation_runs VALUES (?)", (key,))

    def has(self, text: str) -> bool:
        """Whether a question of this text is, holds or shares a run with an evaluation question."""
        found = words(text)
        keys = [*_runs(found, len(found), whole=True)] if found else []
        for length in sorted(self._lengths):
            keys.extend(_runs(found, length, whole=False))
        query = "SELECT 1 FROM evaluation_runs WHERE key = ?"
        return any(self._run(query, (key,)).fetchone() for key in keys)


def prompt_text(prompt: Sequence[Message]) -> str:
    """What is asked: all turns but the system's, which many questions share."""
    return "\n".join(message.content for message in prompt if message.role != "system")


def character_ngrams(text: str) -> frozenset[str]:
    """The character 5-grams of `text`, less case, width and runs of white space.

    >>> sorted(character_ngrams("ABC  dEf"))
    ['abc d', 'bc de', 'c def']
    """
    flat = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return frozenset(flat[i : i + NGRAM] for i in range(max(1, len(flat) - NGRAM + 1)))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Shared over all, from 0 to 1; neither may be empty."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def find_template(prompts: Iterable[tuple[str, str]]) -> frozenset[str]:
    """5-grams that stand in prompts of many topics, out of (topic, text) rows."""
    of_topic: dict[str, set[str]] = {}
    for topic, text in prompts:
        of_topic.setdefault(topic, set()).update(character_ngrams(text))
    counts = Counter(ngram for ngrams in of_topic.values() for ngram in ngrams)
    least = max(TEMPLATE_MIN_TOPICS, TEMPLATE_SHARE * len(of_topic))
    return frozenset(ngram for ngram, count in counts.items() if count >= least)


def rows_a_band(threshold: float) -> int:
    """The most selective bands that miss a pair at `threshold` at most MAX_MISSED of the time.

    A pair of similarity s shares a band of r rows with probability s^r; b bands miss it with
    (1 - s^r)^b.
    """
    for rows in range(NUM_PERMUTATIONS // 8, 1, -1):
        if (1.0 - threshold**rows) ** (NUM_PERMUTATIONS // rows) <= MAX_MISSED:
            return rows
    return 1


def words(text: str) -> list[str]:
    """The words of `text` without case; each Han or kana character is one."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _signature(features: frozenset[str]) -> MinHash:
    signature = _empty_signature().copy()
    signature.update_batch([feature.encode("utf-8", "surrogatepass") for feature in features])
    return signature


@lru_cache(maxsize=1)
def _empty_signature() -> MinHash:
    """Drawing the permutations takes longer than hashing a prompt."""
    from datasketch import MinHash

    return MinHash(num_perm=NUM_PERMUTATIONS, seed=_SEED)


def _runs(found: Sequence[str], length: int, *, whole: bool) -> Iterator[bytes]:
    """A key for each run of `length` words; a whole question's key is of another kind."""
    mark = "whole" if whole else "run"
    for start in range(len(found) - length + 1):
        run = "\x1f".join([mark, *found[start : start + length]])
        yield blake2b(run.encode("utf-8", "surrogatepass"), digest_size=12).digest()
