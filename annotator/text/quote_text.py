"""A text as the tokens by which quotes are compared: words, numbers, signs, single characters.

The rule: form goes, content stays. Case, white space, width, ligatures, soft hyphens, kinds of
dashes and quotation marks are form. Every letter, accent, digit, sign, currency and unit is
content: `-20` is two tokens, `10²` is not `102`, `3.1` is not a part of `3.1.4`.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

# Scripts without spaces between words: every character is a token.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003fffd"
)
SPLIT = "\n"  # between the tokens of `QuoteText.joined`; no token holds white space
# Characters that no reader sees, and marks that say nothing about the words they are at.
_UNSEEN = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_SILENT = "\"“”„‟«»「」『』＂'‘’‚‛`´＇™®©†‡•"
_LOWERED = "₀-₉"
_SAME = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−⁃", "-"),
        **dict.fromkeys("‹〈", "<"),  # ‹ and others: what a prompt shows for < [ _
        **dict.fromkeys("›〉", ">"),
        "▁": "_",
        "。": ".",
        "、": ",",
        "∕": "/",
    }
)
# Units that differ by case: 5 mW is not 5 MW.
_CASED_UNITS = frozenset(
    "m mm g k b mg mw mwh mv ma mj mpa mhz ms mt pa kb mb gb tb kbps mbps gbps mol".split()
)
ARTICLES = frozenset({"a", "an", "the"})
_CHANGES_WITHOUT_ARTICLE = frozenset({"few", "little", "lot", "number", "couple"})


@dataclass(frozen=True, kw_only=True, slots=True)
class QuoteText:
    """The tokens of a text: token n is `raw[starts[n]:ends[n]]`, without its form in `joined`.

    `joined` begins and ends with SPLIT and has one between tokens; token n begins at `heads[n]`
    in it.
    """

    raw: str
    joined: str
    heads: array[int]
    starts: array[int]
    ends: array[int]

    def __len__(self) -> int:
        return len(self.heads)

    def token(self, number: int) -> str:
        """The token without its form; '' before the first and after the last one."""
        if not 0 <= number < len(self.heads):
            return ""
        return self.joined[self.heads[number] : self.joined.index(SPLIT, self.heads[number])]

    def tokens(self) -> list[str]:
        """All tokens without their form."""
        return self.joined.split(SPLIT)[1:-1]


def read_quote_text(text: str) -> QuoteText:
    """The tokens of `text`. Linear in its length; memory is some 15 bytes per token and the text.

    >>> read_quote_text("The “Ada” fell to −20 °C，in 10².").tokens()
    ['the', 'ada', 'fell', 'to', '-', '20', '°', 'c', ',', 'in', '10', '²', '.']
    """
    return _pack(text, _join_negations(text, _read_tokens(text)))


def without_articles(text: QuoteText) -> QuoteText:
    """The same text less its lower-case articles, where no word's meaning hangs on them."""
    tokens = text.tokens()
    kept = (
        (token, start, end)
        for number, (token, start, end) in enumerate(
            zip(tokens, text.starts, text.ends, strict=True)
        )
        if not _is_spare_article(text.raw[start:end], tokens, number)
    )
    return _pack(text.raw, kept)


def _is_spare_article(raw: str, tokens: list[str], number: int) -> bool:
    if raw not in ARTICLES:
        return False
    after = tokens[number + 1] if number + 1 < len(tokens) else ""
    before = tokens[number - 1] if number else "x"
    if len(after) < 2 or not after.isalpha() or after in _CHANGES_WITHOUT_ARTICLE:
        return False
    return raw == "the" or before.isalpha() or before in ".,;:!?"


def _pack(raw: str, tokens: Iterator[tuple[str, int, int]]) -> QuoteText:
    forms: list[str] = []
    heads, starts, ends = array("I"), array("I"), array("I")
    head = 1
    for form, start, end in tokens:
        forms.append(form)
        heads.append(head)
        starts.append(start)
        ends.append(end)
        head += len(form) + 1
    joined = SPLIT + SPLIT.join(forms) + SPLIT if forms else ""
    return QuoteText(raw=raw, joined=joined, heads=heads, starts=starts, ends=ends)


@cache
def _token_pattern() -> re.Pattern[str]:
    marks = "".join(
        re.escape(chr(code))
        for code in range(0x300, 0x10000)
        if unicodedata.category(chr(code)) in {"Mn", "Mc", "Me"}
    )
    letter = rf"[^\W\d_{_LOWERED}{UNSPACED}]"
    return re.compile(
        rf"\d(?:[.,:．：{_UNSEEN}]?\d)*"
        rf"|[{_LOWERED}]+"
        rf"|[{UNSPACED}][{marks}\uff9e\uff9f]*"
        rf"|{letter}(?:{letter}|[{marks}{_UNSEEN}])*"
        rf"|(?<=\d)['\"]"
        rf"|[^\s{_UNSEEN}{_SILENT}]"
    )


def _read_tokens(text: str) -> Iterator[tuple[str, int, int]]:
    is_after_number = False
    for match in _token_pattern().finditer(text):
        raw = match[0]
        if raw in "'\"" and _closes(text, match.start(), raw):
            continue
        form = _without_form(raw)
        if is_after_number and form in _CASED_UNITS:
            form = unicodedata.normalize("NFKC", raw)
        is_after_number = raw[0].isdecimal()
        if len(form) > 1 and len(raw) == 1 and not form.isalnum():  # ℃ is ° and C
            parts = [part for part in _token_pattern().findall(form) if part]
            yield from ((part, match.start(), match.end()) for part in parts or [form])
        else:
            yield form, match.start(), match.end()


def _closes(text: str, at: int, mark: str) -> bool:
    """Whether a straight mark after a digit closes a quotation; else it is feet or inches."""
    return re.search(rf"(?:^|[\s(\[]){mark}[^{mark}]*$", text[max(0, at - 80) : at]) is not None


def _join_negations(
    text: str, tokens: Iterator[tuple[str, int, int]]
) -> Iterator[tuple[str, int, int]]:
    """`don't` and `do n't` as `do`, `n't`."""
    last: tuple[str, int, int] | None = None
    for token in tokens:
        form, start, end = token
        if (
            form == "t"
            and last is not None
            and last[0].endswith("n")
            and text[last[2] : start] in {"'", "’", "‘", "`", "´", "＇"}
        ):
            if len(last[0]) > 1:
                yield last[0][:-1], last[1], last[2] - 1
            last = ("n't", last[2] - 1, end)
            continue
        if last is not None:
            yield last
        last = token
    if last is not None:
        yield last


@lru_cache(maxsize=1 << 16)
def _without_form(token: str) -> str:
    if token.isascii():
        return token.lower()
    # A raised or circled digit is a digit of its own: 10² is not 102. A lowered one is a digit.
    if (
        any(unicodedata.category(letter) == "No" for letter in token)
        and token[0] not in "₀₁₂₃₄₅₆₇₈₉"
    ):
        form = "".join(
            letter
            if unicodedata.category(letter) == "No"
            else unicodedata.normalize("NFKC", letter)
            for letter in token
        )
    else:
        form = unicodedata.normalize("NFKC", token)
    form = re.sub(f"[{_UNSEEN}\\s]", "", form.translate(_SAME)).casefold()
    return form or token
