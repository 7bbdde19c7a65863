"""What every splitter needs told: where a proposed sentence end settles, and which are none.

The rule: these rules look at a few characters around one place, never at the whole text, so
they cost the same anywhere; and they hold for every library alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.spans import Offsets


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Known by the word before the full stop, in lower case. Words such as "no" or "art" are left
# out where the word itself may well end a sentence.
_NEVER_LAST = _words(
    "dr mr mrs ms mx messrs prof rev gen sen rep gov capt cmdr col lt sgt maj hon st mt "
    "approx e.g i.e cf viz vs"
)
_NOT_BEFORE_DIGITS = _words(
    "fig figs vol vols ch sec eq eqs p pp ca c b d est "
    "jan feb mar apr jun jul aug sep sept oct nov dec"
)
_NOT_BEFORE_SMALL_LETTERS = _words(
    "al etc inc ltd co corp jr sr u.s u.k u.n e.u a.m p.m b.c a.d ph.d dept univ"
)
ENGLISH_ABBREVIATIONS = _NEVER_LAST

# What still belongs to a sentence after its full stop: more stops, closing quotes and brackets,
# emphasis, references such as [3], and characters nobody sees.
_TAIL = re.compile(
    r"(?:[.!?。！？｡…‼⁇⁈⁉;；]|[\"'”’»」』）)\]】》〉〕*~]|__|\[\d[\d,;–\- ]{0,30}\]"
    r"|[\u200b\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff\u202c\u2069]"
    r"|[ \t]?[\u2600-\u27bf\U0001f000-\U0001faff]){0,64}"
)
_OPENERS = frozenset("“‘«「『（(《【〈〔[{")
_EITHER_WAY = frozenset("\"'")
_WORD_BEFORE = re.compile(r"(?:[^\W\u3400-\u9fff]|[.&])+\Z")
_AFTER = re.compile(r"\s*[\"'“‘(\[]?(.)?", re.DOTALL)
_QUOTED_END = re.compile(r"[.!?…][\"'”’»]+\Z")

_OWN_END = re.compile(
    r"[。！？｡；][。！？｡；?!…]*"
    r"|(?<=[\u3400-\u9fff])[?!]+(?=[\u3400-\u9fff“「『（《])"
    r"|…(?=\s+[A-Z])"
    r"|(?<=[a-z0-9][.!?])[)\]](?=\s+[A-Z])"  # (A sentence in brackets.)
)
_PAIR = r"“[^“”]{0,400}”|「[^「」]{0,400}」|『[^『』]{0,400}』|（[^（）]{0,400}）"
_WIDE_PAIR = re.compile(_PAIR)
_EMBEDDED = re.compile(rf"(?<=\w)(?:{_PAIR})(?=[\w，、])|《[^《》]{{0,400}}》")
_WIDE_CLOSERS = re.compile(r"[”」』）’\"'*_~\s]*")


def settle(text: str, view: str, end: int, *, start: int, limit: int) -> int:
    """Where a sentence end proposed near `end` in the block [start, limit) really is.

    Back over white space, so that what follows starts the next sentence; then on over
    what closes the sentence. `view` is the view of `text` (see `annotator.text.blocks`).
    """
    end = min(end, limit)
    while end > start and (view[end - 1].isspace() or _opens(view, end - 1, start)):
        end -= 1
    tail = _TAIL.match(text, end, limit)
    return tail.end() if tail else end


def _opens(view: str, index: int, start: int) -> bool:
    """Whether the character opens a quotation or bracket, and so the next sentence."""
    if view[index] in _OPENERS:
        return True
    return view[index] in _EITHER_WAY and (index == start or view[index - 1].isspace())


def is_sentence_end(view: str, end: int, *, start: int, limit: int) -> bool:
    """False for an end no sentence has: after a title, in a decimal, before `?" he said`."""
    before = view[max(start, end - 40) : end]
    after = _AFTER.match(view, end, limit)
    following = (after.group(1) if after else None) or ""
    if before[-1:] in ",，、" or (before[-1:].isascii() and before[-1:].isalnum()):
        return False  # nothing stops here: sentencex takes "thymine (T)" for a list
    if _QUOTED_END.search(before) and following.islower():
        return False
    return not (before.endswith(".") and _abbreviates(before, following, view[end : end + 1]))


def _abbreviates(before: str, following: str, touching: str) -> bool:
    """Whether the full stop that `before` ends with marks an abbreviation or a decimal."""
    if touching.isalnum() and before[-2:-1].isspace():
        return True  # a name such as .NET
    match = _WORD_BEFORE.search(before[:-1])
    if match is None or not following:
        return False
    word = match.group()
    if touching.isalpha() and len(word.rpartition(".")[2]) == 1:
        return True  # initials without spaces
    if word == "No" and following.isdigit():
        return True
    if word[-1].isdigit() and touching.isdigit():
        return True
    word = word.lower()
    return (
        word in _NEVER_LAST
        or (word in _NOT_BEFORE_DIGITS and following.isdigit())
        or (following.islower() and (len(word) == 1 or word in _NOT_BEFORE_SMALL_LETTERS))
    )


def find_own_ends(view: str, *, start: int, limit: int) -> Iterator[int]:
    """Ends that do not need a library: mostly CJK full stops, outside quotations and brackets.

    The full-width semicolon counts: in Chinese it parts statements of their own. A full stop
    that closes a quotation ends the sentence after the closing mark.
    """
    pairs = _WIDE_PAIR.finditer(view, start, limit)
    inside = next(pairs, None)
    for match in _OWN_END.finditer(view, start, limit):
        while inside is not None and inside.end() <= match.start():
            inside = next(pairs, None)
        if inside is None or match.start() < inside.start():
            yield match.end()
        elif view[inside.end() - 1] != "）" and _WIDE_CLOSERS.fullmatch(
            view, match.end(), inside.end()
        ):
            yield inside.end()


def find_embedded(view: str, *, start: int, limit: int) -> list[Offsets]:
    """Quotations and brackets inside a CJK clause, and titles: no sentence ends in (start, end].

    Direct speech follows a colon, a comma or nothing, and is not embedded; what follows a word
    and is followed by one (他把“你好。再见。”写在纸上) is a part of its clause.
    """
    return [match.span() for match in _EMBEDDED.finditer(view, start, limit)]
