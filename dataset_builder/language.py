"""Whether an answer is in the language its row says.

The rule: only a sure contradiction counts. A text too short to tell, a language the classifier
does not know and a row that names none all pass; nothing is lost to a guess.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

MIN_LETTERS = 40  # a name or "Yes." looks like any language
CERTAIN = 0.95  # share of the probability that must speak against the language
_SAMPLE_CHARS = 2_000
_EAST_ASIAN = re.compile(r"[\u1100-\u11ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
_LETTERS_PER_CHARACTER = 3  # what one Han or Hangul character says, in Latin letters
# Neighbours that a classifier cannot tell apart, or that one code may stand for.
_GROUPS = (
    {"zh", "yue", "wuu"},
    {"no", "nb", "nn", "da"},
    {"hr", "sr", "bs", "sh"},
    {"id", "ms"},
    {"ar", "arz", "ary"},
    {"cs", "sk"},
    {"es", "gl"},
)


def is_in_another_language(text: str, language: str) -> bool:
    """Whether `text` is surely not in `language` (an ISO 639 code, with or without a region)."""
    declared = re.split(r"[-_]", language.lower())[0]
    sample = text[:_SAMPLE_CHARS]
    if not declared or declared not in _identifier().labels or not _is_long_enough(sample):
        return False
    alike = {declared}.union(*(group for group in _GROUPS if declared in group))
    share: float = sum(share for code, share in _identifier().rank(sample) if code in alike)
    return share < 1.0 - CERTAIN


def _is_long_enough(text: str) -> bool:
    num_letters = sum(character.isalpha() for character in text)
    num_east_asian = len(_EAST_ASIAN.findall(text))
    return num_letters + (_LETTERS_PER_CHARACTER - 1) * num_east_asian >= MIN_LETTERS


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
