"""Training prompts that are nearly the same as a prompt of `test`.

The rule: bands of MinHash signatures (an LSH index) only propose candidates; an exact comparison
decides. So chance decides no row, and a pair at the threshold is missed with a probability below 1
in 1,000.

Two prompts are near when the Jaccard similarity of their character 5-grams, without those of the
template, reaches the threshold. Without the template a prompt may be short, and then one changed
word of the template has a large effect. So prompts are also near when all words that one puts into
the template are in the other too, and their 5-grams with the template reach the threshold. Prompts
that differ in a word that changes the question ("not", "northern", "second") are never near
(schemas/text/question_senses.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from dataset_builder.reading.scratch import Scratch
from dataset_builder.splits.minhash import NUM_PERMUTATIONS, minhash
from dataset_builder.splits.prompt_template import Template, contents_of, stem
from dataset_builder.splits.prompt_text import character_ngrams, flatten
from schemas.text.question_senses import ask_differently

MAX_MISSED = 1e-3
_KEYS_PER_QUERY = 500  # SQLite takes at least 999 values
_MAX_ENDING = 2  # letters by which the forms of one word differ


class NearDuplicates:
    """An index of test prompts in a scratch database, queried prompt by prompt.

    threshold    least Jaccard similarity, above 0
    """

    def __init__(
        self, scratch: Scratch, *, threshold: float, template: Template = frozenset()
    ) -> None:
        self._run = scratch.execute
        self._threshold = threshold
        self._rows = rows_a_band(threshold)
        self._template = template
        self._run("CREATE TABLE near_prompts (number INTEGER PRIMARY KEY, text TEXT)")
        self._run("CREATE TABLE near_bands (key BLOB, number INTEGER)")

    def add_all(self, prompts: Iterable[str]) -> None:
        """Index prompt texts; call it once, before the first `has`."""
        for number, text in enumerate(prompts):
            self._run("INSERT INTO near_prompts VALUES (?, ?)", (number, text))
            for key in self._keys(text, self._features(text)):
                self._run("INSERT INTO near_bands VALUES (?, ?)", (key, number))
        # Sorted at once: to insert keys in no order is slow where the index exceeds the cache.
        self._run("CREATE INDEX near_by_key ON near_bands (key, number)")

    def has(self, text: str) -> bool:
        """Whether an indexed prompt is near this one."""
        features = self._features(text)
        return any(
            self._are_alike(text, features, other) and not ask_differently(text, other)
            for other in self._propose(self._keys(text, features))
        )

    def _propose(self, keys: Sequence[bytes]) -> Iterator[str]:
        """The prompts with any of the keys; a prompt may come again."""
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            rows = self._run(
                "SELECT text FROM near_prompts WHERE number IN"
                f" (SELECT number FROM near_bands WHERE key IN ({','.join('?' * len(some))}))",
                some,
            )
            for (text,) in rows:
                yield text

    def _are_alike(self, text: str, features: frozenset[str], other: str) -> bool:
        if jaccard(features, self._features(other)) >= self._threshold:
            return True
        if not self._template or not self._fill_in_the_same(text, other):
            return False
        return jaccard(character_ngrams(text), character_ngrams(other)) >= self._threshold

    def _fill_in_the_same(self, text: str, other: str) -> bool:
        """Whether one prompt has all words, up to inflection, that the other puts in the template.

        Additional words of the other are changes in the template's own words.
        """
        fewer, more = sorted((self._contents(text), self._contents(other)), key=len)
        if not fewer:
            return not more
        return all(any(_are_forms(part, one) for one in more) for part in fewer)

    def _contents(self, text: str) -> list[tuple[str, ...]]:
        return contents_of(flatten(text), self._template)

    def _features(self, text: str) -> frozenset[str]:
        found = character_ngrams(text)
        return (found - self._template) or found

    def _keys(self, text: str, features: frozenset[str]) -> list[bytes]:
        """Keys; two near prompts share at least one: bands, and the words in the template."""
        values = minhash(features)
        starts = range(0, NUM_PERMUTATIONS - self._rows + 1, self._rows)
        keys = [
            bytes([band]) + values[start : start + self._rows].tobytes()
            for band, start in enumerate(starts)
        ]
        if self._template:
            for part in self._contents(text) or [()]:
                stems = "\x1f".join(map(stem, part)).encode("utf-8", "surrogatepass")
                keys.append(blake2b(stems, digest_size=12).digest())
        return keys


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity, shared / all, from 0 to 1; neither may be empty."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)


def rows_a_band(threshold: float) -> int:
    """The most selective bands that miss a pair at `threshold` with probability <= MAX_MISSED.

    A pair of similarity s shares a band of r rows with probability s^r; b bands miss it with
    (1 - s^r)^b.
    """
    for rows in range(NUM_PERMUTATIONS // 8, 1, -1):
        if (1.0 - threshold**rows) ** (NUM_PERMUTATIONS // rows) <= MAX_MISSED:
            return rows
    return 1


def _are_forms(part: Sequence[str], other: Sequence[str]) -> bool:
    return len(part) == len(other) and all(map(_is_form_of, part, other))


def _is_form_of(word: str, other: str) -> bool:
    if word == other:
        return True
    if stem(word) != stem(other) or any(map(str.isdigit, word)):
        return False
    shorter, longer = sorted((word, other), key=len)
    start = max(len(shorter) - _MAX_ENDING, 1)
    return len(longer) - len(shorter) <= _MAX_ENDING and longer.startswith(shorter[:start])
