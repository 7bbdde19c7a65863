"""A text as the tokens with which quotes are compared: words, numbers, signs, single characters.

The rule: form is ignored, content counts. Case, white space, width, ligatures, soft hyphens, kinds
of dashes and quotation marks are form. Every letter, accent, digit, sign, currency and unit is
content: `-20` is two tokens, `10²` is not `102`, `3.1` is not a part of `3.1.4`.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate

from schemas.text.scripts import UNSPACED

SPLIT = "\n"  # between the tokens of `QuoteText.joined`; no token holds white space
# Invisible characters, and marks without meaning for the words next to them.
_UNSEEN = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_SILENT = "\"“”„‟«»「」『』＂'‘’‚‛`´＇™®©†‡•"
_APOSTROPHES = frozenset("'’‘`´＇")
_LOWERED = "₀-₉"
_LOWERED_DIGITS = frozenset("₀₁₂₃₄₅₆₇₈₉")
_NOT_SHOWN = re.compile(f"[{_UNSEEN}\\s]")
_SAME = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−⁃", "-"),
        **dict.fromkeys(
            "‹〈", "<"
        ),  # ‹ and others: the characters that a prompt has in place of < [ _
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
_STRAIGHT_MARKS = frozenset({"'", '"'})
_SPECIAL = _CASED_UNITS | _STRAIGHT_MARKS | {"t"}
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

    def tokens_from(self, first: int, end: int) -> list[str]:
        """The tokens `first` to `end - 1` without their form."""
        return [self.token(number) for number in range(first, end)]


def read_quote_text(text: str) -> QuoteText:
    """The tokens of `text`. Linear in its length; memory is 12 bytes per token and the text.

    >>> read_quote_text("The “Ada” fell to −20 °C，in 10².").tokens()
    ['the', 'ada', 'fell', 'to', '-', '20', '°', 'c', ',', 'in', '10', '²', '.']
    """
    spans = [match.span() for match in _token_pattern().finditer(text)]
    forms = [_without_form(text[start:end]) for start, end in spans]
    special = [n for n, form in enumerate(forms) if form in _SPECIAL or SPLIT in form]
    for number in special:
        _mend(text, forms, spans, number)
    if special and (not all(forms) or any(SPLIT in forms[number] for number in special)):
        parts = [(part, n) for n, form in enumerate(forms) for part in form.split(SPLIT) if part]
        forms, spans = [part for part, _ in parts], [spans[n] for _, n in parts]
    return _pack(text, forms, spans)


def without_articles(text: QuoteText) -> QuoteText:
    """The same text without its lower-case articles, where no word's meaning depends on them."""
    tokens = text.tokens()
    kept = [
        number
        for number, token in enumerate(tokens)
        if token not in ARTICLES or not _is_spare_article(text, tokens, number)
    ]
    spans = [(text.starts[number], text.ends[number]) for number in kept]
    return _pack(text.raw, [tokens[number] for number in kept], spans)


def _is_spare_article(text: QuoteText, tokens: Sequence[str], number: int) -> bool:
    raw = text.raw[text.starts[number] : text.ends[number]]
    if raw not in ARTICLES:
        return False
    after = tokens[number + 1] if number + 1 < len(tokens) else ""
    before = tokens[number - 1] if number else "x"
    if len(after) < 2 or not after.isalpha() or after in _CHANGES_WITHOUT_ARTICLE:
        return False
    return raw == "the" or before.isalpha() or before in ".,;:!?"


def _pack(raw: str, forms: Sequence[str], spans: Sequence[tuple[int, int]]) -> QuoteText:
    return QuoteText(
        raw=raw,
        joined=SPLIT + SPLIT.join(forms) + SPLIT if forms else "",
        heads=array("I", accumulate((len(form) + 1 for form in forms[:-1]), initial=1))
        if forms
        else array("I"),
        starts=array("I", [start for start, _ in spans]),
        ends=array("I", [end for _, end in spans]),
    )


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


def _mend(text: str, forms: list[str], spans: list[tuple[int, int]], number: int) -> None:
    """Correct a form that depends on the token before it; '' for one that is dropped."""
    form, (start, end) = forms[number], spans[number]
    first, last = spans[number - 1] if number else (0, 0)
    before = text[first:last]
    if form in _STRAIGHT_MARKS and _closes(text, start, form):
        forms[number] = ""
    elif form in _CASED_UNITS and before[:1].isdecimal():
        forms[number] = unicodedata.normalize("NFKC", text[start:end])
    elif form == "t" and before[-1:] in {"n", "N"} and text[last:start] in _APOSTROPHES:
        forms[number], spans[number] = "n't", (last - 1, end)  # don't and do n't are do, n't
        forms[number - 1], spans[number - 1] = forms[number - 1][:-1], (first, last - 1)


def _closes(text: str, at: int, mark: str) -> bool:
    """Whether a straight mark after a digit closes a quotation; else it is feet or inches."""
    return re.search(rf"(?:^|[\s(\[]){mark}[^{mark}]*$", text[max(0, at - 80) : at]) is not None


@lru_cache(maxsize=1 << 16)
def _without_form(token: str) -> str:
    """The form of the token that is compared; several tokens have SPLIT between them."""
    if token.isascii():
        return token.lower()
    # A raised or circled digit is a separate digit: 10² is not 102. A lowered one is a digit.
    if token[0] in _LOWERED_DIGITS:
        return unicodedata.normalize("NFKC", token)
    if any(unicodedata.category(letter) == "No" for letter in token):
        letters = (unicodedata.normalize("NFKC", letter) for letter in token)
        pairs = zip(token, letters, strict=True)
        form = "".join(old if unicodedata.category(old) == "No" else new for old, new in pairs)
    else:
        form = unicodedata.normalize("NFKC", token)
    form = _NOT_SHOWN.sub("", form.translate(_SAME)).casefold() or token
    if len(token) == 1 and len(form) > 1 and not form.isalnum():
        return SPLIT.join(_token_pattern().findall(form)) or token
    return form
