"""About how many tokens a text has, for budgets and estimates without a tokenizer.

The rule: it imitates a byte-level BPE with about 150,000 entries. Three wide characters (Chinese,
Japanese, Korean) count as two tokens, a word as one token and one more for every five letters after
seven, a digit as one, a mark as a little less. Counts that a server reports take precedence.

Measured against Qwen2's tokenizer over the documents of the six human-label files, as the ratio
estimate / count: median 0.99 to 1.08, 90% of the documents of each file between 0.86 and 1.26.
"""

from __future__ import annotations

import re

from schemas.text.scripts import HANGUL_SYLLABLES, WIDE

_WIDE = re.compile(f"[{WIDE}{HANGUL_SYLLABLES}]")
_WORD = re.compile(rf"[^\W\d_{WIDE}{HANGUL_SYLLABLES}]+")
_DIGIT = re.compile(r"\d")
_MARK = re.compile(r"[^\w\s]|_")
_SHORT_WORD = 7


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` has; 0 for an empty one. Grows with every added character."""
    words = _WORD.findall(text)
    long_letters = sum(len(word) - _SHORT_WORD for word in words if len(word) > _SHORT_WORD)
    in_words = len(words) + long_letters / 5
    wide, digits, marks = (len(p.findall(text)) for p in (_WIDE, _DIGIT, _MARK))
    spaces = (len(text) - wide - digits - marks - sum(map(len, words))) / 20
    return round(in_words + wide / 1.5 + digits + 0.9 * marks + spaces + 0.499)
