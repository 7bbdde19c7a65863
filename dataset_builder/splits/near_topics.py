"""Topics of two splits that are nearly the same, for people to look at.

The rule: topics are only listed, never changed. Two topics are near when they differ in the order
of words, articles, a plural, a parenthesis or one typing error, and in nothing that makes them two
topics: no number, no opposite ("North Karst", "South Karst"), no two different parentheses.

It scales to tens of thousands of topics: candidates are found by a table of sorted words, and by
hashes of each topic without one character (two texts that are one typing error apart share such a
hash). An exact comparison decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from dataset_builder.splits.topics import topic_key
from schemas.text.question_senses import Words, read_senses, senses_differ
from schemas.text.scripts import WIDE
from schemas.text.sense_words import NUMBER

NUM_SHOWN = 3
MIN_TYPO_LETTERS = 5  # of the word with a typing error; Iran and Iraq are two topics
_MIN_WIDE = 6
_MAX_CHARS = 80  # of a topic that is searched for typing errors
_BATCH = 2_000
_PARENTHESIS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_WIDE = re.compile(f"[{WIDE}]")
_ARTICLES = frozenset("a an the of der die das des le la les l el los las il lo i gli".split())


@dataclass(frozen=True, kw_only=True)
class NearTopics:
    """Topics of one split that are near a topic of another.

    examples    the first few, each with the topic that it is near to
    """

    num: int = 0
    examples: Sequence[tuple[str, str]] = ()

    def describe(self) -> str | None:
        """One sentence for a note; None when there are no such topics."""
        if not self.num:
            return None
        shown = "; ".join(f"{one!r} and {other!r}" for one, other in self.examples)
        more = f"; and {self.num - len(self.examples):,} more" * (self.num > len(self.examples))
        return (
            f"{self.num:,} {'topic is' if self.num == 1 else 'topics are'} nearly equal to a "
            f"topic of another split: {shown}{more}; if two are the same topic, give them one "
            "name in the input and build again"
        )


def find_near_topics(topics: Mapping[str, Collection[str]]) -> NearTopics:
    """The topics by split that are near a topic of another split, in order of their names."""
    found: dict[str, str] = {}
    for pair in combinations(sorted(topics, key=lambda split: (len(topics[split]), split)), 2):
        index = _Index(topics[pair[0]])
        for topic, other in index.find(topics[pair[1]]):
            found[topic] = min(other, found.get(topic, other))
    return NearTopics(num=len(found), examples=sorted(found.items())[:NUM_SHOWN])


def topics_by_split(folder: Path) -> dict[str, set[str]]:
    """The topics of each split of a data set folder."""
    import pyarrow.parquet as pq

    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*/*.parquet")):
        with pq.ParquetFile(path, read_dictionary=["topic"]) as file:
            for batch in file.iter_batches(columns=["topic"]):
                topics = batch.column(0).unique().to_pylist()
                found[path.name.split("-")[0]].update(topic for topic in topics if topic)
    return dict(found)


class _Index:
    """The topics of one split, with a lookup of those near another topic."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = [_Topic(name) for name in sorted(topics)]
        self._by_words: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, topic in enumerate(self._topics):
            self._by_words[topic.words].append(number)
        self._hashes, self._owners = _hash_all(self._topics)

    def find(self, names: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Each of the names that has a near topic, with the first such topic."""
        listed = sorted(names)
        for start in range(0, len(listed), _BATCH):
            topics = [_Topic(name) for name in listed[start : start + _BATCH]]
            proposed = self._propose(topics)
            for number, topic in enumerate(topics):
                for other in sorted({*proposed[number], *self._by_words.get(topic.words, ())}):
                    if topic.is_near(self._topics[other]):
                        yield topic.name, self._topics[other].name
                        break

    def _propose(self, topics: Sequence[_Topic]) -> Mapping[int, set[int]]:
        """By index, the topics that may be one typing error away."""
        import numpy as np

        proposed: defaultdict[int, set[int]] = defaultdict(set)
        hashes, owners = _hash_all(topics)
        starts = np.searchsorted(self._hashes, hashes, side="left")
        ends = np.searchsorted(self._hashes, hashes, side="right")
        for place in np.flatnonzero(starts < ends).tolist():
            proposed[int(owners[place])].update(self._owners[starts[place] : ends[place]].tolist())
        return proposed


class _Topic:
    """A topic with its compared parts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.key = topic_key(name)
        plain = unicodedata.normalize("NFKC", name)
        parts = _PARENTHESIS.findall(plain)
        self.parenthesis = topic_key(" ".join(parts)) if parts else ""
        base = topic_key(_PARENTHESIS.sub(" ", plain)).strip() or self.key
        words = [_singular(word) for word in base.split() if word not in _ARTICLES]
        self.words = tuple(sorted(words)) or (base,)

    @cached_property
    def senses(self) -> Words:
        return read_senses(self.name)

    def is_near(self, other: _Topic) -> bool:
        """Whether two topics are near but not the same topic (`topic_key`)."""
        if self.key == other.key or _numbers(self.senses) != _numbers(other.senses):
            return False
        has_two = self.parenthesis and other.parenthesis
        if has_two and self.parenthesis != other.parenthesis:
            return False
        if self.words != other.words and not _is_typing_error(self.key, other.key):
            return False
        return not senses_differ(self.senses, other.senses)


def _numbers(senses: Words) -> Counter[str]:
    return Counter(word for word in senses if word.startswith(NUMBER))


def _singular(word: str) -> str:
    if len(word) <= 3 or word.endswith("ss"):
        return word
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def _is_typing_error(one: str, other: str) -> bool:
    """One letter added, removed, replaced or swapped with its neighbour, inside a word."""
    shorter, longer = sorted((one, other), key=len)
    start = 0
    while start < len(shorter) and shorter[start] == longer[start]:
        start += 1
    if not any(
        longer[start + left :] == shorter[start + right :]
        for left, right in _edits(longer[start : start + 2], shorter[start : start + 2])
    ):
        return False
    words = [_word_at(text, start) for text in (one, other)]
    is_inside = start > longer.rfind(" ", 0, start) + 1
    least = _MIN_WIDE if any(map(_WIDE.search, words)) else MIN_TYPO_LETTERS
    return is_inside and max(map(len, words)) >= least


def _edits(longer: str, shorter: str) -> Iterator[tuple[int, int]]:
    """The number of characters to skip on both sides for each kind of typing error."""
    yield 1, 0
    yield 1, 1
    if longer == shorter[::-1]:
        yield 2, 2


def _word_at(text: str, place: int) -> str:
    return text[text.rfind(" ", 0, place) + 1 :].split(" ")[0]


def _hash_all(topics: Sequence[_Topic]) -> tuple[Any, Any]:
    """Hashes of the keys, also without one character, sorted; and the index of each key."""
    import numpy as np

    hashes: list[int] = []
    owners: list[int] = []
    for number, topic in enumerate(topics):
        if MIN_TYPO_LETTERS <= len(topic.key) <= _MAX_CHARS:
            key = topic.key
            forms = {key, *(key[:place] + key[place + 1 :] for place in range(len(key)))}
            hashes.extend(map(hash, forms))
            owners.extend([number] * len(forms))
    values = np.array(hashes, dtype=np.int64)
    order = np.argsort(values, kind="stable")
    return values[order], np.array(owners, dtype=np.int64)[order]
