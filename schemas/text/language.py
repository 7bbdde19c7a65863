"""Which language a text is in: from its script first, from its words second.

The rule: Han, kana and Hangul decide alone, since one word in them is certain; only texts in shared
scripts go to the statistical classifier, and a text too short for it to be sure (a name, "Yes.") is
English unless a letter excludes that. A text that mixes English and Chinese has the language of its
grammar, not that of its names.

The classifier also decides whether a text is in the language that is declared for it. Only a sure
contradiction counts there: a text too short to decide, a language that the classifier does not know
and an empty code all pass.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from schemas.text.language_codes import AUTO
from schemas.text.scripts import HAN, HANGUL, KANA_LETTERS, WIDE

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAMPLE_CHARS = 20_000  # enough to detect a language; the rest of a long text is not read

_HAN = re.compile(f"[{HAN}]")
_KANA = re.compile(f"[{KANA_LETTERS}]")
_HANGUL = re.compile(f"[{HANGUL}]")
_LATIN_WORD = re.compile(r"[^\W\d_\u0250-\U0010ffff]+")
_HAN_PER_WORD = 1.7  # characters that carry about as much as one English word
_CHINESE_FRAME = re.compile(r"[的是了在和有不为与于并被由从把也都而及其这那]")
_ENGLISH_FRAME = _words(
    "the a an is are was were be been of in on at to for from by with and or that this it as "
    "means called has have had not which who"
)

# Languages that answers are likely to be in. A short text is detected as one of these, not as
# Breton ("Hello") or Kabyle ("Yes.").
_COMMON = _words(
    "ar bg bn cs da de el en es fa fi fr he hi hu id it nl no pl pt ro ru sv ta th tr uk vi"
)
_DIALECTS = {"ary": "ar", "arz": "ar", "yue": "zh", "wuu": "zh", "zxx": "en"}
_CERTAIN = 0.9  # share of the probability, all of the classifier's 140 languages considered
_LIKELY = 0.6  # share of the probability among the common ones

MIN_LETTERS = 40  # a name or "Yes." looks like any language
CERTAIN = 0.95  # share of the probability that other languages must have against the declared one
_CHECKED_CHARS = 2_000
_EAST_ASIAN = re.compile(f"[{WIDE}{HANGUL}]")
_LETTERS_PER_CHARACTER = 3  # Latin letters that carry as much as one Han or Hangul character
# Related languages that a classifier cannot distinguish, or that share one code.
_GROUPS = (
    {"zh", "yue", "wuu"},
    {"no", "nb", "nn", "da"},
    {"hr", "sr", "bs", "sh"},
    {"id", "ms"},
    {"ar", "arz", "ary"},
    {"cs", "sk"},
    {"es", "gl"},
)


def resolve_language(configured: str, text: str) -> str:
    """`configured`, unless it is 'auto': then the language detected in `text`."""
    return detect_language(text) if configured == AUTO else configured


def detect_language(text: str) -> str:
    """ISO 639 code of `text` ('en', 'zh', ...); '' when it has no letters.

    Chinese of any region and script is 'zh'. Deterministic, offline, from bundled weights.
    """
    sample = text[:_SAMPLE_CHARS]
    if not any(character.isalpha() for character in sample):
        return ""
    return _east_asian(sample) or _classified(sample)


def is_in_another_language(text: str, language: str) -> bool:
    """Whether `text` is surely not in `language` (an ISO 639 code, with or without a region)."""
    declared = re.split(r"[-_]", language.lower())[0]
    sample = text[:_CHECKED_CHARS]
    if not declared or declared not in _identifier().labels or not _is_long_enough(sample):
        return False
    alike = {declared}.union(*(group for group in _GROUPS if declared in group))
    share = sum(share for code, share in _identifier().rank(sample) if code in alike)
    return bool(share < 1.0 - CERTAIN)


def _is_long_enough(text: str) -> bool:
    num_letters = sum(character.isalpha() for character in text)
    num_east_asian = len(_EAST_ASIAN.findall(text))
    return num_letters + (_LETTERS_PER_CHARACTER - 1) * num_east_asian >= MIN_LETTERS


def _east_asian(text: str) -> str:
    """'zh', 'ja' or 'ko' where the text is mainly in their scripts, else ''."""
    num_han, num_kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    num_hangul = len(_HANGUL.findall(text))
    num_wide = num_han + num_kana + num_hangul
    if not num_wide or not _is_framed_by_wide(text, num_wide):
        return ""
    if num_hangul > num_han + num_kana:
        return "ko"
    # Japanese prose is about half kana; the odd kana of a name or a sign is not.
    return "ja" if num_kana > 0.1 * (num_han + num_kana) else "zh"


def _is_framed_by_wide(text: str, num_wide: int) -> bool:
    words = _LATIN_WORD.findall(text)
    if num_wide / _HAN_PER_WORD >= len(words):
        return True
    num_english = sum(word.lower() in _ENGLISH_FRAME for word in words)
    return len(_CHINESE_FRAME.findall(text)) > num_english


def _classified(text: str) -> str:
    ranked: list[tuple[str, float]] = _identifier().rank(text)
    best, share = ranked[0]
    if share >= _CERTAIN:
        return _DIALECTS.get(best, best)
    common = [(code, share) for code, share in ranked if code in _COMMON]
    code, share = common[0]
    is_ascii = all(character.isascii() for character in text if character.isalpha())
    if is_ascii and share < _LIKELY * sum(share for _, share in common):
        return "en"
    return code


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
