"""Where a text contains a quote: every place, only whole words and whole amounts.

The rule: the tokens of the quote must be in the text one after the other, and nothing next to them
may change their meaning. Nothing is guessed: no letter, digit or sign may differ. The only
tolerance is a missing or added article, with a score below 1.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from annotator.text.quote_edges import is_cut, splits_word
from annotator.text.quote_text import ARTICLES, SPLIT, QuoteText, read_quote_text, without_articles

MIN_SCORE = 0.9
MAX_AROUND = 60
_ENDS = frozenset(".!?")
_AROUND_QUOTES = frozenset(".,;:!?-")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """`raw[start:end]` of a text is the quote; `score` is 1.0 unless articles differ."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, kw_only=True)
class Quote:
    """A quote prepared for searching: its tokens.

    Marks around it need not be in the text, signs must: `-20 degrees` is not `20 degrees`.
    `closing` are the marks at its end.
    """

    raw: str
    tokens: Sequence[str]
    closing: Sequence[str]

    @cached_property
    def bare(self) -> Sequence[str]:
        """The tokens without the articles that may be missing."""
        return without_articles(read_quote_text(self.raw)).tokens()

    @property
    def has_content(self) -> bool:
        """Whether there is a letter or a digit to search for."""
        return any(token[0].isalnum() for token in self.tokens)


def make_quote(quote: str) -> Quote:
    """The quote of a judge or writer, prepared for searching."""
    text = read_quote_text(quote)
    first, end = 0, len(text)
    while end and text.token(end - 1) in _AROUND_QUOTES and not _is_charge(text, end - 1):
        end -= 1
    while first < end and text.token(first) in _AROUND_QUOTES and not _is_signed(text, first):
        first += 1
    raw = quote[text.starts[first] : text.ends[end - 1]] if first < end else ""
    tokens = text.tokens()
    return Quote(raw=raw, tokens=tokens[first:end], closing=tokens[end:])


def _is_signed(text: QuoteText, first: int) -> bool:
    is_sign = text.token(first) in {"-", "."} and text.token(first + 1)[:1].isdecimal()
    return is_sign and text.ends[first] == text.starts[first + 1]


def _is_charge(text: QuoteText, last: int) -> bool:
    return text.token(last) == "-" and last > 0 and text.ends[last - 1] == text.starts[last]


def find_stretches(quote: Quote, text: QuoteText) -> Iterator[Stretch]:
    """The places where `text` contains the quote word for word, in order."""
    for first, last in _find_tokens(quote.tokens, text):
        if not is_cut(text, first, last):
            end = _end_of(quote, text, last)
            yield Stretch(start=text.starts[first], end=end, score=1.0)


def find_words(words: Quote, text: QuoteText) -> Iterator[Stretch]:
    """The places where `text` contains the words, whatever is next to them.

    Wrong words are not evidence, as quotes are: `7` is found in `7 kg`, and `born in Rome` behind
    `not`. A part of a word or number is not found.
    """
    for first, last in _find_tokens(words.tokens, text):
        if not splits_word(text, first, last):
            end = _end_of(words, text, last)
            yield Stretch(start=text.starts[first], end=end, score=1.0)


def find_but_for_articles(quote: Quote, text: QuoteText, bare: QuoteText) -> Iterator[Stretch]:
    """The places where `text` contains the quote with articles missing or added.

    `bare` is the text without them.
    """
    for bare_first, bare_last in _find_tokens(quote.bare, bare):
        first = bisect_left(text.starts, bare.starts[bare_first])
        last = bisect_right(text.ends, bare.ends[bare_last]) - 1
        if quote.tokens[0] in ARTICLES and text.token(first - 1) in ARTICLES:
            first -= 1
        score = _compare_articles(quote.tokens, text.tokens_from(first, last + 1))
        # An exact match was already found, or is cut.
        if MIN_SCORE <= score < 1 and not is_cut(text, first, last):
            start, end = text.starts[first], text.ends[last]
            yield Stretch(start=start, end=end, score=round(score, 4))


def _end_of(quote: Quote, text: QuoteText, last: int) -> int:
    """The end of a match, including those closing marks of the quote that the text has, too."""
    for mark in quote.closing:
        if text.token(last + 1) != mark or text.starts[last + 1] != text.ends[last]:
            break
        last += 1
    return text.ends[last]


def _find_tokens(tokens: Sequence[str], text: QuoteText) -> Iterator[tuple[int, int]]:
    """The first and last token of each part of `text` that equals `tokens`."""
    if not tokens:
        return
    wanted = SPLIT + SPLIT.join(tokens) + SPLIT
    at = text.joined.find(wanted)
    while at >= 0:
        first = bisect_left(text.heads, at + 1)
        yield first, first + len(tokens) - 1
        at = text.joined.find(wanted, at + 1)


def _compare_articles(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """Twice the number of shared characters, divided by that of both; 0 where one has `a`, the
    other `the`.

    Both are the same apart from articles. White space counts.
    """
    wrong, mine, other = 0, 0, 0
    while mine < len(ours) or other < len(theirs):
        one = ours[mine] if mine < len(ours) else ""
        two = theirs[other] if other < len(theirs) else ""
        if one == two:
            mine, other = mine + 1, other + 1
        elif one in ARTICLES and two in ARTICLES:
            return 0.0
        elif one in ARTICLES:
            wrong, mine = wrong + len(one) + 1, mine + 1
        else:
            wrong, other = wrong + len(two) + 1, other + 1
    return 1.0 - wrong / (len(" ".join(ours)) + len(" ".join(theirs)))


def words_around(text: QuoteText, start: int, end: int) -> frozenset[str]:
    """The words and numbers of the sentence or line that `raw[start:end]` of a text is in.

    At most MAX_AROUND tokens before and after it are read.
    """
    first = bisect_left(text.starts, start)
    last = max(first, bisect_left(text.starts, end) - 1)
    low, high = first, last
    while low > max(0, first - MAX_AROUND) and not _is_border(text, low):
        low -= 1
    while high < min(len(text) - 1, last + MAX_AROUND) and not _is_border(text, high + 1):
        high += 1
    words = (text.token(number) for number in range(low, min(high + 1, len(text))))
    return frozenset(word for word in words if word[0].isalnum())


def _is_border(text: QuoteText, number: int) -> bool:
    """Whether a sentence or line ends before token `number`."""
    gap = text.raw[text.ends[number - 1] : text.starts[number]]
    return "\n" in gap or text.token(number - 1) in _ENDS
