"""Where a document says what a judge quoted: exactly, but for form, or nearly.

The rule: offsets point into the untouched document, and a quote counts as found only where the
document says it. Form (case, white space, kinds of quotation marks and dashes, width) is not
content; a word is, so the nearly found need a high score, which is stored beside the place.
"""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.hashing import content_key

MIN_SCORE = 0.9
_MIN_FUZZY_CHARS = 12  # shorter ones resemble too much
_MAX_QUOTE_CHARS = 5_000
_CACHED_TEXTS = 256
_SAME = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»「」『』＂", '"'),
        **dict.fromkeys("‘’‚‛`´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "‹": "<",
        "［": "[",
        "…": ".",
    }
)
_ELISION = re.compile(r"\s*(?:\[?(?:\.\.\.|…)\]?|……)\s*")
_cache: OrderedDict[str, _Plain] = OrderedDict()


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


def locate(quote: str, texts: Sequence[str]) -> list[Place]:
    """The places of `quote` in `texts`, the first for each of its parts; [] when it is not there.

    A quote with an elision (`...`) is located part by part, and every part must be there.
    """
    quote = quote.strip().strip('"“”「」').strip()[:_MAX_QUOTE_CHARS]
    if not quote:
        return []
    whole = _locate_whole(quote, texts)
    if whole is not None:
        return [whole]
    parts = [part for part in _ELISION.split(quote) if len(part) > 3]
    if len(parts) < 2:
        return []
    places = [place for part in parts if (place := _locate_whole(part, texts)) is not None]
    return places if len(places) == len(parts) else []


def _locate_whole(quote: str, texts: Sequence[str]) -> Place | None:
    for number, text in enumerate(texts):
        start = text.find(quote)
        if start >= 0:
            return Place(document=number, start=start, end=start + len(quote), score=1.0)
    wanted = _plain(quote).text
    if not wanted:
        return None
    plains = [_cached_plain(text) for text in texts]
    for number, plain in enumerate(plains):
        start = plain.text.find(wanted)
        if start >= 0:
            return _place(number, plain, start, start + len(wanted), 1.0)
    return _locate_nearly(wanted, plains)


def _locate_nearly(wanted: str, plains: Sequence[_Plain]) -> Place | None:
    from rapidfuzz.fuzz import partial_ratio_alignment

    if len(wanted) < _MIN_FUZZY_CHARS:
        return None
    best: Place | None = None
    for number, plain in enumerate(plains):
        if len(plain.text) < len(wanted):  # the shorter would be looked for in the longer
            continue
        cutoff = 100 * (best.score if best else MIN_SCORE)
        found = partial_ratio_alignment(wanted, plain.text, score_cutoff=cutoff)
        if found is None or not _same_numbers(
            wanted, plain.text[found.dest_start : found.dest_end]
        ):
            continue
        if best is None or found.score / 100 > best.score:
            best = _place(number, plain, found.dest_start, found.dest_end, found.score / 100)
    return best


def _same_numbers(wanted: str, said: str) -> bool:
    """Whether no number of the quote is missing: a wrong year is no slip of form."""
    return set(re.findall(r"\d+", wanted)) <= set(re.findall(r"\d+", said))


def _place(number: int, plain: _Plain, start: int, end: int, score: float) -> Place:
    return Place(
        document=number,
        start=plain.origins[start],
        end=plain.origins[end - 1] + 1,
        score=round(score, 4),
    )


def _cached_plain(text: str) -> _Plain:
    key = content_key(text)
    if key in _cache:
        _cache.move_to_end(key)
        return _cache[key]
    plain = _cache[key] = _plain(text)
    if len(_cache) > _CACHED_TEXTS:
        _cache.popitem(last=False)
    return plain


def _plain(text: str) -> _Plain:
    """Casefolded, width and quotation marks evened, white space gone."""
    kept: list[str] = []
    origins: list[int] = []
    for offset, character in enumerate(text):
        if character.isspace():
            continue
        form = unicodedata.normalize("NFKC", character.translate(_SAME)).translate(_SAME)
        for plain in form.casefold():
            if not plain.isspace():
                kept.append(plain)
                origins.append(offset)
    return _Plain(text="".join(kept), origins=origins)
