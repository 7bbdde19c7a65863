"""Where a document says what a judge quoted: exactly, but for form, or nearly.

The rule: offsets point into the untouched document, and a quote counts as found only where the
document says it, whole words and whole numbers. Form (case, white space, width, kinds of
quotation marks and dashes) is not content. Nearly is: an article more or less, a letter wrong in
a long common word; never a name, a number, a negation or a character of Chinese.
"""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

MIN_SCORE = 0.9
MIN_UNITS = 6  # letters and digits of a quote, a wide one counted twice: less says too little
_MIN_FUZZY_CHARS = 12  # shorter ones resemble too much
_MIN_TYPO_LETTERS = 7
_AROUND_CHARS = 24
_CANDIDATE_SCORE = 80.0  # of a stretch as long as the quote; what counts is the words about it
_MAX_ARTICLES = 3
_MAX_QUOTE_CHARS = 5_000
_CACHED_CHARS = 20_000_000
_SAME = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»「」『』＂", '"'),
        **dict.fromkeys("‘’‚‛`´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "‹": "<",
        "［": "[",
    }
)
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_ELISION = re.compile(r"\s*(?:\[\s*)?(?:\.{3,}|…+)(?:\s*\])?\s*")
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|\d+(?:[.,]\d+)*|[^\W\d_]+")
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """`documents[document][start:end]` says it; `score` is 1.0 unless only nearly."""

    document: int
    start: int
    end: int
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plain:
    """A text without its form, and for each of its characters the offset it came from."""

    text: str
    origins: Sequence[int]


class QuoteFinder:
    """Looks for quotes; keeps the plain forms of the texts it looked through last."""

    def __init__(self) -> None:
        self._plains: OrderedDict[str, _Plain] = OrderedDict()
        self._num_chars = 0

    def locate(self, quote: str, texts: Sequence[str]) -> list[Place]:
        """The places of `quote` in `texts`, one for each of its parts; [] when it is not there.

        A quote with an elision (`...`) is located part by part: every part must be there, in one
        text, in order. A quote of fewer than MIN_UNITS letters and digits says too little, unless
        it is all that a text says.
        """
        quote = quote.strip().strip('"“”「」').strip()[:_MAX_QUOTE_CHARS]
        plains = [self._plain(text) for text in texts]
        whole = _locate_whole(quote, texts, plains)
        if whole is not None:
            return [whole]
        parts = [part for part in _ELISION.split(quote) if part]
        if len(parts) < 2:
            return []
        for number, plain in enumerate(plains):
            places = _locate_in_order(parts, number, plain)
            if places:
                return places
        return []

    def _plain(self, text: str) -> _Plain:
        if text in self._plains:
            self._plains.move_to_end(text)
            return self._plains[text]
        plain = self._plains[text] = make_plain(text)
        self._num_chars += len(text)
        while self._num_chars > _CACHED_CHARS and len(self._plains) > 1:
            old, _ = self._plains.popitem(last=False)
            self._num_chars -= len(old)
        return plain


def count_units(text: str) -> int:
    """Letters and digits, those of Chinese and kana counted twice."""
    return sum(2 if _WIDE.match(letter) else 1 for letter in text if letter.isalnum())


def make_plain(text: str) -> _Plain:
    """Casefolded, width, accents and marks evened, white space one space, none beside wide ones."""
    kept: list[str] = []
    origins: list[int] = []
    for offset, character in enumerate(text):
        if character.isspace():
            if kept and kept[-1] != " ":
                kept.append(" ")
                origins.append(offset)
            continue
        # A raised or circled digit is a digit of its own: 10² is not 102.
        is_other_number = unicodedata.category(character) == "No"
        form = character if is_other_number else unicodedata.normalize("NFKD", character)
        form = form.translate(_SAME).casefold()
        if kept and kept[-1] == " " and (_WIDE.match(form) or _is_wide_before(kept)):
            kept.pop()
            origins.pop()
        for letter in form:
            kept.append(letter)
            origins.append(offset)
    return _Plain(text="".join(kept), origins=origins)


def _is_wide_before(kept: Sequence[str]) -> bool:
    return len(kept) > 1 and _WIDE.match(kept[-2]) is not None


def _locate_whole(quote: str, texts: Sequence[str], plains: Sequence[_Plain]) -> Place | None:
    wanted = make_plain(quote).text.strip()
    if not _says_enough(wanted, plains):
        return None
    for number, text in enumerate(texts):
        start = text.find(quote)
        if start >= 0 and _is_whole(text, start, start + len(quote)):
            return Place(document=number, start=start, end=start + len(quote), score=1.0)
    for number, plain in enumerate(plains):
        place = next(_places(wanted, number, plain), None)
        if place is not None:
            return place
    return _locate_nearly(wanted, plains)


def _says_enough(wanted: str, plains: Sequence[_Plain]) -> bool:
    if count_units(wanted) >= MIN_UNITS:
        return True
    return bool(count_units(wanted)) and any(plain.text.strip() == wanted for plain in plains)


def _places(wanted: str, number: int, plain: _Plain, begin: int = 0) -> Iterator[Place]:
    """Where a plain text holds `wanted` as whole words, from its character `begin` on."""
    start = plain.text.find(wanted, begin)
    while start >= 0:
        end = start + len(wanted)
        if _is_whole(plain.text, start, end):
            yield _place(number, plain, start, end, 1.0)
        start = plain.text.find(wanted, start + 1)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a stretch cuts no word and no number: `900` is no part of `1,900`."""
    return not (_is_joined(text, start) or _is_joined(text, end))


def _is_joined(text: str, at: int) -> bool:
    """Whether the characters before and behind offset `at` belong to one word or number."""
    if at <= 0 or at >= len(text):
        return False
    before, behind = text[at - 1], text[at]
    if before.isalnum() and (behind.isalnum() or unicodedata.combining(behind)):
        return not (_WIDE.match(before) or _WIDE.match(behind))
    around = text[max(0, at - 2) : at + 2]
    return re.search(r"\d[.,]\d", around) is not None


def _locate_in_order(parts: Sequence[str], number: int, plain: _Plain) -> list[Place]:
    """Places of all parts, each behind the one before; [] where one is missing."""
    places: list[Place] = []
    begin = 0
    for part in parts:
        wanted = make_plain(part).text.strip()
        if count_units(wanted) < MIN_UNITS:
            return []
        start = plain.text.find(wanted, begin)
        while start >= 0 and not _is_whole(plain.text, start, start + len(wanted)):
            start = plain.text.find(wanted, start + 1)
        if start < 0:
            return []
        begin = start + len(wanted)
        places.append(_place(number, plain, start, begin, 1.0))
    return places


def _locate_nearly(wanted: str, plains: Sequence[_Plain]) -> Place | None:
    from rapidfuzz.fuzz import partial_ratio_alignment, ratio

    if len(wanted) < _MIN_FUZZY_CHARS:
        return None
    best: Place | None = None
    for number, plain in enumerate(plains):
        if len(plain.text) < len(wanted):  # the shorter would be looked for in the longer
            continue
        found = partial_ratio_alignment(wanted, plain.text, score_cutoff=_CANDIDATE_SCORE)
        if found is None:
            continue
        span = _find_alike(wanted, plain.text, found.dest_start, found.dest_end)
        score = ratio(wanted, plain.text[slice(*span)]) / 100 if span else 0.0
        if span and score >= MIN_SCORE and (best is None or score > best.score):
            best = _place(number, plain, *span, score)
    return best


def _find_alike(wanted: str, text: str, start: int, end: int) -> tuple[int, int] | None:
    """The words about text[start:end] that say the same as `wanted`; None where none do.

    The stretch that resembles most may be a word short at either end, so those around it count.
    """
    words = _TOKEN.findall(wanted)
    low, high = max(0, start - _AROUND_CHARS), min(len(text), end + _AROUND_CHARS)
    spans = [
        (match[0], low + match.start(), low + match.end())
        for match in _TOKEN.finditer(text[low:high])
    ]
    firsts = [n for n, span in enumerate(spans) if words and span[0] == words[0]]
    lasts = [n for n, span in enumerate(spans) if words and span[0] == words[-1]]
    for first in firsts:
        for last in lasts:
            if first <= last and abs(last - first + 1 - len(words)) <= _MAX_ARTICLES:
                said = [word for word, _, _ in spans[first : last + 1]]
                begin, stop = spans[first][1], spans[last][2]
                if _says_the_same(words, said) and _is_whole(text, begin, stop):
                    return begin, stop
    return None


def _says_the_same(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether the words of two stretches differ by articles and slips in long words only."""
    for kind, a, b, c, d in SequenceMatcher(a=ours, b=theirs, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if kind != "replace" and {*ours[a:b], *theirs[c:d]} <= _ARTICLES:
            continue
        pairs = list(zip(ours[a:b], theirs[c:d], strict=False))
        if kind != "replace" or b - a != d - c or not all(_is_slip(*pair) for pair in pairs):
            return False
    return True


def _is_slip(ours: str, theirs: str) -> bool:
    """Whether two words of the same beginning differ by one letter in the middle or at the end."""
    from rapidfuzz.distance import Levenshtein

    if min(len(ours), len(theirs)) < _MIN_TYPO_LETTERS or not (ours + theirs).isalpha():
        return False
    return ours[:3] == theirs[:3] and Levenshtein.distance(ours, theirs) == 1


def _place(number: int, plain: _Plain, start: int, end: int, score: float) -> Place:
    return Place(
        document=number,
        start=plain.origins[start],
        end=plain.origins[end - 1] + 1,
        score=round(score, 4),
    )
