"""Which questions are nearly the same.

The rule: two questions are nearly the same when the Jaccard similarity of their content words is at
least `THRESHOLD` and nothing differs that changes the answer: the kind of answer (when, where), a
number, a name, a negation, a word of degree or direction, or a replaced content word. "When was Ada
Lovelace born?" and "Where was Ada Lovelace born?" share nearly all words and are two questions. An
extra question costs little; a dropped one is lost.

`schemas/text/question_senses.py` decides which words change a question's meaning, and reads
numbers.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.text.question_senses import Words, read_senses, senses_differ
from schemas.text.scripts import WIDE
from schemas.text.sense_words import NUMBER, sign_of

THRESHOLD = 0.8

_RUN = re.compile(rf"[{WIDE}]+|[^\W_{WIDE}]+")
_IS_WIDE = re.compile(f"[{WIDE}]")
_PARTICLES = re.compile("[的了是在于吗呢]")
_STOP = frozenset(
    "a an the of in on at to for from by with and or as is are was were be been did does do has "
    "have had that it its there".split()
)
_ASKING = frozenset("who whom whose what when where why how many much".split())
_SAME_ASKING = {"which": "what"}
_SAME_STEM_LETTERS = 5  # "composed" and "composer" count as one word
_ASKING_WIDE = re.compile("谁|何时|何地|何处|为何|为什么|如何|怎么|怎样|多少|几|什么时候|什么|哪")


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The parts of a question that are compared."""

    features: frozenset[str]
    asking: frozenset[str]
    names: frozenset[str]
    senses: Words
    characters: Counter[str]
    text: str


def fold(text: str) -> str:
    """NFKC, without case: the form in which questions and topics are compared."""
    return unicodedata.normalize("NFKC", text).casefold()


def split_words(text: str) -> list[str]:
    """Words of a folded text; for scripts without spaces, pairs of adjacent characters."""
    words: list[str] = []
    for run in _RUN.findall(text):
        if _IS_WIDE.match(run):
            words += [run[i : i + 2] for i in range(len(run) - 1)] or [run]
        else:
            words.append(run)
    return words


def content_words(text: str) -> frozenset[str]:
    """`split_words` of a folded text, without articles, prepositions and particles."""
    words = split_words(_PARTICLES.sub("", text))
    return frozenset(_SAME_ASKING.get(word, word) for word in words if word not in _STOP)


def make_shape(question: str) -> Shape:
    """The compared parts of one question."""
    text = fold(question)
    words = frozenset(map(_with_digits, content_words(text))) or frozenset({text.strip()})
    capitals = re.findall(r"(?<=[\w,] )[^\W\d_]\w*", unicodedata.normalize("NFKC", question))
    return Shape(
        features=words,
        asking=(words & _ASKING) | frozenset(_ASKING_WIDE.findall(text)),
        names=frozenset(_with_digits(word.casefold()) for word in capitals if word[0].isupper()),
        senses=read_senses(question),
        characters=Counter(_IS_WIDE.findall(_PARTICLES.sub("", text))),
        text=text,
    )


def is_near(one: Shape, other: Shape) -> bool:
    """Whether two questions are nearly the same."""
    if one.asking != other.asking:
        return False
    if one.names - other.features and other.names - one.features:
        return False
    shared = len(one.features & other.features)
    if shared < THRESHOLD * len(one.features | other.features) or _replaces(one, other):
        return False
    return not senses_differ(one.senses, other.senses)


def _with_digits(word: str) -> str:
    """A number in any written form as its sign; any other word unchanged."""
    sign = word if _IS_WIDE.match(word) else sign_of(word)
    return sign if sign.startswith(NUMBER) else word


def _replaces(one: Shape, other: Shape) -> bool:
    """Whether a content word or character is replaced by another."""
    mine, theirs = one.characters - other.characters, other.characters - one.characters
    if mine and theirs:
        return True
    ours, rest = _stems_less(one, other), _stems_less(other, one)
    return bool(ours and rest)


def _stems_less(one: Shape, other: Shape) -> set[str]:
    words = one.features - other.features
    stems = {word[:_SAME_STEM_LETTERS] for word in other.features}
    return {
        word
        for word in words
        if not _IS_WIDE.match(word) and word[:_SAME_STEM_LETTERS] not in stems
    }


def find_repeats(questions: Sequence[tuple[str, str]]) -> set[int]:
    """Indexes of those (topic, question) that repeat an earlier one that is kept.

    Questions that each name a topic which the other does not are two questions, even if they share
    many words. The result is exact without comparing all pairs: two sets with that overlap share
    one of their few rarest words.
    """
    shapes = [make_shape(text) for _, text in questions]
    counts = Counter(word for shape in shapes for word in shape.features)
    places: defaultdict[str, list[int]] = defaultdict(list)
    repeats: set[int] = set()
    for place, shape in enumerate(shapes):
        words = sorted(shape.features, key=lambda word: (counts[word], word))
        # At least ceil(t|A|) words are shared, so one of the others plus one is.
        rarest = words[: len(words) - math.ceil(THRESHOLD * len(words)) + 1]
        others = {other for word in rarest for other in places[word]}
        if any(
            is_near(shape, shapes[other])
            and not _topics_differ(shape, questions[place][0], shapes[other], questions[other][0])
            for other in others
        ):
            repeats.add(place)
            continue
        for word in rarest:
            places[word].append(place)
    return repeats


def _topics_differ(one: Shape, topic: str, other: Shape, other_topic: str) -> bool:
    mine, theirs = fold(topic), fold(other_topic)
    return mine != theirs and (
        mine in one.text
        and mine not in other.text
        and theirs in other.text
        and theirs not in one.text
    )
