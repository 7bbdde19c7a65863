"""Whether two questions that share nearly all their words have different meanings.

The rule: a word that changes the meaning and that only one of them has makes two questions:
a negation, a direction, a rank, an order, an increase or decrease, a number ("recommended" and
"not recommended", "northern" and "southern", "first" and "second"; 最大 and 最小). So do two words
that differ in a prefix alone ("hypotension" and "hypertension"), two single letters ("type A"
and "type B"), and two words that change places after "from", "before" or "than".

The two are aligned word by word, and a meaning-changing ("turning") word counts where it is the
difference: in a clause that one of them adds ("Please do not use jargon.") it changes nothing.

It knows English and Chinese words, and the most common ones of German, French and Spanish.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from schemas.text.scripts import HAN, WIDE
from schemas.text.sense_words import NUMBER, NUMERALS_ZH, TENS, TURNING, sign_of

Words = tuple[str, ...]

MAX_BLOCK = 4  # words of a difference in which one turning word counts
MAX_ALIGNED = 4_000  # words; two longer texts that share nearly all are not distinguished
MIN_SHARE = 3  # in a longer one, one word in three must turn

_TOKEN = re.compile(
    rf"第\s?(?:\d+|[{NUMERALS_ZH}]+)|[{NUMERALS_ZH}]+|[{WIDE}]|\d+(?:\.\d+)+|[^\W_{WIDE}]+[+#]*"
)
_REWRITTEN = (
    # "12.", "Q12:", "Question 3 of 12)", 问题3：, 三、: which question of a list, not what it asks.
    (
        re.compile(
            r"\A\W{0,3}(?:(?:q|question|item|task|problem|exercise|no|nr|frage|问题|题目|问|题)"
            rf"\W{{0,2}}\d+(?:\s?(?:of|/|von)\s?\d+)?|第\s?(?:\d+|[{NUMERALS_ZH}]+)\s?[题问道])"
            r"\s*(?:\.(?=\D)|[:)\]、])"
        ),
        "",
    ),
    (re.compile(rf"\A\W{{0,3}}(?:\d{{1,3}}|[{NUMERALS_ZH}]{{1,3}})\s*(?:[.:](?=\D)|[)\]、])"), ""),
    # Instructions after the question: its points, and the form of the answer.
    (re.compile(r"(?<=\?)\s*[(\[]\d+(?:\s?(?:points?|marks?|分))?[)\]]\s*\Z"), ""),
    (
        re.compile(
            r"(?<=\?)\s*(?:please )?(?:do not|don['\u2019]t|keep it|keep your answer|use at most|"
            r"use no more than|write at most|write no more than|answer in at most)\b[^?]{0,60}\Z"
        ),
        "",
    ),
    (re.compile("n['\u2019]t\\b"), " not"),
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(rf"([{HAN}])[不没]\1"), r"\1"),  # 是不是 asks yes or no, it is not a negation
    (re.compile("没有"), "没"),
    (re.compile("一下|非常"), ""),
    # How long an answer should be.
    (
        re.compile(
            r"\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten|hundred)"
            r"(?:\s*(?:-|\u2013|to|or)\s*\d+)?[\s-]+(?:words?|sentences?|paragraphs?|characters?|lines?|bullets?|tokens?)\b"
        ),
        " ",
    ),
    (re.compile(rf"(?:\d{{2,}}|[{NUMERALS_ZH}]{{2,}})(?:个)?(?:多|余)?字"), " "),
)
_ONE = f"{NUMBER}1"
_UNIT = re.compile(f"{NUMBER}([1-9])(|th)")
_LINKS = frozenset(
    "from to into before after than over above below by behind 从 到 至 比 被 向 往".split()
)
_LINK_SIGNS = frozenset(map(sign_of, _LINKS))
_ARTICLES = frozenset("a an the der die das le la les el los las".split())
_PREFIXES = tuple(
    "un in im il ir ab ant para non dis mis contra anti de counter under over sub super semi multi "
    "re pre post intra inter extra ultra hypo hyper macro micro mono poly bi tri a an".split()
)
_PREFIX_PAIRS = tuple(
    tuple(pair.split("/"))
    for pair in "hypo/hyper intra/extra intra/inter inter/extra endo/exo pre/post ante/post "
    "over/under micro/macro mono/poly mono/bi bi/tri mono/tri uni/bi uni/multi tachy/brady ab/ad "
    "pro/anti in/ex im/ex in/out up/down sub/super sub/supra infra/supra intro/extro "
    "anter/poster homo/hetero eu/dys eu/hypo eu/hyper inner/outer north/south east/west "
    "as/des a/de con/di".split()
)
_SUFFIX_PAIRS = (("ful", "less"), ("er", "ee"), ("or", "ee"))
_MIN_ROOT = 3


def ask_differently(one: str, other: str) -> bool:
    """Whether a word that changes the meaning makes these two different questions.

    >>> ask_differently("Which lake of Karst is the largest?", "Which lake of Karst is smallest?")
    True
    >>> ask_differently("Who ran the mill?", "Who has run the mill?")
    False
    """
    return senses_differ(read_senses(one), read_senses(other))


@lru_cache(maxsize=256)
def read_senses(text: str) -> Words:
    """The words of a question in order, turning words and numbers as their signs.

    Of scripts without spaces, each character is a word.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    for pattern, meant in _REWRITTEN:
        folded = pattern.sub(meant, folded)
    return tuple(_signs(_TOKEN.findall(folded)))


def senses_differ(one: Words, other: Words) -> bool:
    """`ask_differently`, of what `read_senses` gives."""
    if one == other:
        return False
    mine, theirs = Counter(one), Counter(other)
    if mine == theirs:
        return _linked(one) != _linked(other)
    if max(len(one), len(other)) > MAX_ALIGNED:
        return False
    added, missing = mine - theirs, theirs - mine
    return any(_turns(left, right, added, missing) for left, right in _differences(one, other))


def _signs(words: Sequence[str]) -> Iterator[str]:
    """The signs of words; `twenty-one` is one number, and so is `twenty-first`."""
    place = 0
    while place < len(words):
        word, following = words[place], words[place + 1 : place + 2]
        place += 1
        unit = sign_of(following[0]) if word in TENS and following else ""
        if match := _UNIT.fullmatch(unit):
            yield f"{NUMBER}{TENS[word] + int(match[1])}{match[2]}"
            place += 1
        else:
            yield sign_of(word)


def _differences(one: Words, other: Words) -> Iterator[tuple[Words, Words]]:
    """The runs of words that are not the same in both."""
    start, end = 0, 0
    shorter = min(len(one), len(other))
    while start < shorter and one[start] == other[start]:
        start += 1
    while end < shorter - start and one[-1 - end] == other[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    for kind, *places in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind != "equal":
            yield left[places[0] : places[1]], right[places[2] : places[3]]


def _turns(left: Words, right: Words, added: Counter[str], missing: Counter[str]) -> bool:
    """Whether one difference changes the meaning of the question.

    left, right       what each of the questions has there
    added, missing    what each has more often than the other, anywhere
    """
    turning = [word for word in left if word in added and _is_turning(word, right)]
    turning += [word for word in right if word in missing and _is_turning(word, left)]
    longest = max(len(left), len(right))
    if turning and (longest <= MAX_BLOCK or len(turning) * MIN_SHARE >= longest):
        return True
    return any(
        _are_opposite(word, other)
        for word in left
        if word in added
        for other in right
        if other in missing
    )


def _is_turning(word: str, others: Words) -> bool:
    if word == _ONE:  # "which one of", 一种: a number only in place of another
        return any(other.startswith(NUMBER) for other in others)
    return word.startswith((NUMBER, TURNING))


def _are_opposite(word: str, other: str) -> bool:
    """Whether a prefix, a suffix or a mark distinguishes two words, or both are letters."""
    if len(word) == len(other) == 1:
        return word.isascii() and other.isascii()
    if word.rstrip("+#") == other.rstrip("+#"):
        return True
    shorter, longer = sorted((word, other), key=len)
    if len(shorter) >= _MIN_ROOT and longer.endswith(shorter):
        return longer.removesuffix(shorter).rstrip("-") in _PREFIXES
    return any(
        _share_root(word[len(a) :], other[len(b) :])
        for pair in _PREFIX_PAIRS
        for a, b in (pair, pair[::-1])
        if word.startswith(a) and other.startswith(b)
    ) or any(
        _share_root(word.removesuffix(a), other.removesuffix(b))
        for pair in _SUFFIX_PAIRS
        for a, b in (pair, pair[::-1])
        if word.endswith(a) and other.endswith(b)
    )


def _share_root(word: str, other: str) -> bool:
    return len(word) >= _MIN_ROOT and word == other


def _linked(words: Words) -> Counter[tuple[str, str]]:
    """What follows each word that links two things in one direction."""
    content = [word for word in words if word not in _ARTICLES]
    return Counter(
        (word, following) for word, following in pairwise(content) if word in _LINK_SIGNS
    )
